"""One row times a matrix as it lies, for steps too few to repay packing."""

from __future__ import annotations

from .arithmetic import fma
from .compile import kernel
from .moves import load_part, store_part
from .vector import lanes, load, splat, store

__all__ = ["add_row_product"]


@kernel
def add_row_product(x, w, column, n, z, at):
    """z[at : at + n] += x @ w[:, column : column + n].

    x : in, (K,).
    w : in, (K, N).
    z : in, out, flat.
    """
    (rows, row), size = w.shape, lanes(w)
    rest = n % size
    whole, fours = n - rest, rows // 4 * 4
    for k in range(0, fours, 4):
        x0, x1 = splat(w, x[k]), splat(w, x[k + 1])
        x2, x3 = splat(w, x[k + 2]), splat(w, x[k + 3])
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
        factor, start = splat(w, x[k]), k * row + column
        for j in range(0, whole, size):
            store(z, at + j, fma(factor, load(w, start + j), load(z, at + j)))
        if rest:
            total = load_part(z, at + whole, rest)
            total = fma(factor, load_part(w, start + whole, rest), total)
            store_part(z, at + whole, rest, total)
