"""The gradient of weights: a sum of outer products over all steps and lanes.

A block of rows is added up at a time. Numbers that many panels need are sorted first, into the
order in which the tiles read them, and a panel of the error is copied if it then stays in the first
cache: so no tile strides through memory again and again. All others are read where they lie.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from .compile import apart_kernel, kernel, piece
from .moves import copier
from .packing import FULL, panel_bounds
from .target import FAR, NEAR, lanes_of, target
from .tile import TILE_ROWS, panel_tile
from .vector import ask_row, flat, lanes, load, store

__all__ = ["accumulate", "scratch_sizes"]

_BLOCK = 192
"""Rows of the sum over time and lanes that are added up at a time: they fit the nearer caches."""
_READS = 24
"""How often a line of 16 numbers is read where it lies, at most; else it pays to sort them."""
_PANEL_NEAR = _BLOCK * FULL * target().vector_bytes <= NEAR
"""Whether a panel of the error, once gathered, stays in the first cache: else it does not pay."""
_NEAR = 32
"""Rows of those whose numbers are sorted by tiles at a time: they fit the first cache."""
_ROW = -(-TILE_ROWS // 4) * 4
"""Places that a tile's share of a gathered row takes, so that it is copied in whole vectors."""
_copy_row = copier(_ROW)


