"""The register tile of the packed matrix product, written as LLVM vector instructions.

    C[r, :] = D[r, :] + sum over k of A[r, k] * B[k, :]      for a few rows r and 1 to 4 vectors

All accumulators stay in registers over the whole sum. Every operand is an array with the flat
index of its first element and its strides (in elements), so the same tile serves plain products
(A by rows) and weight gradients (A by columns). Where A's numbers lie in *runs* with gaps between
them, such as those of a row of gates without its padding, k is a tuple: how many there are in all,
in the first run and in each of the others, and how many are left out between two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.lib.stride_tricks import as_strided

from .compile import JIT, kernel
from .target import lanes_of, target
from .vector import Vec, address, ask_ir, call_llvm, splat_ir

__all__ = ["TILE_ROWS", "half_tile", "narrow_height", "tile", "tile_height", "tile_row"]

TILE_ROWS = target().tile_rows
"""The most rows that a tile of 4 vectors takes."""
_NARROW_ROWS = target().narrow_rows
"""The most rows that a narrower one takes."""

_WORD = ir.IntType(64)


class _Runs(NamedTuple):
    """How A's numbers lie, as IR values; see the module's text."""

    total: Any
    first: Any
    later: Any
    gap: Any

    @classmethod
    def of(cls, builder: ir.IRBuilder, kind: Any, k: Any) -> _Runs:
        if isinstance(kind, types.Integer):
            return cls(k, k, _WORD(0), _WORD(0))
        return cls(*(builder.extract_value(k, i) for i in range(4)))


class _Operand(NamedTuple):
    """A matrix inside an array, as IR values: pointer to its first element, and two strides."""

    pointer: Any
    row: Any
    k: Any


def _multiply_add(
    b: ir.IRBuilder, vector: Any, a: list[Any], panel: list[Any], sums: list[Any]
) -> list[Any]:
    """Emit sums[r, v] + A[r] * B[v], keeping the shorter of A and B in registers.

    ``a`` and ``panel`` hold functions that emit the load of one element or vector. The longer side
    is then loaded one at a time, so that the whole fits the register file.
    """
    rows, width = len(a), len(panel)
    new = list(sums)
    if rows <= width:
        held = [emit() for emit in a]
        for v in range(width):
            column = panel[v]()
            for r in range(rows):
                i = r * width + v
                new[i] = call_llvm(b, "fmuladd", [held[r], column, sums[i]])
    else:
        held = [emit() for emit in panel]
        for r in range(rows):
            element = a[r]()
            for v in range(width):
                i = r * width + v
                new[i] = call_llvm(b, "fmuladd", [element, held[v], sums[i]])
    return new


def _not_unrolled(module: ir.Module) -> Any:
    """Loop metadata that says that the body is long enough: unrolling only costs compilation."""
    disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = module.add_metadata([ir.MetaDataString(module, f"loop {len(module.metadata)}"), disable])
    loop.operands = (loop, disable)
    return loop


def _emit(
    b: ir.IRBuilder, vector: Any, rows: int, runs: _Runs, a: _Operand,
    panels: list[tuple[_Operand, int]], d: _Operand, c: _Operand, apart: int = 1,
) -> None:  # fmt: skip
    """Emit a tile of ``rows`` rows and, of each panel, so many vectors, ``apart`` vectors apart."""
    align = 8 if isinstance(vector.element, ir.DoubleType) else 4
    columns = sum(width for _, width in panels)

    def vector_at(pointer: Any, v: int) -> Any:
        return b.bitcast(b.gep(pointer, [_WORD(v * apart * vector.count)]), vector.as_pointer())

    def row_of(matrix: _Operand, r: int) -> Any:
        return b.gep(matrix.pointer, [b.mul(matrix.row, _WORD(r))])

    places = [(r, v) for r in range(rows) for v in range(columns)]
    start = [b.load(vector_at(row_of(d, r), v), align=align) for r, v in places]
    for r in range(rows):
        for v in range(0, columns, max(1, 64 // (align * apart * vector.count))):
            ask_ir(b, vector_at(row_of(d, rows + r), v), nearness=3)
    a_rows = [row_of(a, r) for r in range(rows)]
    names = ("head", "body", "gap", "skip", "done")
    before, blocks = b.block, [b.append_basic_block(f"tile.{name}") for name in names]
    head, body, gap, skip, done = blocks
    b.branch(head)

    b.position_at_end(head)
    end, count, a_offset, *offsets = (b.phi(_WORD) for _ in range(3 + len(panels)))
    sums = [b.phi(vector) for _ in places]
    b.cbranch(b.icmp_signed("<", count, end), body, gap)

    b.position_at_end(gap)
    b.cbranch(b.icmp_signed("<", count, runs.total), skip, done)
    b.position_at_end(skip)
    over = [b.add(end, runs.later), count, b.add(a_offset, b.mul(a.k, runs.gap)), *offsets, *sums]
    b.branch(head)

    b.position_at_end(body)
    panel_rows = [
        (b.gep(panel.pointer, [offset]), v)
        for (panel, width), offset in zip(panels, offsets, strict=True)
        for v in range(width)
    ]
    new = _multiply_add(
        b,
        vector,
        [lambda p=p: splat_ir(b, vector, b.load(b.gep(p, [a_offset]))) for p in a_rows],
        [lambda p=p, v=v: b.load(vector_at(p, v), align=align) for p, v in panel_rows],
        sums,
    )
    steps = [_WORD(1), a.k, *(panel.k for panel, _ in panels)]
    counters = [count, a_offset, *offsets]
    moved = [b.add(phi, step) for phi, step in zip(counters, steps, strict=True)]
    b.branch(head).set_metadata("llvm.loop", _not_unrolled(b.module))
    initial = [runs.first, *(_WORD(0) for _ in counters), *start]
    ways = (before, initial), (body, [end, *moved, *new]), (skip, over)
    for i, phi in enumerate([end, *counters, *sums]):
        for block, values in ways:
            phi.add_incoming(values[i], block)

    b.position_at_end(done)
    for (r, v), value in zip(places, sums, strict=True):
        b.store(value, vector_at(row_of(c, r), v), align=align)


def _operand(context: Any, builder: ir.IRBuilder, kind: Any, matrix: Any) -> _Operand:
    array, first, *strides = (builder.extract_value(matrix, i) for i in range(len(kind)))
    return _Operand(address(context, builder, kind[0], array, first), *strides)


def _runs_type(k: Any) -> Any:
    return types.intp if isinstance(k, types.Integer) else types.UniTuple(types.intp, 4)


def _matrix_type(matrix: Any) -> types.Tuple:
    return types.Tuple((matrix[0], types.intp, types.intp, types.intp))


def _switch(builder: ir.IRBuilder, key: Any, cases: dict[int, Callable[[], None]]) -> None:
    """Emit the case whose number ``key`` is."""
    end = builder.append_basic_block("tile.end")
    switch = builder.switch(key, end)
    for number, emit in cases.items():
        case = builder.append_basic_block(f"tile.{number}")
        switch.add_case(_WORD(number), case)
        builder.position_at_end(case)
        emit()
        builder.branch(end)
    builder.position_at_end(end)


def _compiled(
    typing_context: Any, rows: Any, width: Any, k: Any, a: Any, b: Any, d: Any, c: Any
) -> Any:
    """Emit a switch over the tile's rows (and its width, unless that is a literal)."""
    n = types.intp
    if isinstance(width, types.IntegerLiteral):
        widths = [width.literal_value]
    else:
        widths, width = [1, 2, 3, 4], n
    vec = Vec(c[0].dtype)

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        vector = context.get_value_type(vec)
        a, b, d, c = (_operand(context, builder, signature.args[i], args[i]) for i in range(3, 7))
        runs = _Runs.of(builder, signature.args[2], args[2])
        key = builder.mul(args[0], _WORD(8))
        if len(widths) > 1:
            key = builder.add(key, args[1])
        cases = {
            8 * r + (w if len(widths) > 1 else 0): partial(
                _emit, builder, vector, r, runs, a, [(b, w)], d, c
            )
            for w in widths
            for r in range(1, (TILE_ROWS if w == 4 else _NARROW_ROWS) + 1)
        }
        _switch(builder, key, cases)
        return context.get_dummy_value()

    return types.none(n, width, _runs_type(k), *map(_matrix_type, (a, b, d, c))), emit


