"""One step of long short-term memory straight from the parameters, in all three forms.

Gates lie side by side as their columns do, so a vector at the end of one holds numbers of the next:
what comes of these is not read.
"""

from __future__ import annotations

import numpy as np

from ..kernels.arithmetic import fma
from ..kernels.compile import allocating_kernel, kernel, piece
from ..kernels.exponential import sigmoid, tanh
from ..kernels.moments import gate_moments, moments, standardise
from ..kernels.step import add_products, put_rows
from ..kernels.vector import lanes, load, store

__all__ = ["step_norm", "step_peepholes", "step_plain"]


@piece
def _products(x, wx, wh, b, before, start, z):
    """z (B·4H, flat) = x Wx + h Wh + b; the rest as in `step_plain`."""
    nothing, m, n, wide = np.int64(0), len(x), wh.shape[0], b.size
    put_rows(b, m, z, nothing)
    add_products(m, (x, nothing, x.shape[1]), wx, nothing, wide, (z, nothing, wide))
    add_products(m, (before, start, n), wh, nothing, wide, (z, nothing, wide))


@allocating_kernel
def step_plain(x, wx, wh, b, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h, c (B, H) from ``start`` on."""
    n, size = b.size // 4, lanes(b)
    width = (n + size - 1) // size * size
    z, h = np.zeros(len(x) * 4 * n + size, b.dtype), np.zeros(width, b.dtype)
    c = np.zeros(width, b.dtype)
    _products(x, wx, wh, b, before, start, z)
    for lane in range(len(x)):
        at, of_h = lane * 4 * n, start + lane * n
        of_c = of_h + len(x) * n
        for j in range(n):
            c[j] = before[of_c + j]
        for j in range(0, width, size):
            i, f = sigmoid(load(z, at + j)), sigmoid(load(z, at + n + j))
            g, o = tanh(load(z, at + 2 * n + j)), sigmoid(load(z, at + 3 * n + j))
            cell = fma(f, load(c, j), i * g)
            store(c, j, cell)
            store(h, j, o * tanh(cell))
        for j in range(n):
            after[of_h + j], after[of_c + j] = h[j], c[j]


@allocating_kernel
def step_peepholes(x, wx, wh, b, p, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h, c (B, H) from ``start`` on."""
    n, size = b.size // 4, lanes(b)
    width = (n + size - 1) // size * size
    z, h = np.zeros(len(x) * 4 * n + size, b.dtype), np.zeros(width, b.dtype)
    c = np.zeros(width, b.dtype)
    own = np.zeros((3, width), b.dtype)
    for gate in range(3):
        for j in range(n):
            own[gate, j] = p[gate, j]
    _products(x, wx, wh, b, before, start, z)
    for lane in range(len(x)):
        at, of_h = lane * 4 * n, start + lane * n
        of_c = of_h + len(x) * n
        for j in range(n):
            c[j] = before[of_c + j]
        for j in range(0, width, size):
            old = load(c, j)
            i = sigmoid(load(z, at + j) + load(own, j) * old)
            f = sigmoid(load(z, at + n + j) + load(own, width + j) * old)
            cell = fma(f, old, i * tanh(load(z, at + 2 * n + j)))
            o = sigmoid(load(z, at + 3 * n + j) + load(own, 2 * width + j) * cell)
            store(c, j, cell)
            store(h, j, o * tanh(cell))
        for j in range(n):
            after[of_h + j], after[of_c + j] = h[j], c[j]


@allocating_kernel
def step_norm(x, wx, wh, b, gx, gh, gc, bc, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h, c (B, H) from ``start`` on."""
    n, size = gc.size, lanes(b)
    width = (n + size - 1) // size * size
    nothing, spread, m, wide = np.int64(0), np.int64(1), len(x), 4 * n
    of_x, of_h = np.zeros(m * wide, b.dtype), np.zeros(m * wide, b.dtype)
    add_products(m, (x, nothing, x.shape[1]), wx, nothing, wide, (of_x, nothing, wide))
    add_products(m, (before, start, n), wh, nothing, wide, (of_h, nothing, wide))
    x_part, h_part = np.zeros(4 * width, b.dtype), np.zeros(4 * width, b.dtype)
    gates, cell = np.zeros((3, 4 * width), b.dtype), np.zeros((3, width), b.dtype)
    z, h, c = np.zeros(4 * width, b.dtype), np.zeros(width, b.dtype), np.zeros(width, b.dtype)
    _spread(gx, gates[0])
    _spread(gh, gates[1])
    _spread(b, gates[2])
    for j in range(n):
        cell[0, j], cell[1, j], cell[2, j] = gc[j], bc[j], 1.0
    for lane in range(m):
        old, row = start + (m + lane) * n, slice(lane * wide, (lane + 1) * wide)
        _spread(of_x[row], x_part)
        _spread(of_h[row], h_part)
        for j in range(n):
            c[j] = before[old + j]
        x_mean, x_scale = gate_moments(x_part, nothing, spread, width, cell, 2 * width, n)
        h_mean, h_scale = gate_moments(h_part, nothing, spread, width, cell, 2 * width, n)
        for j in range(0, 4 * width, size):
            real = load(cell, 2 * width + j % width)
            value = load(gates, j) * standardise(x_part, j, x_mean, real * x_scale)
            other = load(gates, 4 * width + j) * standardise(h_part, j, h_mean, real * h_scale)
            store(z, j, value + load(gates, 8 * width + j) + other)
        for j in range(0, width, size):
            i, f = sigmoid(load(z, j)), sigmoid(load(z, width + j))
            store(c, j, fma(f, load(c, j), i * tanh(load(z, 2 * width + j))))
        mean, scale = moments(c, nothing, cell, 2 * width, n)
        for j in range(0, width, size):
            normal = (load(c, j) - mean) * (load(cell, 2 * width + j) * scale)
            squashed = tanh(load(cell, j) * normal + load(cell, width + j))
            store(h, j, sigmoid(load(z, 3 * width + j)) * squashed)
        for j in range(n):
            after[start + lane * n + j], after[old + j] = h[j], c[j]


@kernel
def _spread(row, padded):
    """row (4·H,) in; padded (4·Hp,) out: each gate at the beginning of whole vectors."""
    n, width = row.size // 4, padded.size // 4
    for gate in range(4):
        for j in range(n):
            padded[gate * width + j] = row[gate * n + j]
