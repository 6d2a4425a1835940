"""A row times a panel that has no other beside it, emitted as LLVM vector instructions.

Every addition to a sum waits for the one before, so one row and one panel keep a core idle for most
of the time. Here each number of the result has several sums, which take every so many-th term::

    chains = 4      s0 = d + a0 b0 + a4 b4 + ...     s1 = a1 b1 + a5 b5 + ...     ...
                    c  = (s0 + s1) + (s2 + s3)
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .tile_ir import Operand, Runs
from .vector import call_llvm, splat_ir

__all__ = ["emit_lone"]

_WORD = ir.IntType(64)
_SUMS = 8
"""Vectors of sums that go on at the same time: an addition takes four or five cycles, and one or
two can begin in each."""


def emit_lone(
    b: ir.IRBuilder, vector: Any, width: int, runs: Runs, a: Operand, panel: Operand, d: Operand,
    c: Operand,
) -> None:  # fmt: skip
    """Emit one row times one or two (``width``) vectors of type ``vector``."""
    align = 8 if isinstance(vector.element, ir.DoubleType) else 4
    chains = _SUMS // width

    def at(pointer: Any, offset: Any, v: int) -> Any:
        place = b.gep(b.gep(pointer, [offset]), [_WORD(v * vector.count)])
        return b.bitcast(place, vector.as_pointer())

    zero = ir.Constant(vector, None)
    start = [b.load(at(d.pointer, _WORD(0), v), align=align) for v in range(width)]
    start += [zero] * (chains - 1) * width
    names = ("head", "several", "rest", "one", "gap", "skip", "done")
    before, blocks = b.block, [b.append_basic_block(f"lone.{name}") for name in names]
    head, several, rest, one, gap, skip, done = blocks
    b.branch(head)

    b.position_at_end(head)
    counters = end, count, a_offset, b_offset = [b.phi(_WORD) for _ in range(4)]
    sums = [b.phi(vector) for _ in start]
    b.cbranch(b.icmp_signed("<=", b.add(count, _WORD(chains)), end), several, rest)
    b.position_at_end(rest)
    b.cbranch(b.icmp_signed("<", count, end), one, gap)
    b.position_at_end(gap)
    b.cbranch(b.icmp_signed("<", count, runs.total), skip, done)

    def moved(terms: int) -> list[Any]:
        """Emit so many terms, one for each of the first chains, and what is then known."""
        new, a_at, b_at = list(sums), a_offset, b_offset
        for chain in range(terms):
            element = splat_ir(b, vector, b.load(b.gep(a.pointer, [a_at])))
            for v in range(width):
                column = b.load(at(panel.pointer, b_at, v), align=align)
                i = chain * width + v
                new[i] = call_llvm(b, "fmuladd", [element, column, new[i]])
            a_at, b_at = b.add(a_at, a.k), b.add(b_at, panel.k)
        values = [end, b.add(count, _WORD(terms)), a_at, b_at, *new]
        b.branch(head)
        return values

    ways = [(before, [runs.first, _WORD(0), _WORD(0), _WORD(0), *start])]
    for block, terms in (several, chains), (one, 1):
        b.position_at_end(block)
        ways.append((block, moved(terms)))
    b.position_at_end(skip)
    further, over = b.add(end, runs.later), b.add(a_offset, b.mul(a.k, runs.gap))
    ways.append((skip, [further, count, over, b_offset, *sums]))
    b.branch(head)
    for block, values in ways:
        for phi, value in zip([*counters, *sums], values, strict=True):
            phi.add_incoming(value, block)

    b.position_at_end(done)
    for v in range(width):
        left = sums[v::width]
        while len(left) > 1:
            left = [b.fadd(one, other) for one, other in zip(left[::2], left[1::2], strict=True)]
        b.store(left[0], at(c.pointer, _WORD(0), v), align=align)
