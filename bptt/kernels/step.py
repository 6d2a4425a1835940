"""Rows times a matrix as it lies, for steps too few to repay packing.

One row is added to at a time, four rows of the matrix together; of several rows tiles stay in
registers, as in products with packed weights. A row's numbers are the same, to the bit.
"""

from __future__ import annotations

from .arithmetic import fma
from .compile import apart_kernel, piece
from .moves import load_part, store_part
from .packing import FULL
from .tile import even_tile, narrow_height, tile_height
from .vector import flat, lanes, load, splat, store

__all__ = ["add_products", "put_rows"]


@piece
def put_rows(row, m, z, first):
    """Write ``row`` (N,) m times into z, flat, from ``first`` on."""
    for at in range(first, first + m * row.size, row.size):
        for j in range(row.size):
            z[at + j] = row[j]


@piece
def _add_row(x, at_x, w, column, n, z, at):
    """z[at : at + n] += x[at_x : at_x + K] @ w[:, column : column + n]."""
    (rows, row), size = w.shape, lanes(w)
    rest = n % size
    whole, fours = n - rest, rows // 4 * 4
    for k in range(0, fours, 4):
        x0, x1 = splat(w, x[at_x + k]), splat(w, x[at_x + k + 1])
        x2, x3 = splat(w, x[at_x + k + 2]), splat(w, x[at_x + k + 3])
        start = k * row + column
        for j in range(0, whole, size):
            total = fma(x0, load(w, start + j), load(z, at + j))
            total = fma(x1, load(w, start + row + j), total)
            total = fma(x2, load(w, start + 2 * row + j), total)
            store(z, at + j, fma(x3, load(w, start + 3 * row + j), total))
        if rest:
            end = start + whole
            total = fma(x0, load_part(w, end, rest), load_part(z, at + whole, rest))
            total = fma(x1, load_part(w, end + row, rest), total)
            total = fma(x2, load_part(w, end + 2 * row, rest), total)
            total = fma(x3, load_part(w, end + 3 * row, rest), total)
            store_part(z, at + whole, rest, total)
    for k in range(fours, rows):
        factor, start = splat(w, x[at_x + k]), k * row + column
        for j in range(0, whole, size):
            store(z, at + j, fma(factor, load(w, start + j), load(z, at + j)))
        if rest:
            total = load_part(z, at + whole, rest)
            total = fma(factor, load_part(w, start + whole, rest), total)
            store_part(z, at + whole, rest, total)


@piece
def _add_panel(m, rows_x, w, column, width, rows_z):
    """`add_products` for two or four vectors of columns and several rows."""
    (x, x_first, x_row), (z, z_first, z_row) = rows_x, rows_z
    r = 0
    while r < m:
        height = tile_height(m - r) if width == FULL else narrow_height(m - r)
        left, panel = (x, x_first + r * x_row, x_row, 1), (w, column, 0, w.shape[1])
        here = (z, z_first + r * z_row, z_row, 0)
        even_tile(height, width, w.shape[0], left, panel, here, here)
        r += height


@apart_kernel
def add_products(m, rows_x, w, column, n, rows_z):
    """z += x @ w[:, column : column + n], for m rows.

    rows_x : in, as in `product`.
    w : in, (K, N).
    rows_z : in, out, of a flat array, likewise.
    """
    (x, x_first, x_row), (z, z_first, z_row), size = rows_x, rows_z, lanes(w)
    done = 0
    while m > 1 and n - done >= 2 * size:
        width = FULL if n - done >= FULL * size else 2
        _add_panel(m, rows_x, w, column + done, width, (z, z_first + done, z_row))
        done += width * size
    if done < n:
        numbers = flat(x)
        for r in range(m):
            at = z_first + r * z_row + done
            _add_row(numbers, x_first + r * x_row, w, column + done, n - done, z, at)
