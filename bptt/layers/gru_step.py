"""One step of gated recurrent units straight from the parameters, in both forms.

Gates lie side by side as their columns do, so a vector at the end of one holds numbers of the next:
what comes of these is not read.
"""

from __future__ import annotations

import numpy as np

from ..kernels.compile import allocating_kernel
from ..kernels.exponential import sigmoid, tanh
from ..kernels.step import add_row_product
from ..kernels.vector import lanes, load, store

__all__ = ["step_after", "step_before"]


@allocating_kernel
def step_after(x, wx, wh, b, bh, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h (B, H) from ``start`` on."""
    n, size = bh.size, lanes(b)
    width = (n + size - 1) // size * size
    wide = 3 * n + size
    z, s, h = np.zeros(wide, b.dtype), np.zeros(wide, b.dtype), np.zeros(width, b.dtype)
    for lane in range(len(x)):
        here = slice(start + lane * n, start + (lane + 1) * n)
        for j in range(2 * n):
            z[j], s[j] = b[j], 0.0
        for j in range(n):
            z[2 * n + j], s[2 * n + j], h[j] = b[2 * n + j], bh[j], before[here.start + j]
        add_row_product(x[lane], wx, 0, 3 * n, z, 0)
        add_row_product(before[here], wh, 0, 3 * n, s, 0)
        for j in range(0, width, size):
            r = sigmoid(load(z, j) + load(s, j))
            u = sigmoid(load(z, n + j) + load(s, n + j))
            n_j = tanh(load(z, 2 * n + j) + r * load(s, 2 * n + j))
            store(h, j, n_j + u * (load(h, j) - n_j))
        for j in range(n):
            after[here.start + j] = h[j]


@allocating_kernel
def step_before(x, wx, wh, b, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h (B, H) from ``start`` on."""
    n, size = wh.shape[0], lanes(b)
    width = (n + size - 1) // size * size
    wide = 3 * n + size
    z, h, rh = np.zeros(wide, b.dtype), np.zeros(width, b.dtype), np.zeros(width, b.dtype)
    for lane in range(len(x)):
        here = slice(start + lane * n, start + (lane + 1) * n)
        s = np.zeros(wide, b.dtype)
        for j in range(3 * n):
            z[j] = b[j]
        for j in range(n):
            h[j] = before[here.start + j]
        add_row_product(x[lane], wx, 0, 3 * n, z, 0)
        add_row_product(h[:n], wh, 0, 2 * n, s, 0)
        for j in range(0, width, size):
            store(rh, j, sigmoid(load(z, j) + load(s, j)) * load(h, j))
        add_row_product(rh[:n], wh, 2 * n, n, s, 2 * n)
        for j in range(0, width, size):
            u = sigmoid(load(z, n + j) + load(s, n + j))
            n_j = tanh(load(z, 2 * n + j) + load(s, 2 * n + j))
            store(h, j, n_j + u * (load(h, j) - n_j))
        for j in range(n):
            after[here.start + j] = h[j]
