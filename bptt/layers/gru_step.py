"""One step of gated recurrent units straight from the parameters, in both forms."""

from __future__ import annotations

import numpy as np

from ..kernels.compile import allocating_kernel
from ..kernels.exponential import sigmoid, tanh
from ..kernels.step import add_gate_products, add_row_product
from ..kernels.vector import lanes, load, store

__all__ = ["step_after", "step_before"]


@allocating_kernel
def step_after(x, wx, wh, b, bh, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h (B, H) from ``start`` on."""
    n, size = bh.size, lanes(b)
    width = (n + size - 1) // size * size
    z, s, h = np.zeros(3 * width, b.dtype), np.zeros(3 * width, b.dtype), np.zeros(width, b.dtype)
    for lane in range(len(x)):
        here = slice(start + lane * n, start + (lane + 1) * n)
        for j in range(3 * n):
            z[j // n * width + j % n] = b[j]
        for j in range(2 * width):
            s[j] = 0.0
        for j in range(n):
            s[2 * width + j], h[j] = bh[j], before[here.start + j]
        add_gate_products(x[lane], wx, 3, z)
        add_gate_products(before[here], wh, 3, s)
        for j in range(0, width, size):
            r = sigmoid(load(z, j) + load(s, j))
            u = sigmoid(load(z, width + j) + load(s, width + j))
            n_j = tanh(load(z, 2 * width + j) + r * load(s, 2 * width + j))
            store(h, j, n_j + u * (load(h, j) - n_j))
        for j in range(n):
            after[here.start + j] = h[j]


@allocating_kernel
def step_before(x, wx, wh, b, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h (B, H) from ``start`` on."""
    n, size = wh.shape[0], lanes(b)
    width = (n + size - 1) // size * size
    z, h, rh = np.zeros(3 * width, b.dtype), np.zeros(width, b.dtype), np.zeros(width, b.dtype)
    for lane in range(len(x)):
        here = slice(start + lane * n, start + (lane + 1) * n)
        s = np.zeros(3 * width, b.dtype)
        for j in range(3 * n):
            z[j // n * width + j % n] = b[j]
        for j in range(n):
            h[j] = before[here.start + j]
        add_gate_products(x[lane], wx, 3, z)
        for gate in range(2):
            add_row_product(h[:n], wh, gate * n, n, s, gate * width)
        for j in range(0, width, size):
            store(rh, j, sigmoid(load(z, j) + load(s, j)) * load(h, j))
        add_row_product(rh[:n], wh, 2 * n, n, s, 2 * width)
        for j in range(0, width, size):
            u = sigmoid(load(z, width + j) + load(s, width + j))
            n_j = tanh(load(z, 2 * width + j) + load(s, 2 * width + j))
            store(h, j, n_j + u * (load(h, j) - n_j))
        for j in range(n):
            after[here.start + j] = h[j]
