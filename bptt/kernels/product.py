"""Products with packed weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compile import kernel
from .packing import FULL, panel_bounds, panel_count
from .tile import tile, tile_height, tile_row
from .vector import lanes

__all__ = ["Rows", "from_zero", "product"]


class Rows(NamedTuple):
    """The rows of a matrix inside an array: element (r, i) is at flat index first + r·row + i."""

    array: NDArray
    first: int
    row: int


@kernel
def _row_product(k, a, b, d, c, panels):
    """`product` for one row, two panels at a time; how many panels it did."""
    size = lanes(c.array)
    vectors = c.row // size
    for p in range(0, panels - 1, 2):
        first, middle = panel_bounds(p, vectors, panels)
        end = panel_bounds(p + 1, vectors, panels)[1]
        column = first * size
        tile_row(
            end - first,
            k,
            (a.array, a.first, 0, 1),
            (b, column * k, 0, (middle - first) * size),
            (b, middle * size * k, 0, (end - middle) * size),
            (d.array, d.first + column, 0, 0),
            (c.array, c.first + column, 0, 0),
        )
    return panels // 2 * 2


@kernel
def product(m, k, a, b, width, d, c):
    """C = D + A B with packed B.

    m, k : rows of A, and its columns.
    a : in, `Rows` of an array (K, B, I).
    b : in, packed, in panels of ``width`` vectors.
    d : in, `Rows` of a flat array, padded to whole vectors; with ``row`` 0 they are all the same.
    c : out, `Rows` of an array (K, B, N), N = ``c.row``. May share its memory with d.

    Numba compiles a kernel once more for other dimensions of an array, and for an argument that is
    a literal: all calls agree in these.
    """
    size = lanes(c.array)
    vectors = c.row // size
    panels = panel_count(vectors, width)
    p = 0
    if m == 1:
        p = _row_product(k, a, b, d, c, panels)
    for q in range(p, panels):
        first, end = panel_bounds(q, vectors, panels)
        column = first * size
        r = 0
        while r < m:
            height = tile_height(m - r)
            tile(
                height,
                end - first,
                k,
                (a.array, a.first + r * a.row, a.row, 1),
                (b, column * k, 0, (end - first) * size),
                (d.array, d.first + r * d.row + column, d.row, 0),
                (c.array, c.first + r * c.row + column, c.row, 0),
            )
            r += height


@kernel
def from_zero(m, k, a, b, zero, c):
    """C = A B for packed B, as `product`; C is all of ``c`` (m, N), and ``zero`` (N,) its start."""
    nothing = np.int64(0)
    columns = c.shape[1]
    rows = Rows(c.reshape((1, c.shape[0], columns)), nothing, columns)
    product(m, k, a, b, FULL, Rows(zero, nothing, nothing), rows)
