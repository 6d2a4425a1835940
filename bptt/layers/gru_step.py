"""One step of gated recurrent units straight from the parameters, in both forms.

Gates lie side by side as their columns do, so a vector at the end of one holds numbers of the next:
what comes of these is not read.
"""

from __future__ import annotations

import numpy as np

from ..kernels.compile import allocating_kernel
from ..kernels.exponential import sigmoid, tanh
from ..kernels.step import add_products, put_rows
from ..kernels.vector import lanes, load, store

__all__ = ["step_after", "step_before"]


@allocating_kernel
def step_after(x, wx, wh, b, bh, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h (B, H) from ``start`` on."""
    nothing, m, n, wide, size = np.int64(0), len(x), bh.size, b.size, lanes(b)
    width = (n + size - 1) // size * size
    z, s = np.zeros(m * wide + size, b.dtype), np.zeros(m * wide + size, b.dtype)
    h = np.zeros(width, b.dtype)
    put_rows(b, m, z, nothing)
    for lane in range(m):
        for j in range(n):
            s[lane * wide + 2 * n + j] = bh[j]
    add_products(m, (x, nothing, x.shape[1]), wx, nothing, wide, (z, nothing, wide))
    add_products(m, (before, start, n), wh, nothing, wide, (s, nothing, wide))
    for lane in range(m):
        at, here = lane * wide, start + lane * n
        for j in range(n):
            h[j] = before[here + j]
        for j in range(0, width, size):
            r = sigmoid(load(z, at + j) + load(s, at + j))
            u = sigmoid(load(z, at + n + j) + load(s, at + n + j))
            n_j = tanh(load(z, at + 2 * n + j) + r * load(s, at + 2 * n + j))
            store(h, j, n_j + u * (load(h, j) - n_j))
        for j in range(n):
            after[here + j] = h[j]


@allocating_kernel
def step_before(x, wx, wh, b, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h (B, H) from ``start`` on."""
    nothing, m, n, wide, size = np.int64(0), len(x), wh.shape[0], b.size, lanes(b)
    width = (n + size - 1) // size * size
    z, s = np.zeros(m * wide + size, b.dtype), np.zeros(m * wide + size, b.dtype)
    h, rh = np.zeros((m, width), b.dtype), np.zeros((m, width), b.dtype)
    put_rows(b, m, z, nothing)
    add_products(m, (x, nothing, x.shape[1]), wx, nothing, wide, (z, nothing, wide))
    add_products(m, (before, start, n), wh, nothing, 2 * n, (s, nothing, wide))
    for lane in range(m):
        for j in range(n):
            h[lane, j] = before[start + lane * n + j]
        for j in range(0, width, size):
            r = sigmoid(load(z, lane * wide + j) + load(s, lane * wide + j))
            store(rh, lane * width + j, r * load(h, lane * width + j))
    add_products(m, (rh, nothing, width), wh, 2 * n, n, (s, 2 * n, wide))
    for lane in range(m):
        at = lane * wide
        for j in range(0, width, size):
            u = sigmoid(load(z, at + n + j) + load(s, at + n + j))
            n_j = tanh(load(z, at + 2 * n + j) + load(s, at + 2 * n + j))
            store(h, lane * width + j, n_j + u * (load(h, lane * width + j) - n_j))
        for j in range(n):
            after[start + lane * n + j] = h[lane, j]
