"""Products with packed weights."""

from __future__ import annotations

import numpy as np

from .compile import kernel, piece
from .packing import FULL, panel_bounds
from .target import NEAR
from .tile import LONE_WIDTH, lone_tile, narrow_height, panel_tile, tile_height, tile_row
from .vector import flat, lanes

__all__ = ["back_product", "part_back_product", "part_product", "product", "row_product",
           "step_back", "step_products", "whole_rows", "whole_start", "zero_start"]  # fmt: skip


@piece
def _turned(q, turn, begin, stop):
    """Panel q of ``begin`` to ``stop``, counted from the last one at odd turns."""
    return begin + stop - 1 - q if turn % 2 == 1 else q


@kernel
def _panel_product(m, runs, rows_a, rows_b, width, cut, rows_d, rows_c):
    """`product` for one panel of ``width`` vectors; ``cut`` of them end in padding."""
    (a, a_first, a_row), (d, d_first, d_row), (c, c_first, c_row) = rows_a, rows_d, rows_c
    r = 0
    while r < m:
        height = tile_height(m - r) if width == FULL else narrow_height(m - r)
        left = (a, a_first + r * a_row, a_row, 1)
        start, out = (d, d_first + r * d_row, d_row, 0), (c, c_first + r * c_row, c_row, 0)
        panel_tile(height, width, cut, runs, left, rows_b, start, out)
        r += height


@piece
def _panel_products(m, rows_a, packed, rows_d, rows_c, turn, begin, stop):
    """`part_product` panel by panel."""
    (d, d_first, d_row), (c, c_first, c_row) = rows_d, rows_c
    b, runs, panels, cut = packed
    size, k = lanes(c), runs[0]
    for q in range(begin, stop):
        p = _turned(q, turn, begin, stop)
        first, end = panel_bounds(p, panels)
        column = first * size
        rows_b = (b, column * k, 0, (end - first) * size)
        here = (d, d_first + column, d_row), (c, c_first + column, c_row)
        cut_here = cut if p == panels[0] - 1 else 0
        _panel_product(m, runs, rows_a, rows_b, end - first, cut_here, *here)


@piece
def row_product(rows_a, packed, rows_d, rows_c, turn, begin, stop):
    """`part_product` for one row, of one or two panels at a time."""
    (a, a_first, _), (d, d_first, _), (c, c_first, _) = rows_a, rows_d, rows_c
    b, runs, panels, _ = packed
    size, k = lanes(c), runs[0]
    # Without a division: with two, a step of 32 units took 7 ns more, of a hundred.
    own, near = (stop - begin) * b.size * b.itemsize, panels[0] * NEAR
    alone = begin if near < own <= 2 * near else stop - (stop - begin) % 2
    left, q = (a, a_first, 0, 1), begin
    while q < stop:
        p = _turned(q, turn, alone, stop) if q >= alone else q
        first, middle = panel_bounds(p, panels)
        end = middle if q >= alone else panel_bounds(p + 1, panels)[1]
        at = first * size
        panel = (b, at * k, 0, (middle - first) * size)
        other = (b, middle * size * k, 0, (end - middle) * size)
        start, out = (d, d_first + at, 0, 0), (c, c_first + at, 0, 0)
        tile_row(middle - first, end - middle, runs, left, panel, other, start, out)
        q += 1 if q >= alone else 2


@piece
def part_product(m, rows_a, packed, rows_d, rows_c, turn, begin, stop):
    """`product` for panels ``begin`` to ``stop`` alone."""
    if m == 1:
        row_product(rows_a, packed, rows_d, rows_c, turn, begin, stop)
    else:
        _panel_products(m, rows_a, packed, rows_d, rows_c, turn, begin, stop)


@piece
def product(m, rows_a, packed, rows_d, rows_c, turn):
    """C = D + A B with packed B.

    Each row's numbers are the same, to the bit, whatever the other rows are.

    Matrices inside arrays are *rows*, a tuple (array, first, row): element (r, i) is at flat index
    first + r·row + i.

    m : rows of A.
    rows_a : in, of an array (K, B, I).
    packed : in, B as in `PackedWeights`.
    rows_d : in, of a flat array, padded to whole vectors; a row of 0 repeats the first.
    rows_c : out, of an array (K, B, N), with N as its row. May share its memory with D.
    turn : the step, in a loop over time, or 0. At odd ones the last panel comes first, so that with
        one row each step begins with the panel that the one before left in the first cache. Of
        weights that fit in there, or twice over do not, two panels at once are better than that.

    Numba compiles a kernel once more for other dimensions of an array, and for an argument that is
    a literal: all calls agree in these.
    """
    part_product(m, rows_a, packed, rows_d, rows_c, turn, np.int64(0), packed[2][0])


@piece
def part_back_product(m, rows_a, packed, rows_d, rows_c, turn, begin, stop):
    """`back_product` for panels ``begin`` to ``stop`` alone."""
    (a, a_first, _), (d, d_first, _), (c, c_first, columns) = rows_a, rows_d, rows_c
    if m == 1 and columns <= LONE_WIDTH * lanes(c):
        if begin < stop:
            left, start, out = (a, a_first, 0, 1), (d, d_first, 0, 0), (c, c_first, 0, 0)
            lone_tile(columns // lanes(c), packed[1], left, (packed[0], 0, 0, columns), start, out)
    else:
        part_product(m, rows_a, packed, rows_d, rows_c, turn, begin, stop)


@piece
def back_product(m, rows_a, packed, rows_d, rows_c, turn):
    """`product` on the way back: quicker for one row of few columns, to whose numbers it adds up
    the terms in another order, so that their last bits are not those that they have beside others.
    """
    part_back_product(m, rows_a, packed, rows_d, rows_c, turn, np.int64(0), packed[2][0])


@kernel
def step_products(x, packed, start, y, first, last, begin, stop):
    """Panels ``begin`` to ``stop`` of y = start + x B, in steps ``first`` to ``last`` at once.

    x, y : in, out, of (K, B, I or wider) and (K, B, N).
    start : in, (N,).
    """
    nothing, lane_count, n_x, n_y = np.int64(0), y.shape[1], x.shape[2], y.shape[2]
    row = first * lane_count
    rows_x, rows_y = (x, row * n_x, n_x), (y, row * n_y, n_y)
    rows = (last - first) * lane_count
    _panel_products(rows, rows_x, packed, (start, nothing, nothing), rows_y, nothing, begin, stop)


@kernel
def step_back(x, step, packed, start, y):
    """y = start + x B for one step of x, as in a loop over time that goes back.

    x, y : in, out, of (K, B, I or wider) and (B, N).
    start : in, (N,).
    """
    nothing, lane_count, n = np.int64(0), x.shape[1], x.shape[2]
    rows, out = (x, step * lane_count * n, n), whole_rows(y)
    back_product(lane_count, rows, packed, (start, nothing, nothing), out, nothing)


@piece
def zero_start(zero):
    """``zero`` (N,) as D, in a `kernel`: C begins from zero."""
    return zero, np.int64(0), np.int64(0)


@piece
def whole_start(d):
    """All of ``d`` (m, N) as D, in a `kernel`."""
    return flat(d), np.int64(0), d.shape[1]


@piece
def whole_rows(c):
    """All of ``c`` (m, N) as C, in a `kernel`."""
    return c.reshape((1, *c.shape)), np.int64(0), c.shape[1]
