"""One row times a matrix as it lies, for steps too few to repay packing."""

from __future__ import annotations

from .arithmetic import fma
from .compile import kernel
from .vector import flat, lanes, load, splat, store

__all__ = ["add_gate_products", "add_row_product"]


@kernel
def add_row_product(x, w, column, n, z, at):
    """z[at : at + n] += x @ w[:, column : column + n].

    x : in, (K,).
    w : in, (K, N).
    z : in, out, flat.
    """
    rows, row = w.shape
    numbers, size = flat(w), lanes(w)
    whole = n // size * size
    fours = rows // 4 * 4
    for k in range(0, fours, 4):
        x0, x1 = splat(w, x[k]), splat(w, x[k + 1])
        x2, x3 = splat(w, x[k + 2]), splat(w, x[k + 3])
        start = k * row + column
        for j in range(0, whole, size):
            total = fma(x0, load(w, start + j), load(z, at + j))
            total = fma(x1, load(w, start + row + j), total)
            total = fma(x2, load(w, start + 2 * row + j), total)
            store(z, at + j, fma(x3, load(w, start + 3 * row + j), total))
    for k in range(fours, rows):
        factor = splat(w, x[k])
        for j in range(0, whole, size):
            store(z, at + j, fma(factor, load(w, k * row + column + j), load(z, at + j)))
    for j in range(whole, n):
        total = z[at + j]
        for k in range(rows):
            total += x[k] * numbers[k * row + column + j]
        z[at + j] = total


@kernel
def add_gate_products(x, w, gates, z):
    """z += x @ w, for the columns of G gates, each of which takes whole vectors of z.

    x : in, (K,).
    w : in, (K, G·N).
    z : in, out, (G·Np,), gate after gate.
    """
    n, width = w.shape[1] // gates, z.size // gates
    if n == width:
        add_row_product(x, w, 0, gates * n, z, 0)
    else:
        for gate in range(gates):
            add_row_product(x, w, gate * n, n, z, gate * width)
