"""Rows of numbers in the order in which tiles read them, for the gradient of weights."""

from __future__ import annotations

import numpy as np

from .compile import apart_kernel, piece
from .moves import copier
from .tile import TILE_ROWS

__all__ = ["sort_rows", "sorted_width"]

_NEAR = 32
"""Rows of those whose numbers are sorted by tiles at a time: they fit the first cache."""
_ROW = -(-TILE_ROWS // 4) * 4
"""Places that a tile's share of a gathered row takes, so that it is copied in whole vectors."""
_copy_row = copier(_ROW)


def sorted_width(n: int) -> int:
    """Numbers that n take when sorted."""
    return _ROW * -(-n // TILE_ROWS)


@piece
def _place(i, count):
    """Where row i of the weights begins in ``count`` gathered rows."""
    return i // TILE_ROWS * _ROW * count + i % TILE_ROWS


@apart_kernel
def _gather_rows(side, count, n, i, rows):
    """Copy ``count`` rows of n numbers, which belong to rows i to i + n of the weights.

    side : as in `_add_outer`.
    rows : out, tile by tile as they are read; of a tile's `_ROW` places the last may hold anything.
    """
    a, first, _, row = side
    for near in range(0, count, _NEAR):
        stop = near + _NEAR if near + _NEAR < count else count
        j = 0
        while j < n:
            at = _place(i + j, count)
            if (i + j) % TILE_ROWS == 0 and j + _ROW <= n:
                for k in range(near, stop):
                    _copy_row(a, first + k * row + j, rows, at + k * _ROW)
                j += TILE_ROWS
            else:
                for k in range(near, stop):
                    rows[at + k * _ROW] = a[first + k * row + j]
                j += 1


@apart_kernel
def sort_rows(side_x, side_h, count, n_x, n_h, rows):
    """[x h 1] of ``count`` rows, sorted by tiles into ``rows``, as a side of its own."""
    nothing, step = np.int64(0), np.int64(_ROW)
    _gather_rows(side_x, count, n_x, nothing, rows)
    _gather_rows(side_h, count, n_h, n_x, rows)
    for k in range(count):
        rows[_place(n_x + n_h, count) + k * _ROW] = 1
    return rows, nothing, count * step, step
