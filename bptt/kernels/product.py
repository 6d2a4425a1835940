"""Products with packed weights."""

from __future__ import annotations

import numpy as np

from .compile import kernel
from .packing import FULL, panel_bounds, panel_count
from .tile import narrow_height, tile, tile_height, tile_row
from .vector import lanes

__all__ = ["from_rows", "from_zero", "product"]


@kernel
def _row_product(runs, rows_a, b, rows_d, rows_c, panels):
    """`product` for one row, two panels at a time; how many panels it did."""
    (a, a_first, _), (d, d_first, _), (c, c_first, columns) = rows_a, rows_d, rows_c
    size, k = lanes(c), runs[0]
    vectors = columns // size
    for p in range(0, panels - 1, 2):
        first, middle = panel_bounds(p, vectors, panels)
        end = panel_bounds(p + 1, vectors, panels)[1]
        column = first * size
        tile_row(
            end - first,
            runs,
            (a, a_first, 0, 1),
            (b, column * k, 0, (middle - first) * size),
            (b, middle * size * k, 0, (end - middle) * size),
            (d, d_first + column, 0, 0),
            (c, c_first + column, 0, 0),
        )
    return panels // 2 * 2


@kernel
def product(m, runs, rows_a, b, width, rows_d, rows_c):
    """C = D + A B with packed B.

    Matrices inside arrays are *rows*, a tuple (array, first, row): element (r, i) is at flat index
    first + r·row + i.

    m : rows of A.
    runs : its columns, `whole` or `unpadded`.
    rows_a : in, of an array (K, B, I).
    b : in, packed, in panels of ``width`` vectors.
    rows_d : in, of a flat array, padded to whole vectors; a row of 0 repeats the first.
    rows_c : out, of an array (K, B, N), with N as its row. May share its memory with D.

    Numba compiles a kernel once more for other dimensions of an array, and for an argument that is
    a literal: all calls agree in these.
    """
    (a, a_first, a_row), (d, d_first, d_row), (c, c_first, c_row) = rows_a, rows_d, rows_c
    size, k = lanes(c), runs[0]
    vectors = c_row // size
    panels = panel_count(vectors, width)
    p = 0
    if m == 1:
        p = _row_product(runs, rows_a, b, rows_d, rows_c, panels)
    for q in range(p, panels):
        first, end = panel_bounds(q, vectors, panels)
        column = first * size
        r = 0
        while r < m:
            height = tile_height(m - r) if end - first == 4 else narrow_height(m - r)
            tile(
                height,
                end - first,
                runs,
                (a, a_first + r * a_row, a_row, 1),
                (b, column * k, 0, (end - first) * size),
                (d, d_first + r * d_row + column, d_row, 0),
                (c, c_first + r * c_row + column, c_row, 0),
            )
            r += height


@kernel
def from_zero(m, rows_a, packed, zero, c):
    """C = A B for packed B, as `product`; C is all of ``c`` (m, N), and ``zero`` (N,) its start.

    packed : in, B and the runs of A.
    """
    nothing, (b, runs) = np.int64(0), packed
    columns = c.shape[1]
    rows_c = (c.reshape((1, c.shape[0], columns)), nothing, columns)
    product(m, runs, rows_a, b, FULL, (zero, nothing, nothing), rows_c)


@kernel
def from_rows(m, rows_a, packed, start, c):
    """C = D + A B for packed B, as `product`; D and C are all of ``start`` and ``c`` (m, N).

    packed : in, B and the runs of A.
    """
    nothing, (b, runs) = np.int64(0), packed
    columns = c.shape[1]
    rows_c = (c.reshape((1, c.shape[0], columns)), nothing, columns)
    rows_d = (start.reshape(start.size), nothing, columns)
    product(m, runs, rows_a, b, FULL, rows_d, rows_c)