def scratch_sizes(n: int, g_row: int, dtype: DTypeLike) -> tuple[int, int, int]:
    """Elements of `accumulate`'s scratch ``panel``, ``rows`` and ``sums``.

    n : rows of the weights and the bias together.
    g_row : interleaved columns, G·Np.
    """
    panel = FULL * lanes_of(dtype)
    return _BLOCK * panel, _BLOCK * _ROW * -(-n // TILE_ROWS), n * g_row + panel + 1


@apart_kernel
def _gather_panel(g, first, row, count, columns, panel):
    """Copy ``count`` rows of a panel of the error to where they lie side by side."""
    for k in range(count):
        for v in range(0, columns, lanes(g)):
            store(panel, k * columns + v, load(g, first + k * row + v))


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
def _ask_for(rows, count, share, columns, part):
    """Ask for the first columns of ``count`` rows, of which each part has its share."""
    a, first, row = rows
    for k in range(share * part, min(share * (part + 1), count)):
        ask_row(a, first + k * row, columns)


@apart_kernel
def _add_outer(n, count, side, panel, start, sums, at, ahead, part):
    """Rows of ``sums`` from ``at`` on = those of ``sums`` from ``start`` on + A.T @ panel.

    n, count : columns and rows of A.
    side : of A a flat array, where its first row begins, and from one to the next the numbers of
        its tiles, and of its rows.
    panel : an array, where its first row begins, and numbers between two rows; then its vectors,
        and how many of them, none, the last one or all, end in padding, of which nothing is wanted.
    start : as ``at``; or, where only zeros are, those, which are then read for every row.
    ahead : what is asked for meanwhile, a part with every tile; ``part`` is the first.

    Returns the next part.
    """
    (a, first, step, row), (g, g_first, g_row, w, cut) = side, panel
    columns, repeated, b = w * lanes(sums), start != at, (g, g_first, 0, g_row)
    ahead_g, ahead_h = ahead
    far = ahead_g[1] > 0  # What is near need not be asked for.
    for i in range(0, n, TILE_ROWS):
        height = TILE_ROWS if n - i > TILE_ROWS else n - i
        out = (sums, at + columns * i, columns, 0)
        left, before = (a, first, 1, row), (sums, start, 0, 0) if repeated else out
        panel_tile(height, w, cut, count, left, b, before, out)
        if far:
            _ask_for(*ahead_g, part)
            _ask_for(*ahead_h, part)
        first += step
        part += 1
    return part


@apart_kernel
def _scatter_panel(n, sums, at, columns, first, gates, units, out):
    """Write ``n`` rows of a finished panel where they belong in ``out`` (n, G·N)."""
    lane_count = lanes(sums)
    for v in range(columns // lane_count):
        unit = (first + v) // gates * lane_count
        real = lane_count if unit + lane_count <= units else units - unit
        source, to = at + v * lane_count, (first + v) % gates * units + unit
        if real == lane_count:
            for i in range(n):
                store(out, to + i * out.shape[1], load(sums, source + i * columns))
        else:
            for i in range(n):
                for lane in range(real):
                    out[i, to + lane] = sums[source + i * columns + lane]


@piece
def _scatter_bias(sums, at, columns, first, gates, units, db):
    """The same for one row, and ``db`` of the last columns."""
    size, none = lanes(sums), gates * units - db.size
    for v in range(columns // size):
        unit = (first + v) // gates * size
        to = (first + v) % gates * units + unit - none
        if to >= 0:
            for lane in range(min(size, units - unit)):
                db[to + lane] = sums[at + v * size + lane]


@apart_kernel
def _scatter(sums, gates, out, panels, begin, stop):
    """Write panels ``begin`` to ``stop`` where they belong."""
    dwx, dwh, db = out
    size, units = lanes(sums), dwx.shape[1] // gates
    n_x, n_h = dwx.shape[0], dwh.shape[0]
    n, vectors = n_x + n_h + 1, (units + size - 1) // size * gates
    for p in range(begin, stop):
        first, end = panel_bounds(p, vectors, panels)
        columns = (end - first) * size
        at = first * size * n
        _scatter_panel(n_x, sums, at, columns, first, gates, units, dwx)
        _scatter_panel(n_h, sums, at + n_x * columns, columns, first, gates, units, dwh)
        _scatter_bias(sums, at + (n - 1) * columns, columns, first, gates, units, db)


@piece
def _tile_count(n):
    """Tiles of n rows of the weights."""
    return (n + TILE_ROWS - 1) // TILE_ROWS


@apart_kernel
def _sort_rows(side_x, side_h, count, n_x, n_h, rows):
    """[x h 1] of ``count`` rows, sorted by tiles into ``rows``, as a side of its own."""
    nothing, step = np.int64(0), np.int64(_ROW)
    _gather_rows(side_x, count, n_x, nothing, rows)
    _gather_rows(side_h, count, n_h, n_x, rows)
    for k in range(count):
        rows[_place(n_x + n_h, count) + k * _ROW] = 1
    return rows, nothing, count * step, step


@kernel
def accumulate(x, h, g, span, gates, scratch, out, panels, cut, begin, stop):
    """The gradient of weights and bias: [x h 1].T @ g, over all rows (steps and lanes).

    x, h : in, (K, B, I or wider) and (K, B, H or wider).
    g : in, the error at the gates (K, B, G·Np), interleaved.
    span : first and last step; there may be none.
    gates : G.
    scratch : panel, rows and sums, of `scratch_sizes`.
    out : out, dWx (I, G·N), dWh (H, G·N) and db of the last columns; H may be 0.
    panels, cut : how many, and as in `padded_halves`, those of the packed weights.
    begin, stop : the panels that are wanted.
    """
    # Numba compiles a kernel once more for an argument that is a literal.
    nothing, single, step = np.int64(0), np.int64(1), np.int64(TILE_ROWS)
    m, row = (span[1] - span[0]) * g.shape[1], span[0] * g.shape[1]
    x_row, h_row, g_row = x.shape[2], h.shape[2], g.shape[2]
    x_first, h_first, g_first = row * x_row, row * h_row, row * g_row
    panel, rows, sums = scratch
    dwx, dwh, _ = out
    size = lanes(sums)
    n_x, n_h = dwx.shape[0], dwh.shape[0]
    n = n_x + n_h + 1
    vectors = g_row // size
    zeros = n * g_row
    one = zeros + FULL * size
    sums[zeros:one], sums[one] = 0, 1
    side_b = (sums, one, nothing, nothing)
    sorts = panels * 16 > _READS * TILE_ROWS or n * _BLOCK > FAR // 32
    widths = (n, nothing, nothing) if sorts else (n_x, n_h, single)
    tiles = _tile_count(widths[0]) + _tile_count(widths[1]) + widths[2]
    asked = _BLOCK if m * g_row > FAR else 0
    asked_h = asked if n * g_row < FAR // 8 else 0  # Larger sums would drive them out again.
    share, share_h = _BLOCK // tiles + 1, _BLOCK // (tiles * panels) + 1
    for r in range(0, max(m, 1), _BLOCK):
        count, here = _BLOCK if m - r > _BLOCK else m - r, g_first + r * g_row
        side_x = (flat(x), x_first + r * x_row, step, x_row)
        side_h = (flat(h), h_first + r * h_row, step, h_row)
        if sorts:
            side_x = _sort_rows(side_x, side_h, count, n_x, n_h, rows)
        for p in range(begin, stop):
            first, end = panel_bounds(p, vectors, panels)
            columns = (end - first) * size
            spared = cut if end == vectors else 0
            errors = (flat(g), here + first * size, g_row, end - first, spared)
            if _PANEL_NEAR:
                _gather_panel(g, here + first * size, g_row, count, columns, panel)
                errors = (panel, nothing, columns, end - first, spared)
            next_panel = here + (end * size if end < vectors else count * g_row)
            begun = p * tiles * share_h
            next_rows = (h, h_first + (r + count + begun) * h_row, h_row)
            ahead_g = (g, next_panel, g_row), asked, share, columns
            ahead = ahead_g, (next_rows, asked_h - begun, share_h, h_row)
            at, part = first * size * n, nothing
            sides = (side_x, widths[0]), (side_h, widths[1]), (side_b, widths[2])
            for side, width in sides:
                start = at if r else zeros
                part = _add_outer(width, count, side, errors, start, sums, at, ahead, part)
                at += width * columns
    _scatter(sums, gates, out, panels, begin, stop)
