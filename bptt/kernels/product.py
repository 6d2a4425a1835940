"""Products with packed weights."""

from __future__ import annotations

import numpy as np

from .compile import kernel
from .packing import FULL, panel_bounds, panel_count
from .tile import tile, tile_height, tile_row
from .vector import lanes

__all__ = ["from_zero", "product"]


@kernel
def _row_product(k, a, a_first, b, d, d_first, c, c_first, vectors, panels):
    """`product` for one row, two panels at a time; how many panels it did."""
    size = lanes(c)
    for p in range(0, panels - 1, 2):
        first, middle = panel_bounds(p, vectors, panels)
        end = panel_bounds(p + 1, vectors, panels)[1]
        column = first * size
        tile_row(
            end - first,
            k,
            (a, a_first, 0, 1),
            (b, column * k, 0, (middle - first) * size),
            (b, middle * size * k, 0, (end - middle) * size),
            (d, d_first + column, 0, 0),
            (c, c_first + column, 0, 0),
        )
    return panels // 2 * 2


@kernel
def product(m, k, a, a_first, a_row, b, width, d, d_first, d_row, c, c_first, c_row):
    """C = D + A B with packed B.

    m, k : rows of A, and its columns.
    a : in, any shape, its element (r, i) at flat index a_first + r·a_row + i.
    b : in, packed, in panels of ``width`` vectors.
    d : in, flat, rows of padded numbers at d_first + r·d_row; a row stride of 0 repeats one row.
    c : out, (K, B, N), likewise; all its c_row columns are written. May share its memory with d.

    Numba compiles a kernel once more for other dimensions of an array, and for an argument that is
    a literal: all calls agree in these.
    """
    lane_count = lanes(c)
    vectors = c_row // lane_count
    panels = panel_count(vectors, width)
    p = 0
    if m == 1:
        p = _row_product(k, a, a_first, b, d, d_first, c, c_first, vectors, panels)
    for q in range(p, panels):
        first, end = panel_bounds(q, vectors, panels)
        column = first * lane_count
        r = 0
        while r < m:
            height = tile_height(m - r)
            tile(
                height,
                end - first,
                k,
                (a, a_first + r * a_row, a_row, 1),
                (b, column * k, 0, (end - first) * lane_count),
                (d, d_first + r * d_row + column, d_row, 0),
                (c, c_first + r * c_row + column, c_row, 0),
            )
            r += height


@kernel
def from_zero(m, k, a, a_first, b, zero, c):
    """C = A B for packed B, as `product`; C is all of ``c`` (m, N), and ``zero`` (N,) its start.

    a : in, rows of k numbers, the first at flat index a_first.
    """
    nothing = np.int64(0)
    columns = c.shape[1]
    rows = c.reshape((1, c.shape[0], columns))
    product(m, k, a, a_first, k, b, FULL, zero, nothing, nothing, rows, nothing, columns)
