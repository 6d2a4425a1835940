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
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.lib.stride_tricks import as_strided

from .compile import JIT, piece
from .lone_ir import emit_lone
from .target import lanes_of, target
from .tile_ir import Runs, emit_tile, operand, switch
from .vector import Vec

__all__ = [
    "LONE_WIDTH",
    "TILE_ROWS",
    "even_tile",
    "half_tile",
    "lone_tile",
    "narrow_height",
    "panel_tile",
    "tile",
    "tile_height",
    "tile_row",
]

TILE_ROWS = target().tile_rows
"""The most rows that a tile of 4 vectors takes."""
_NARROW_ROWS = target().narrow_rows
"""The most rows that a narrower one takes."""
LONE_WIDTH = 2
"""The most vectors of a `lone_tile`: four keep enough sums going by themselves."""
TAIL_WIDTHS = 3, 4
"""Vectors of a `tail_tile`: of fewer, half of one is seldom met."""
_PAIRS = (1, 0), (2, 0), (3, 0), (4, 0), (2, 3), (3, 3), (3, 4), (4, 4)
"""Vectors of the panels of a `tile_row`: a narrower one has none beside it, see `panel_bounds`."""
_MOST_ROWS = tuple({TILE_ROWS, _NARROW_ROWS})
"""Rows of a `tails_tile`."""
_TAIL_ROWS = tuple({2, 4, *_MOST_ROWS})
"""Rows of a `tail_tile`: those that are met most."""


def _runs_type(k: Any) -> Any:
    return types.intp if isinstance(k, types.Integer) else types.UniTuple(types.intp, 4)


def _matrix_type(matrix: Any) -> types.Tuple:
    return types.Tuple((matrix[0], types.intp, types.intp, types.intp))


