"""A register tile, emitted as LLVM vector instructions; what it computes says `tile`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types

from .vector import address, ask_ir, call_llvm, splat_ir

__all__ = ["Operand", "Runs", "emit_tile", "operand", "switch"]

_WORD = ir.IntType(64)


class Runs(NamedTuple):
    """How A's numbers lie, as IR values; see `tile`."""

    total: Any
    first: Any
    later: Any
    gap: Any

    @classmethod
    def of(cls, builder: ir.IRBuilder, kind: Any, k: Any) -> Runs:
        if isinstance(kind, types.Integer):
            return cls(k, k, _WORD(0), _WORD(0))
        return cls(*(builder.extract_value(k, i) for i in range(4)))


class Operand(NamedTuple):
    """A matrix inside an array, as IR values: pointer to its first element, and two strides."""

    pointer: Any
    row: Any
    k: Any


def _multiply_add(b: ir.IRBuilder, a: list[Any], panel: list[Any], sums: list[Any]) -> list[Any]:
    """Emit sums[r, v] + A[r] * B[v], keeping the shorter of A and B in registers.

    ``a`` and ``panel`` hold functions that emit the load of one vector; those of A have one number
    in all lanes, and as many lanes as the widest of B. The longer side is then loaded one at a
    time, so that the whole fits the register file.
    """
    rows, width = len(a), len(panel)
    new = list(sums)

    def add(i: int, element: Any, column: Any) -> None:
        element = _first_lanes(b, element, column.type.count)
        new[i] = call_llvm(b, "fmuladd", [element, column, sums[i]])

    if rows <= width:
        held = [emit() for emit in a]
        for v in range(width):
            column = panel[v]()
            for r in range(rows):
                add(r * width + v, held[r], column)
    else:
        held = [emit() for emit in panel]
        for r in range(rows):
            element = a[r]()
            for v in range(width):
                add(r * width + v, element, held[v])
    return new


def _first_lanes(b: ir.IRBuilder, value: Any, count: int) -> Any:
    if count == value.type.count:
        return value
    mask = ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(count)))
    return b.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask)


def _filled(b: ir.IRBuilder, value: Any, vector: Any) -> Any:
    """``value``, with zeros behind it if it is shorter than a ``vector``."""
    if value.type == vector:
        return value
    mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), list(range(vector.count)))
    return b.shuffle_vector(value, ir.Constant(value.type, None), mask)


def _not_unrolled(module: ir.Module) -> Any:
    """Loop metadata that says that the body is long enough: unrolling only costs compilation."""
    disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = module.add_metadata([ir.MetaDataString(module, f"loop {len(module.metadata)}"), disable])
    loop.operands = (loop, disable)
    return loop


def emit_tile(
    b: ir.IRBuilder, vector: Any, rows: int, runs: Runs, a: Operand,
    panels: list[tuple[Operand, list[Any]]], d: Operand, c: Operand,
) -> None:  # fmt: skip
    """Emit a tile of ``rows`` rows and, of each panel, vectors that lie as those of type ``vector``
    do, of which only so many lanes are computed as the listed types have: zeros follow."""
    align = 8 if isinstance(vector.element, ir.DoubleType) else 4
    kinds = [kind for _, own in panels for kind in own]
    columns, widest = len(kinds), max(kinds, key=lambda kind: kind.count)

    def vector_at(pointer: Any, v: int, kind: Any) -> Any:
        return b.bitcast(b.gep(pointer, [_WORD(v * vector.count)]), kind.as_pointer())

    def row_of(matrix: Operand, r: int) -> Any:
        return b.gep(matrix.pointer, [b.mul(matrix.row, _WORD(r))])

    places = [(r, v) for r in range(rows) for v in range(columns)]
    start = [b.load(vector_at(row_of(d, r), v, kinds[v]), align=align) for r, v in places]
    for r in range(rows):
        for v in range(0, columns, max(1, 64 // (align * vector.count))):
            ask_ir(b, vector_at(row_of(d, rows + r), v, vector), nearness=3)
    a_rows = [row_of(a, r) for r in range(rows)]
    names = ("head", "body", "gap", "skip", "done")
    before, blocks = b.block, [b.append_basic_block(f"tile.{name}") for name in names]
    head, body, gap, skip, done = blocks
    b.branch(head)

    b.position_at_end(head)
    end, count, a_offset, *offsets = (b.phi(_WORD) for _ in range(3 + len(panels)))
    sums = [b.phi(kinds[v]) for _, v in places]
    b.cbranch(b.icmp_signed("<", count, end), body, gap)

    b.position_at_end(gap)
    b.cbranch(b.icmp_signed("<", count, runs.total), skip, done)
    b.position_at_end(skip)
    over = [b.add(end, runs.later), count, b.add(a_offset, b.mul(a.k, runs.gap)), *offsets, *sums]
    b.branch(head)

    b.position_at_end(body)
    panel_rows = [
        (b.gep(panel.pointer, [offset]), v, kind)
        for (panel, own), offset in zip(panels, offsets, strict=True)
        for v, kind in enumerate(own)
    ]
    new = _multiply_add(
        b,
        [lambda p=p: splat_ir(b, widest, b.load(b.gep(p, [a_offset]))) for p in a_rows],
        [lambda at=at: b.load(vector_at(*at), align=align) for at in panel_rows],
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
        b.store(_filled(b, value, vector), vector_at(row_of(c, r), v, vector), align=align)


def operand(context: Any, builder: ir.IRBuilder, kind: Any, matrix: Any) -> Operand:
    array, first, *strides = (builder.extract_value(matrix, i) for i in range(len(kind)))
    return Operand(address(context, builder, kind[0], array, first), *strides)


def switch(builder: ir.IRBuilder, key: Any, cases: dict[int, Callable[[], None]]) -> None:
    """Emit the case whose number ``key`` is."""
    end = builder.append_basic_block("tile.end")
    branches = builder.switch(key, end)
    for number, emit in cases.items():
        case = builder.append_basic_block(f"tile.{number}")
        branches.add_case(_WORD(number), case)
        builder.position_at_end(case)
        emit()
        builder.branch(end)
    builder.position_at_end(end)
