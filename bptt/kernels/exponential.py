"""exp, sigmoid and tanh of a vector: no branches, a few units in the last place, NaN kept.

    exp(x) = 2**n + 2**n * expm1(r)         n = rint(x / ln 2), |r| <= ln(2) / 2
    expm1(r) = r + r**2 * p(r)

with p interpolated at Chebyshev nodes (relative error 2.5e-8 for float32, 5e-17 for float64).
tanh goes through expm1 so that it is exact to rounding near zero. What costs time is the length of
the chain of operations that wait for each other; so p is evaluated by halves (Estrin 1960).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from .arithmetic import absolute, copysign, fma, minimum, power_of_two, rounder
from .compile import kernel
from .vector import call_llvm, splat_like, vector_op

__all__ = ["exp", "sigmoid", "tanh"]

_LOG2_E, _LN_2 = 1.4426950408889634, 0.6931471805599453
_LN_2_PARTS = {
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
    high, low = (x.dtype.type(part) for part in _LN_2_PARTS[_bits(x)])
    return (x - n * high) - n * low


@vector_op(_plain_remainder)
def _remainder(typing_context: Any, x: Any, n: Any) -> Any:
    """x - n ln 2, accurate to rounding."""
    parts = _LN_2_PARTS[x.dtype.bitwidth]

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, n = args
        for part in parts:
            value = call_llvm(builder, "fmuladd", [n, _constant(value.type, -part), value])
        return value

    return x(x, x), emit


def _by_halves(terms: list[Any], power: Any, fma: Callable[..., Any], multiply: Any) -> Any:
    """Σ terms[k] · power**k, adding up neighbours, then their neighbours, and so on.

    One left over joins the last pair first: no chain is longer for it, and no higher power needed.
    """
    while len(terms) > 1:
        if len(terms) % 2:
            terms = [*terms[:-2], fma(terms[-1], power, terms[-2])]
        terms = [fma(high, power, low) for low, high in zip(terms[::2], terms[1::2], strict=True)]
        power = multiply(power, power) if len(terms) > 1 else power
    return terms[0]


def _expm1_op(twice: bool) -> Callable[..., Any]:
    """An operation on r: expm1(r) for |r| <= ln(2) / 2; or expm1(2 r) / 2 for half of that."""

    def coefficients(bits: int) -> list[float]:
        return [c * 2.0 ** (k + 1) if twice else c for k, c in enumerate(_EXPM1[bits])]

    def plain(r: np.ndarray) -> np.ndarray:
        terms = [r.dtype.type(c) for c in coefficients(_bits(r))]
        return r + r * r * _by_halves(terms, r, lambda a, b, c: a * b + c, np.multiply)

    def compiled(typing_context: Any, r: Any) -> Any:
        numbers = coefficients(r.dtype.bitwidth)

        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            def fma(a: Any, b: Any, c: Any) -> Any:
                return call_llvm(builder, "fmuladd", [a, b, c])

            r = args[0]
            p = _by_halves([_constant(r.type, c) for c in numbers], r, fma, builder.fmul)
            return fma(builder.fmul(r, r), p, r)

        return r(r), emit

    return vector_op(plain)(compiled)


_expm1, _half_expm1_twice = _expm1_op(twice=False), _expm1_op(twice=True)


@kernel
def exp(x):
    """e**x."""
    x = _clamp(x)
    rounded = fma(x, splat_like(x, _LOG2_E), rounder(x))
    power = power_of_two(rounded)
    return fma(power, _expm1(_remainder(x, rounded - rounder(x))), power)


@kernel
def sigmoid(x):
    """e**r / (e**r + 2**-n), for e**x = 2**n e**r: 2**n would be one more product."""
    x = _clamp(x)
    rounded = fma(x, splat_like(x, -_LOG2_E), rounder(x))
    part = _expm1(_remainder(x, rounder(x) - rounded)) + 1.0
    return part / (part + power_of_two(rounded))


@kernel
def tanh(x):
    """(e**r - 2**-n) / (e**r + 2**-n), for e**2|x| = 2**n e**r, with the sign of x.

    Both are computed by halves, 2**-n being twice ``power``. One product takes n ln 2 away: what
    it lacks would be seen where n is large, but there tanh is one.
    """
    y, base = minimum(absolute(x), splat_like(x, 20.0)), rounder(x) - 1.0
    rounded = fma(y, splat_like(x, -2.0 * _LOG2_E), base)
    rest = _half_expm1_twice(fma(base - rounded, splat_like(x, -0.5 * _LN_2), y))
    power = power_of_two(rounded)
    return copysign((rest + (0.5 - power)) / (rest + (0.5 + power)), x)
