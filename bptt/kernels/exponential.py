"""exp, sigmoid and tanh of a vector: no branches, a few units in the last place, NaN kept.

exp(x) = 2**n * exp(r) with n = rint(x / ln 2) and |r| <= ln(2) / 2, where
expm1(r) = r + r**2 * p(r) with p interpolated at Chebyshev nodes (relative error 2.5e-8 for
float32, 5e-17 for float64). tanh goes through expm1 so that it is exact to rounding near zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from .arithmetic import absolute, copysign, fma, minimum, rint, scale2
from .compile import kernel
from .vector import call_llvm, splat_like, vector_op

__all__ = ["exp", "sigmoid", "tanh"]

_LOG2_E = 1.4426950408889634
_LN2 = {
    32: (0.693359375, -2.12194440e-4),
    64: (6.93147180369123816490e-01, 1.90821492927058770002e-10),
}
"""ln 2 as a short number, whose products with n are exact, and the rest."""
_EXP_RANGE = {32: (-87.0, 88.0), 64: (-708.0, 709.0)}
"""exp stays a normal number inside; beyond it is cut off there."""
_EXPM1 = {
    32: (0.5, 0.166665769896987757, 0.0416665546172045742, 0.00836317905272257737,
         0.00139261835877134945),
    64: (0.500000000000000102, 0.166666666666666675, 0.0416666666666241279,
         0.00833333333333006183, 0.00138888889172137169, 0.000198412698630536169,
         0.0000248015212959543751, 2.75572684599970648e-6, 2.76200884454097482e-7,
         2.51003854955103191e-8),
}  # fmt: skip
"""Coefficients of p, lowest first."""


def _constant(kind: Any, value: float) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _bits(vector: np.ndarray) -> int:
    return 8 * vector.dtype.itemsize


def _plain_clamp(x: np.ndarray) -> np.ndarray:
    return np.clip(x, *(x.dtype.type(end) for end in _EXP_RANGE[_bits(x)]))


@vector_op(_plain_clamp)
def _clamp(typing_context: Any, x: Any) -> Any:
    """``x`` cut off where exp would leave the normal numbers."""
    low, high = _EXP_RANGE[x.dtype.bitwidth]

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = args[0]
        for end, compare in ((low, "<"), (high, ">")):
            limit = _constant(value.type, end)
            value = builder.select(builder.fcmp_ordered(compare, value, limit), limit, value)
        return value

    return x(x), emit


def _plain_remainder(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    high, low = (x.dtype.type(part) for part in _LN2[_bits(x)])
    return (x - n * high) - n * low


@vector_op(_plain_remainder)
def _remainder(typing_context: Any, x: Any, n: Any) -> Any:
    """x - n ln 2, accurate to rounding."""
    parts = _LN2[x.dtype.bitwidth]

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, n = args
        for part in parts:
            value = call_llvm(builder, "fmuladd", [n, _constant(value.type, -part), value])
        return value

    return x(x, x), emit


def _plain_expm1(r: np.ndarray) -> np.ndarray:
    p = np.zeros_like(r)
    for coefficient in reversed(_EXPM1[_bits(r)]):
        p = p * r + r.dtype.type(coefficient)
    return r + r * r * p


@vector_op(_plain_expm1)
def _expm1(typing_context: Any, r: Any) -> Any:
    """expm1 for |r| <= ln(2) / 2."""
    coefficients = _EXPM1[r.dtype.bitwidth]

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        r = args[0]
        p = _constant(r.type, coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            p = call_llvm(builder, "fmuladd", [p, r, _constant(r.type, coefficient)])
        return call_llvm(builder, "fmuladd", [builder.fmul(r, r), p, r])

    return r(r), emit


@kernel
def exp(x):
    """e**x."""
    x = _clamp(x)
    n = rint(x * _LOG2_E)
    return scale2(_expm1(_remainder(x, n)) + 1.0, n)


@kernel
def sigmoid(x):
    """1 / (1 + e**-x)."""
    return 1.0 / (exp(0.0 - x) + 1.0)


@kernel
def tanh(x):
    """(e**2|x| - 1) / (e**2|x| + 1), with the sign of x."""
    y = minimum(absolute(x) * 2.0, splat_like(x, 40.0))
    n = rint(y * _LOG2_E)
    power = scale2(splat_like(x, 1.0), n)
    rise = fma(power, _expm1(_remainder(y, n)), power - 1.0)
    return copysign(rise / (rise + 2.0), x)