def _compiled_half(
    typing_context: Any, rows: Any, width: Any, k: Any, a: Any, b: Any, d: Any, c: Any
) -> Any:
    """As `_compiled`, for a literal width."""
    n, widths = types.intp, width.literal_value
    vec = Vec(c[0].dtype)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = context.get_value_type(vec)
        half = ir.VectorType(whole.element, whole.count // 2)
        a, b, d, c = (_operand(context, builder, signature.args[i], args[i]) for i in range(3, 7))
        runs = _Runs.of(builder, signature.args[2], args[2])
        cases = {
            r: partial(_emit, builder, half, r, runs, a, [(b, widths)], d, c, apart=2)
            for r in range(1, TILE_ROWS + 1)
        }
        _switch(builder, args[0], cases)
        return context.get_dummy_value()

    return types.none(n, width, _runs_type(k), *map(_matrix_type, (a, b, d, c))), emit


def _compiled_row(
    typing_context: Any, widths: Any, k: Any, a: Any, b: Any, b2: Any, d: Any, c: Any
) -> Any:
    """Emit a switch over the widths of the two panels."""
    n = types.intp
    vec = Vec(c[0].dtype)

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        vector = context.get_value_type(vec)
        a, b, b2, d, c = (
            _operand(context, builder, signature.args[i], args[i]) for i in range(2, 7)
        )
        runs = _Runs.of(builder, signature.args[1], args[1])
        cases = {
            w + w2: partial(_emit, builder, vector, 1, runs, a, [(b, w), (b2, w2)], d, c)
            for w in (1, 2, 3, 4)
            for w2 in (w, w + 1)
            if w2 <= 4
        }
        _switch(builder, args[0], cases)
        return context.get_dummy_value()

    return types.none(n, _runs_type(k), *map(_matrix_type, (a, b, b2, d, c))), emit


_Steps = int | tuple[int, int, int, int]


def _plain(rows: int, width: int, k: _Steps, a: Any, b: Any, d: Any, c: Any) -> None:
    """The same in NumPy, where the JIT is off."""
    k, first, later, gap = (k, k, 0, 0) if isinstance(k, int | np.integer) else k
    jumps = [gap * (1 + (i - first) // later) if i >= first else 0 for i in range(k)]
    index = np.arange(k) + np.array(jumps, np.int64)

    def matrix(operand: Any, shape: tuple[int, int], *strides: int) -> np.ndarray:
        array, first = operand[:2]
        steps = tuple(array.itemsize * stride for stride in strides)
        return as_strided(array.reshape(-1)[first:], shape, steps)

    columns = width * lanes_of(c[0].dtype)
    reached = index[-1] + 1 if k else 0
    left = matrix(a, (rows, reached), a[2], a[3])[:, index]
    product = left @ matrix(b, (k, columns), b[3], 1)
    matrix(c, (rows, columns), c[2], 1)[...] = matrix(d, (rows, columns), d[2], 1) + product


def _plain_row(widths: int, k: _Steps, a: Any, b: Any, b2: Any, d: Any, c: Any) -> None:
    first = widths // 2
    column = first * lanes_of(c[0].dtype)
    d2, c2 = ((m[0], m[1] + column, *m[2:]) for m in (d, c))
    _plain(1, first, k, a, b, d, c)
    _plain(1, widths - first, k, a, b2, d2, c2)


tile = intrinsic(prefer_literal=True)(_compiled) if JIT else _plain
"""``tile(rows, width, k, A, B, D, C)``: each matrix is (array, first, row stride, k stride).

``rows`` is what `tile_height` says, or `narrow_height` for up to 3 vectors; ``width`` 1 to 4
vectors, a literal where it can be. A's strides are those of its two indices; B has only the stride
of k, D and C only that of rows (their other stride is not used). C may be D.
"""

half_tile = intrinsic(prefer_literal=True)(_compiled_half) if JIT else _plain
"""As `tile` for a literal width, but only the first half of every vector is read and written.

For the last units of gates, where the second halves are padding.
"""

tile_row = intrinsic(_compiled_row) if JIT else _plain_row
"""``tile_row(widths, k, A, B1, B2, D, C)``: one row times two panels.

With one row, a panel has too few sums going to hide the latency of its additions; two have enough.
``widths`` are the vectors of both; the second panel may be wider, by one. Its columns follow those
of the first in D and C.
"""


@kernel
def tile_height(left):
    """Rows that the next tile takes of ``left``: never so many that a single one is left over.

    One row keeps too few sums going, see `tile_row`; two keep enough.
    """
    if left == TILE_ROWS + 1:
        return TILE_ROWS - 1
    return TILE_ROWS if left > TILE_ROWS else left


@kernel
def narrow_height(left):
    """As `tile_height`, for a tile of 3 vectors or less."""
    if left == _NARROW_ROWS + 1:
        return _NARROW_ROWS - 1
    return _NARROW_ROWS if left > _NARROW_ROWS else left
