"""The gradient of weights: a sum of outer products over all steps and lanes.

A block of rows is gathered at a time: of the error one panel, of the other side all numbers, each
in the order in which the tiles read them. So no tile strides through memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from .compile import kernel
from .moves import copier
from .packing import FULL, panel_bounds, panel_count
from .target import lanes_of
from .tile import TILE_ROWS, tile, tile_count, tile_height
from .vector import lanes, load, splat, store

__all__ = ["accumulate", "scratch_sizes"]

_BLOCK = 192
"""Rows of the sum over time and lanes that are gathered at a time: they fit the nearer caches."""
_ROW = -(-TILE_ROWS // 4) * 4
"""Places that a tile's share of a gathered row takes, so that it is copied in whole vectors."""
_copy_row = copier(_ROW)


def scratch_sizes(n: int, g_row: int, dtype: DTypeLike) -> tuple[int, int, int]:
    """Elements of `accumulate`'s scratch ``panel``, ``rows`` and ``sums``.

    n : rows of the weights and the bias together.
    g_row : interleaved columns, G·Np.
    """
    tiles = -(-n // TILE_ROWS) + 2
    return _BLOCK * 4 * lanes_of(dtype) + 1, _BLOCK * tiles * _ROW, n * g_row


@kernel
def _gather_panel(g, first, row, count, columns, panel):
    """Copy ``count`` rows of a panel of the error to where they lie side by side."""
    for k in range(count):
        for v in range(0, columns, lanes(g)):
            store(panel, k * columns + v, load(g, first + k * row + v))


@kernel
def _gather_rows(a, first, row, count, n, to, rows):
    """Copy ``count`` rows of n numbers to ``rows``, tile by tile, each as its product reads it.

    A tile's numbers of a row take `_ROW` places, of which the last may hold anything.
    """
    source = a.reshape(a.size)
    whole = (n - _ROW) // TILE_ROWS * TILE_ROWS if n > _ROW else 0
    at = to
    for i in range(first, first + whole, TILE_ROWS):
        for k in range(count):
            _copy_row(a, i + k * row, rows, at)
            at += _ROW
    i = whole
    while i < n:
        height = tile_height(n - i)
        for k in range(count):
            for j in range(height):
                rows[at + j] = source[first + k * row + i + j]
            at += _ROW
        i += height


@kernel
def _add_outer(n, count, rows, start, step, columns, w, panel, sums, at):
    """Add A.T @ panel to the ``n`` rows of ``sums`` that start at ``at``.

    rows, start : A (count, n) as `_gather_rows` left it.
    step : `_ROW`; or 0 where A is one number, at ``start``, repeated.
    """
    i = 0
    while i < n:
        height = tile_height(n - i)
        tile(
            height,
            w,
            count,
            (rows, start, 1, step),
            (panel, 0, 0, columns),
            (sums, at + i * columns, columns, 0),
            (sums, at + i * columns, columns, 0),
        )
        start += step * count
        i += height


@kernel
def _scatter_panel(n, sums, at, columns, first, gates, units, out):
    """Write ``n`` rows of a finished panel where they belong in ``out`` (n, G·N)."""
    lane_count = lanes(sums)
    for i in range(n):
        for v in range(columns // lane_count):
            unit = (first + v) // gates * lane_count
            real = lane_count if unit + lane_count <= units else units - unit
            source, to = at + i * columns + v * lane_count, (first + v) % gates * units + unit
            if real == lane_count:
                store(out, to + i * out.shape[1], load(sums, source))
            else:
                for lane in range(real):
                    out[i, to + lane] = sums[source + lane]


@kernel
def accumulate(m, rows_x, rows_h, rows_g, gates, scratch, out):
    """The gradient of weights and bias: [x h 1].T @ g, over all rows (steps and lanes).

    m : rows.
    rows_x, rows_h : in, of arrays (K, B, I or wider) and (K, B, H or wider), as in `product`.
    rows_g : in, of the error at the gates (K, B, G·Np), interleaved.
    gates : G.
    scratch : panel, rows and sums, of `scratch_sizes`.
    out : out, dWx (I, G·N), dWh (H, G·N) and db (1, G·N); H may be 0.
    """
    # Numba compiles a kernel once more for every argument that is a literal; these are not.
    nothing, single, place = np.int64(0), np.int64(1), np.int64(_ROW)
    (x, x_first, x_row), (h, h_first, h_row), (g, g_first, g_row) = rows_x, rows_h, rows_g
    panel, rows, sums = scratch
    dwx, dwh, db = out
    size = lanes(sums)
    n_x, n_h, units = dwx.shape[0], dwh.shape[0], db.shape[1] // gates
    n = n_x + n_h + 1
    vectors = g_row // size
    one = panel.size - 1
    panel[one] = 1
    for i in range(0, n * g_row, size):
        store(sums, i, splat(sums, 0.0))
    panels = panel_count(vectors, FULL)
    for r in range(0, m, _BLOCK):
        count = _BLOCK if m - r > _BLOCK else m - r
        after_x = tile_count(n_x) * place * count
        _gather_rows(x, x_first + r * x_row, x_row, count, n_x, nothing, rows)
        _gather_rows(h, h_first + r * h_row, h_row, count, n_h, after_x, rows)
        for p in range(panels):
            first, end = panel_bounds(p, vectors, panels)
            w = end - first
            columns = w * size
            at = first * size * n
            error = g_first + r * g_row + first * size
            _gather_panel(g, error, g_row, count, columns, panel)
            _add_outer(n_x, count, rows, nothing, place, columns, w, panel, sums, at)
            at += n_x * columns
            _add_outer(n_h, count, rows, after_x, place, columns, w, panel, sums, at)
            at += n_h * columns
            _add_outer(single, count, panel, one, nothing, columns, w, panel, sums, at)
    for p in range(panels):
        first, end = panel_bounds(p, vectors, panels)
        columns = (end - first) * size
        at = first * size * n
        _scatter_panel(n_x, sums, at, columns, first, gates, units, dwx)
        _scatter_panel(n_h, sums, at + n_x * columns, columns, first, gates, units, dwh)
        _scatter_panel(single, sums, at + (n - 1) * columns, columns, first, gates, units, db)