def _compiled(
    inner: int,
    last: int,
    heights: tuple[int, ...] = tuple(range(1, max(TILE_ROWS, _NARROW_ROWS) + 1)),
    known: tuple[int, ...] = (1, 2, 3, 4),
) -> Callable[..., Any]:
    """The tile that computes only a part of each vector.

    inner, last : one over that part, of the vectors before the last and of the last.
    heights, known : the rows and the widths that may come: each case takes time to compile.
    """

    def compiled(
        typing_context: Any, rows: Any, width: Any, k: Any, a: Any, b: Any, d: Any, c: Any
    ) -> Any:
        """Emit a switch over the tile's rows (and its width, unless that is a literal)."""
        n = types.intp
        if isinstance(width, types.IntegerLiteral):
            widths = [width.literal_value]
        else:
            widths, width = list(known), n
        vec = Vec(c[0].dtype)

        def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            vector = context.get_value_type(vec)
            front, tail = (
                ir.VectorType(vector.element, vector.count // parts) for parts in (inner, last)
            )
            kinds = zip(signature.args[3:], args[3:], strict=True)
            a, b, d, c = (operand(context, builder, kind, matrix) for kind, matrix in kinds)
            runs = Runs.of(builder, signature.args[2], args[2])
            key = builder.mul(args[0], ir.IntType(64)(8))
            if len(widths) > 1:
                key = builder.add(key, args[1])
            cases = {
                8 * r + (w if len(widths) > 1 else 0): partial(
                    emit_tile, builder, vector, r, runs, a, [(b, [front] * (w - 1) + [tail])], d, c
                )
                for w in widths
                for r in heights
                if r <= (TILE_ROWS if w == 4 else _NARROW_ROWS)
            }
            switch(builder, key, cases)
            return context.get_dummy_value()

        return types.none(n, width, _runs_type(k), *map(_matrix_type, (a, b, d, c))), emit

    return compiled


def _compiled_row(
    typing_context: Any, width: Any, other: Any, k: Any, a: Any, b: Any, b2: Any, d: Any, c: Any
) -> Any:
    """Emit a switch over the widths of the two panels."""
    n = types.intp
    vec = Vec(c[0].dtype)

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        vector = context.get_value_type(vec)
        a, b, b2, d, c = (
            operand(context, builder, signature.args[i], args[i]) for i in range(3, 8)
        )
        runs = Runs.of(builder, signature.args[2], args[2])
        cases = {}
        for w, w2 in _PAIRS:
            panels = [(b, [vector] * w), (b2, [vector] * w2)][: 1 + (w2 > 0)]
            cases[8 * w + w2] = partial(emit_tile, builder, vector, 1, runs, a, panels, d, c)
        key = builder.add(builder.mul(args[0], ir.IntType(64)(8)), args[1])
        switch(builder, key, cases)
        return context.get_dummy_value()

    return types.none(n, n, _runs_type(k), *map(_matrix_type, (a, b, b2, d, c))), emit


def _compiled_lone(typing_context: Any, width: Any, k: Any, a: Any, b: Any, d: Any, c: Any) -> Any:
    """Emit a switch over the width."""
    vec = Vec(c[0].dtype)

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        vector = context.get_value_type(vec)
        matrices = [operand(context, builder, signature.args[i], args[i]) for i in range(2, 6)]
        runs = Runs.of(builder, signature.args[1], args[1])
        cases = {
            w: partial(emit_lone, builder, vector, w, runs, *matrices)
            for w in range(1, LONE_WIDTH + 1)
        }
        switch(builder, args[0], cases)
        return context.get_dummy_value()

    return types.none(types.intp, _runs_type(k), *map(_matrix_type, (a, b, d, c))), emit


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


def _plain_lone(width: int, k: _Steps, a: Any, b: Any, d: Any, c: Any) -> None:
    _plain(1, width, k, a, b, d, c)


def _plain_row(width: int, other: int, k: _Steps, a: Any, b: Any, b2: Any, d: Any, c: Any) -> None:
    column = width * lanes_of(c[0].dtype)
    d2, c2 = ((m[0], m[1] + column, *m[2:]) for m in (d, c))
    _plain(1, width, k, a, b, d, c)
    _plain(1, other, k, a, b2, d2, c2)


tile = intrinsic(prefer_literal=True)(_compiled(inner=1, last=1)) if JIT else _plain
"""``tile(rows, width, k, A, B, D, C)``: each matrix is (array, first, row stride, k stride).

``rows`` is what `tile_height` says, or `narrow_height` for up to 3 vectors; ``width`` 1 to 4
vectors, a literal where it can be. A's strides are those of its two indices; B has only the stride
of k, D and C only that of rows (their other stride is not used). C may be D.
"""

half_tile = intrinsic(prefer_literal=True)(_compiled(inner=2, last=2)) if JIT else _plain
"""As `tile`, but only the first half of every vector is computed, and the second becomes zero.

For the last units of gates, where the second halves are padding.
"""

_SEVERAL = tuple(range(2, max(TILE_ROWS, _NARROW_ROWS) + 1))
even_tile = intrinsic(_compiled(1, 1, _SEVERAL, (2, 4))) if JIT else _plain
"""As `tile`, of two rows or more and of two or four vectors: it takes less time to compile."""

tail_tile = intrinsic(_compiled(1, 2, _TAIL_ROWS, TAIL_WIDTHS)) if JIT else _plain
"""As `tile`, but only the first half of the last vector is computed, and the second becomes zero.

For the last columns, where what follows is padding; of `TAIL_WIDTHS` and `_TAIL_ROWS`.
"""

tails_tile = intrinsic(_compiled(2, 2, _MOST_ROWS, TAIL_WIDTHS)) if JIT else _plain
"""As `half_tile`, but of `TAIL_WIDTHS` and `_MOST_ROWS`."""

tile_row = intrinsic(_compiled_row) if JIT else _plain_row
"""``tile_row(width, other, k, A, B1, B2, D, C)``: one row times two panels, or one.

With one row, a panel has too few sums going to hide the latency of its additions; two have enough.
``other`` is the width of the second, that of the first or one more; 0 if there is none. Its columns
follow those of the first in D and C.
"""

lone_tile = intrinsic(_compiled_lone) if JIT else _plain_lone
"""``lone_tile(width, k, A, B, D, C)``: one row times one panel of 1 or 2 vectors, that has no other
beside it. A sum's terms are added in another order than in the other tiles, see `emit_lone`.
"""


@piece
def panel_tile(height, width, cut, k, a, b, d, c):
    """The `tile` for a panel of which so many vectors end in padding: none, the last one or all."""
    if cut == 1 and width in TAIL_WIDTHS and height in _TAIL_ROWS:
        tail_tile(height, width, k, a, b, d, c)
    elif cut > 1 and width in TAIL_WIDTHS and height in _MOST_ROWS:
        tails_tile(height, width, k, a, b, d, c)
    else:
        tile(height, width, k, a, b, d, c)


@piece
def tile_height(left):
    """Rows that the next tile takes of ``left``: never so many that a single one is left over.

    One row keeps too few sums going, see `tile_row`; two keep enough.
    """
    if left == TILE_ROWS + 1:
        return TILE_ROWS - 1
    return TILE_ROWS if left > TILE_ROWS else left


@piece
def narrow_height(left):
    """As `tile_height`, for a tile of 3 vectors or less."""
    if left == _NARROW_ROWS + 1:
        return _NARROW_ROWS - 1
    return _NARROW_ROWS if left > _NARROW_ROWS else left
