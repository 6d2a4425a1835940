"""Numbers moved in whole vectors, from flat index to flat index."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from .target import lanes_of
from .vector import Vec, address, overload, splat_ir, vector_op

__all__ = ["copier", "load_part", "store_part", "transpose"]


def copier(count: int) -> Any:
    """A kernel ``copy(a, i, b, j)`` that copies ``count`` numbers, by flat index."""

    def plain(a: np.ndarray, i: int, b: np.ndarray, j: int) -> None:
        b.reshape(-1)[j : j + count] = a.reshape(-1)[i : i + count]

    @vector_op(plain)
    def copy(typing_context: Any, a: Any, i: Any, b: Any, j: Any) -> Any:
        align = a.dtype.bitwidth // 8

        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir.VectorType(context.get_value_type(a.dtype), count).as_pointer()
            source = address(context, builder, signature.args[0], args[0], args[1])
            to = address(context, builder, signature.args[2], args[2], args[3])
            numbers = builder.load(builder.bitcast(source, kind), align=align)
            builder.store(numbers, builder.bitcast(to, kind), align=align)
            return context.get_dummy_value()

        return types.none(a, types.intp, b, types.intp), emit

    return copy


def _load_part_slice(a: np.ndarray, i: int, count: int) -> np.ndarray:
    vector = np.zeros(lanes_of(a.dtype), a.dtype)
    vector[:count] = a.reshape(-1)[i : i + count]
    return vector


def _store_part_slice(a: np.ndarray, i: int, count: int, value: np.ndarray) -> None:
    a.reshape(-1)[i : i + count] = value[:count]


@vector_op(_load_part_slice)
def load_part(typing_context: Any, a: Any, i: Any, count: Any) -> Any:
    """The first ``count`` lanes of the vector at flat index ``i`` of ``a``, and zeros: no number
    beyond them is read."""
    vec = Vec(a.dtype)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_value_type(vec)
        pointer = address(context, builder, signature.args[0], args[0], args[1])
        pointer, mask = builder.bitcast(pointer, kind.as_pointer()), _first(builder, args[2], kind)
        align, zeros = ir.IntType(32)(vec.dtype.bitwidth // 8), ir.Constant(kind, None)
        return _call_masked(builder, "load", kind, kind, [pointer, align, mask, zeros])

    return vec(a, types.intp, types.intp), emit


@vector_op(_store_part_slice)
def store_part(typing_context: Any, a: Any, i: Any, count: Any, value: Any) -> Any:
    """Write the first ``count`` lanes of ``value`` at flat index ``i`` of ``a``."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[3].type
        pointer = address(context, builder, signature.args[0], args[0], args[1])
        pointer, mask = builder.bitcast(pointer, kind.as_pointer()), _first(builder, args[2], kind)
        align = ir.IntType(32)(value.dtype.bitwidth // 8)
        _call_masked(builder, "store", kind, ir.VoidType(), [args[3], pointer, align, mask])
        return context.get_dummy_value()

    return types.none(a, types.intp, types.intp, value), emit


def _first(builder: ir.IRBuilder, count: Any, kind: ir.VectorType) -> Any:
    """True in the first ``count`` lanes."""
    numbers = ir.VectorType(count.type, kind.count)
    places = ir.Constant(numbers, list(range(kind.count)))
    return builder.icmp_signed("<", places, splat_ir(builder, numbers, count))


def _call_masked(
    builder: ir.IRBuilder, name: str, kind: ir.VectorType, result: Any, args: list[Any]
) -> Any:
    """Call ``llvm.masked.load`` or ``.store`` for vectors of ``kind``."""
    signature = ir.FunctionType(result, [arg.type for arg in args])
    name = f"llvm.masked.{name}.{overload(kind)}.p0{overload(kind)}"
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), args)


def _transpose_slices(a: np.ndarray, i: int, row: int, b: np.ndarray, j: int, column: int) -> None:
    size, source, to = lanes_of(a.dtype), a.reshape(-1), b.reshape(-1)
    square = np.array([source[i + r * row : i + r * row + size] for r in range(size)])
    for r in range(size):
        to[j + r * column : j + r * column + size] = square[:, r]


@vector_op(_transpose_slices)
def transpose(typing_context: Any, a: Any, i: Any, row: Any, b: Any, j: Any, column: Any) -> Any:
    """Transpose a square: vectors at ``i``, ``row`` apart, to ``j``, ``column`` apart."""
    vec = Vec(a.dtype)
    size, align = vec.lanes, a.dtype.bitwidth // 8

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_value_type(vec)
        word = ir.IntType(64)

        def place(n: int, step: Any, r: int) -> Any:
            index = builder.add(args[n + 1], builder.mul(step, word(r)))
            pointer = address(context, builder, signature.args[n], args[n], index)
            return builder.bitcast(pointer, kind.as_pointer())

        rows = [builder.load(place(0, args[2], r), align=align) for r in range(size)]
        step = 1
        while step < size:
            rows = _swap_blocks(builder, rows, step)
            step *= 2
        for r, vector in enumerate(rows):
            builder.store(vector, place(3, args[5], r), align=align)
        return context.get_dummy_value()

    n = types.intp
    return types.none(a, n, n, b, n, n), emit


def _swap_blocks(builder: Any, rows: list[Any], step: int) -> list[Any]:
    """In every square of 2·step rows and lanes, swap the upper right and the lower left quarter."""
    size = len(rows)
    upper = [lane if not lane & step else size + lane - step for lane in range(size)]
    lower = [lane + step if not lane & step else size + lane for lane in range(size)]
    new = list(rows)
    for r in range(size):
        if not r & step:
            pair = rows[r], rows[r + step]
            for to, pick in ((r, upper), (r + step, lower)):
                mask = ir.Constant(ir.VectorType(ir.IntType(32), size), pick)
                new[to] = builder.shuffle_vector(*pair, mask)
    return new
