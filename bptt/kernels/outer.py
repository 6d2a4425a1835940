"""The gradient of weights: a sum of outer products over all steps and lanes.

A block of rows is added up at a time. Numbers that many panels need are sorted first, into the
order in which the tiles read them, and a panel of the error is copied if it then stays in the first
cache: so no tile strides through memory again and again. All others are read where they lie.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from .compile import apart_kernel, kernel, piece
from .packing import FULL, panel_bounds
from .sorted_rows import sort_rows, sorted_width
from .target import FAR, NEAR, lanes_of, target
from .tile import TILE_ROWS, panel_tile
from .vector import ask_row, flat, lanes, load, store

__all__ = ["accumulate", "accumulate_both", "put_last", "scratch_sizes"]

_BLOCK = 192
"""Rows of the sum over time and lanes that are added up at a time: they fit the nearer caches."""
_RUN = 16 * _BLOCK
"""Rows that the sums take up before they are added to the outputs and begin anew: a long sum loses
the digits of what is added to it."""
_READS = 24
"""How often a line of 16 numbers is read where it lies, at most; else it pays to sort them."""
_PANEL_NEAR = _BLOCK * FULL * target().vector_bytes <= NEAR
"""Whether a panel of the error, once gathered, stays in the first cache: else it does not pay."""


def scratch_sizes(n: int, g_row: int, dtype: DTypeLike) -> tuple[int, int, int]:
    """Elements of `accumulate`'s scratch ``panel``, ``rows`` and ``sums``.

    n : rows of the weights and the bias together.
    g_row : interleaved columns, G·Np.
    """
    panel = FULL * lanes_of(dtype)
    return _BLOCK * panel, _BLOCK * sorted_width(n), n * g_row + panel + 1


@apart_kernel
def _gather_panel(g, first, row, count, columns, panel):
    """Copy ``count`` rows of a panel of the error to where they lie side by side."""
    for k in range(count):
        for v in range(0, columns, lanes(g)):
            store(panel, k * columns + v, load(g, first + k * row + v))


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
    ahead : what is asked for meanwhile, a part with every tile, of which ``part`` is the first; and
        how many of the sums that the next tile adds to.

    Returns the next part.
    """
    (a, first, step, row), (g, g_first, g_row, w, cut) = side, panel
    columns, repeated, b = w * lanes(sums), start != at, (g, g_first, 0, g_row)
    ahead_g, ahead_h, ahead_sums = ahead
    far = ahead_g[1] > 0  # What is near need not be asked for.
    for i in range(0, n, TILE_ROWS):
        height = TILE_ROWS if n - i > TILE_ROWS else n - i
        out = (sums, at + columns * i, columns, 0)
        left, before = (a, first, 1, row), (sums, start, 0, 0) if repeated else out
        ask_row(sums, at + columns * i + ahead_sums, ahead_sums)
        panel_tile(height, w, cut, count, left, b, before, out)
        if far:
            _ask_for(*ahead_g, part)
            _ask_for(*ahead_h, part)
        first += step
        part += 1
    return part


