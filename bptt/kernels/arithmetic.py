"""What cells need of vectors beyond + - * /."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from .vector import call_llvm, splat_ir, vector_op

__all__ = [
    "absolute",
    "copysign",
    "first_lanes",
    "fma",
    "largest",
    "maximum",
    "minimum",
    "power_of_two",
    "rounder",
    "total",
    "where_positive",
]

_ROUNDER = {32: 1.5 * 2.0**23, 64: 1.5 * 2.0**52}
"""Added to a small number, it leaves that number, rounded, in the low bits of the sum. (llvm.rint
would call libm without SSE4.1.)"""


def _same(*vectors: Any) -> Any:
    return vectors[0](*vectors)


@vector_op(lambda a, b, c: a * b + c)
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once where the CPU can."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call_llvm(builder, "fmuladd", list(args))

    return _same(a, b, c), emit


def _larger(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", a, b), b, a)


@vector_op(np.maximum)
def maximum(typing_context: Any, a: Any, b: Any) -> Any:
    """Lane by lane the larger; NaN where ``a`` is NaN."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _larger(builder, *args)

    return _same(a, b), emit


@vector_op(np.minimum)
def minimum(typing_context: Any, a: Any, b: Any) -> Any:
    """Lane by lane the smaller; NaN where ``a`` is NaN."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[1], args[0])

    return _same(a, b), emit


@vector_op(lambda x, a, b: np.where(x > 0, a, b))
def where_positive(typing_context: Any, x: Any, a: Any, b: Any) -> Any:
    """``a`` where x > 0, else ``b``."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(args[0].type, [0.0] * args[0].type.count)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), args[1], args[2])

    return _same(x, a, b), emit


def _first_lanes(a: np.ndarray, n: int, other: float) -> np.ndarray:
    return np.where(np.arange(a.size) < n, a, a.dtype.type(other))


@vector_op(_first_lanes)
def first_lanes(typing_context: Any, a: Any, n: Any, other: Any) -> Any:
    """The first ``n`` lanes of ``a``, and the number ``other`` in the rest."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind, word = args[0].type, ir.IntType(32)
        places = ir.VectorType(word, kind.count)
        first = splat_ir(builder, places, builder.trunc(args[1], word))
        inside = builder.icmp_signed("<", ir.Constant(places, list(range(kind.count))), first)
        return builder.select(inside, args[0], splat_ir(builder, kind, args[2]))

    return a(a, types.int64, a.dtype), emit


@vector_op(np.abs)
def absolute(typing_context: Any, a: Any) -> Any:
    """|a|."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call_llvm(builder, "fabs", list(args))

    return _same(a), emit


@vector_op(np.copysign)
def copysign(typing_context: Any, a: Any, b: Any) -> Any:
    """|a| with the sign of ``b``."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call_llvm(builder, "copysign", list(args))

    return _same(a, b), emit


@vector_op(lambda a: np.full_like(a, _ROUNDER[8 * a.dtype.itemsize]))
def rounder(typing_context: Any, a: Any) -> Any:
    """A vector like ``a`` of a number so large that adding it to one below 2**21 (float32) or 2**50
    (float64) rounds that; taking it away again leaves the nearest whole number, ties to even."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = args[0]
        return ir.Constant(value.type, [_ROUNDER[a.dtype.bitwidth]] * value.type.count)

    return _same(a), emit


def _power_of_two(a: np.ndarray) -> np.ndarray:
    n = a - a.dtype.type(_ROUNDER[8 * a.dtype.itemsize])
    return np.ldexp(np.ones_like(a), np.where(np.isnan(n), 0, n).astype(np.int32))


@vector_op(_power_of_two)
def power_of_two(typing_context: Any, a: Any) -> Any:
    """2**n for ``a`` = n + `rounder`, if that is a normal number; anything where ``a`` is NaN."""
    bits = a.dtype.bitwidth
    mantissa = {32: 23, 64: 52}[bits]

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        whole = ir.VectorType(ir.IntType(bits), kind.count)
        low = builder.bitcast(args[0], whole)
        exponent = builder.shl(low, ir.Constant(whole, [mantissa] * whole.count))
        one = builder.bitcast(ir.Constant(kind, [1.0] * kind.count), whole)
        return builder.bitcast(builder.add(exponent, one), kind)

    return _same(a), emit


def _fold(builder: ir.IRBuilder, value: Any, join: Callable[[Any, Any], Any]) -> Any:
    """One number of a vector's: its halves joined, then theirs, and so on."""
    while value.type.count > 1:
        half = value.type.count // 2
        undefined = ir.Constant(value.type, ir.Undefined)
        pick = ir.VectorType(ir.IntType(32), half)
        low, high = (
            builder.shuffle_vector(value, undefined, ir.Constant(pick, list(range(at, at + half))))
            for at in (0, half)
        )
        value = join(low, high)
    return builder.extract_element(value, ir.IntType(32)(0))


@vector_op(lambda a: a.sum())
def total(typing_context: Any, a: Any) -> Any:
    """The sum of the lanes, always added in the same order."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _fold(builder, args[0], builder.fadd)

    return a.dtype(a), emit


@vector_op(lambda a: a.max())
def largest(typing_context: Any, a: Any) -> Any:
    """The largest of the lanes; any of them where one is NaN."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _fold(builder, args[0], partial(_larger, builder))

    return a.dtype(a), emit