@apart_kernel
def _scatter_panel(n, sums, at, columns, first, gates, units, adds, out):
    """Write ``n`` rows of a finished panel where they belong in ``out`` (n, G·N), or add them."""
    lane_count = lanes(sums)
    for v in range(columns // lane_count):
        unit = (first + v) // gates * lane_count
        real = lane_count if unit + lane_count <= units else units - unit
        source, to = at + v * lane_count, (first + v) % gates * units + unit
        if real == lane_count:
            for i in range(n):
                here = to + i * out.shape[1]
                value = load(sums, source + i * columns)
                store(out, here, value + load(out, here) if adds else value)
        else:
            for i in range(n):
                for lane in range(real):
                    value = sums[source + i * columns + lane]
                    out[i, to + lane] = value + out[i, to + lane] if adds else value


@piece
def _scatter_bias(sums, at, columns, first, gates, units, adds, db):
    """The same for one row, and ``db`` of the last columns."""
    size, none = lanes(sums), gates * units - db.size
    for v in range(columns // size):
        unit = (first + v) // gates * size
        to = (first + v) % gates * units + unit - none
        if to >= 0:
            for lane in range(min(size, units - unit)):
                value = sums[at + v * size + lane]
                db[to + lane] = value + db[to + lane] if adds else value


@apart_kernel
def _scatter(sums, base, gates, out, adds, panels, begin, stop):
    """Write panels ``begin`` to ``stop`` of the sums from ``base`` on where they belong, or add
    them to what is there."""
    dwx, dwh, db = out
    size, units = lanes(sums), dwx.shape[1] // gates
    n_x, n_h = dwx.shape[0], dwh.shape[0]
    n = n_x + n_h + 1
    for p in range(begin, stop):
        first, end = panel_bounds(p, panels)
        columns = (end - first) * size
        at = base + first * size * n
        _scatter_panel(n_x, sums, at, columns, first, gates, units, adds, dwx)
        _scatter_panel(n_h, sums, at + n_x * columns, columns, first, gates, units, adds, dwh)
        _scatter_bias(sums, at + (n - 1) * columns, columns, first, gates, units, adds, db)


@piece
def _tile_count(n):
    """Tiles of n rows of the weights."""
    return (n + TILE_ROWS - 1) // TILE_ROWS


@piece
def _add_block(x, h, g, rows_here, sizes, scratch, places, wanted):
    """Add up a block of rows.

    rows_here : the first row, how many there are, and how many in all blocks.
    sizes : rows of dWx and dWh.
    places : in the sums, where these begin, and where only zeros are, with a one behind them; and
        whether they have begun.
    The rest as in `accumulate`.
    """
    # Numba compiles a kernel once more for an argument that is a literal.
    nothing, single, step = np.int64(0), np.int64(1), np.int64(TILE_ROWS)
    (row, count, m), (n_x, n_h), (base, zeros, begun) = rows_here, sizes, places
    x_row, h_row, g_row = x.shape[2], h.shape[2], g.shape[2]
    (panel, rows, sums), (panels, cut, begin, stop) = scratch, wanted
    size, here, n = lanes(sums), row * g_row, n_x + n_h + 1
    vectors = g_row // size
    sorts = panels[0] * 16 > _READS * TILE_ROWS or n * _BLOCK > FAR // 32
    widths = (n, nothing, nothing) if sorts else (n_x, n_h, single)
    tiles = _tile_count(widths[0]) + _tile_count(widths[1]) + widths[2]
    asked = _BLOCK if m * g_row > FAR else 0
    asked_h = asked if n * g_row < FAR // 8 else 0  # Larger sums would drive them out again.
    share, share_h = _BLOCK // tiles + 1, _BLOCK // (tiles * panels[0]) + 1
    side_x, side_h = (flat(x), row * x_row, step, x_row), (flat(h), row * h_row, step, h_row)
    side_b = (sums, zeros + FULL * size, nothing, nothing)
    if sorts:
        side_x = sort_rows(side_x, side_h, count, n_x, n_h, rows)
    for p in range(begin, stop):
        first, end = panel_bounds(p, panels)
        columns = (end - first) * size
        spared = cut if end == vectors else 0
        errors = (flat(g), here + first * size, g_row, end - first, spared)
        if _PANEL_NEAR:
            _gather_panel(g, here + first * size, g_row, count, columns, panel)
            errors = (panel, nothing, columns, end - first, spared)
        next_panel = here + (end * size if end < vectors else count * g_row)
        asked_for = p * tiles * share_h
        next_rows = (h, (row + count + asked_for) * h_row, h_row)
        ahead_g = (g, next_panel, g_row), asked, share, columns
        ahead_sums = columns * step if n * g_row > FAR // 2 else nothing
        ahead = ahead_g, (next_rows, asked_h - asked_for, share_h, h_row), ahead_sums
        at, part = base + first * size * n, nothing
        sides = (side_x, widths[0]), (side_h, widths[1]), (side_b, widths[2])
        for side, width in sides:
            start = at if begun else zeros
            part = _add_outer(width, count, side, errors, start, sums, at, ahead, part)
            at += width * columns


@piece
def _block_rows(left):
    """Rows of the next block, of so many ``left``."""
    return _BLOCK if left > _BLOCK else left


@piece
def _ends(r, m):
    """Whether the block at row r of m is the last of a run."""
    return (r + _BLOCK) % _RUN == 0 or r + _BLOCK >= m


@piece
def _put_zeros(sums, zeros):
    """What `_add_block` reads there."""
    one = zeros + FULL * lanes(sums)
    sums[zeros:one], sums[one] = 0, 1


@kernel
def accumulate(x, h, g, span, gates, scratch, out, wanted):
    """The gradient of weights and bias: [x h 1].T @ g, over all rows (steps and lanes).

    x, h : in, (K, B, I or wider) and (K, B, H or wider).
    g : in, the error at the gates (K, B, G·Np), interleaved.
    span : first and last step; there may be none.
    gates : G.
    scratch : panel, rows and sums, of `scratch_sizes`.
    out : out, dWx (I, G·N), dWh (H, G·N) and db of the last columns; H may be 0.
    wanted : of the packed weights as in `panels_of` and in `padded_halves`; first and end of the
        panels that are wanted.
    """
    nothing, sums, (panels, _, begin, stop) = np.int64(0), scratch[2], wanted
    m, row = (span[1] - span[0]) * g.shape[1], span[0] * g.shape[1]
    sizes = len(out[0]), len(out[1])
    zeros = (sizes[0] + sizes[1] + 1) * g.shape[2]
    _put_zeros(sums, zeros)
    for r in range(0, max(m, 1), _BLOCK):
        here, places = (row + r, _block_rows(m - r), m), (nothing, zeros, r % _RUN > 0)
        _add_block(x, h, g, here, sizes, scratch, places, wanted)
        if _ends(r, m):
            _scatter(sums, nothing, gates, out, r >= _RUN, panels, begin, stop)


@kernel
def accumulate_both(x, h, g, last, span, gates, scratch, outs, wanted):
    """`accumulate` of [x 1].T @ g, and then of [h 1].T @ g with another last gate; a block has both
    while its errors are near.

    g : in, out; all gates of a vector of units are a panel, and the last of them is replaced.
    last : in, (K, B, Np), the last gate of g for the second sum.
    scratch : as in `accumulate`, of one row more.
    outs : out, of the first sum, and of the second.
    """
    nothing, sums, (panels, _, begin, stop) = np.int64(0), scratch[2], wanted
    m, row = (span[1] - span[0]) * g.shape[1], span[0] * g.shape[1]
    second = (len(outs[0][0]) + 1) * g.shape[2]
    zeros = second + (len(outs[1][0]) + 1) * g.shape[2]
    _put_zeros(sums, zeros)
    for r in range(0, max(m, 1), _BLOCK):
        here = row + r, _block_rows(m - r), m
        for of_h in range(2):
            if of_h:
                put_last(g, last, here[0], here[1], gates, begin, stop)
            a, n, base = (h, len(outs[1][0]), second) if of_h else (x, len(outs[0][0]), nothing)
            sizes, places = (n, nothing), (base, zeros, r % _RUN > 0)
            _add_block(a, a, g, here, sizes, scratch, places, wanted)
        if _ends(r, m):
            _scatter(sums, nothing, gates, outs[0], r >= _RUN, panels, begin, stop)
            _scatter(sums, second, gates, outs[1], r >= _RUN, panels, begin, stop)


@kernel
def put_last(g, last, row, count, gates, begin, stop):
    """Write vectors ``begin`` to ``stop`` of ``last`` (K, B, Np) over the last gate of the same
    units in g (K, B, G·Np), in ``count`` rows from ``row`` on."""
    size = lanes(g)
    for r in range(row, row + count):
        at, to = r * last.shape[2], r * g.shape[2] + (gates - 1) * size
        for v in range(begin, stop):
            store(g, to + v * gates * size, load(last, at + v * size))
