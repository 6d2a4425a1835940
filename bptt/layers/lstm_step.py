"""One step of long short-term memory straight from the parameters, in all three forms.

Gates lie side by side as their columns do, so a vector at the end of one holds numbers of the next:
what comes of these is not read.
"""

from __future__ import annotations

import numpy as np

from ..kernels.arithmetic import fma
from ..kernels.compile import allocating_kernel, kernel
from ..kernels.exponential import sigmoid, tanh
from ..kernels.moments import gate_moments, moments, standardise
from ..kernels.step import add_row_product
from ..kernels.vector import lanes, load, store

__all__ = ["step_norm", "step_peepholes", "step_plain"]


@allocating_kernel
def step_plain(x, wx, wh, b, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h, c (B, H) from ``start`` on."""
    n, size = b.size // 4, lanes(b)
    width = (n + size - 1) // size * size
    z, h, c = np.zeros(4 * n + size, b.dtype), np.zeros(width, b.dtype), np.zeros(width, b.dtype)
    for lane in range(len(x)):
        of_h = slice(start + lane * n, start + (lane + 1) * n)
        of_c = slice(of_h.start + len(x) * n, of_h.stop + len(x) * n)
        for j in range(4 * n):
            z[j] = b[j]
        add_row_product(x[lane], wx, 0, 4 * n, z, 0)
        add_row_product(before[of_h], wh, 0, 4 * n, z, 0)
        for j in range(n):
            c[j] = before[of_c.start + j]
        for j in range(0, width, size):
            i, f = sigmoid(load(z, j)), sigmoid(load(z, n + j))
            g, o = tanh(load(z, 2 * n + j)), sigmoid(load(z, 3 * n + j))
            cell = fma(f, load(c, j), i * g)
            store(c, j, cell)
            store(h, j, o * tanh(cell))
        for j in range(n):
            after[of_h.start + j], after[of_c.start + j] = h[j], c[j]


@allocating_kernel
def step_peepholes(x, wx, wh, b, p, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h, c (B, H) from ``start`` on."""
    n, size = b.size // 4, lanes(b)
    width = (n + size - 1) // size * size
    z, h, c = np.zeros(4 * n + size, b.dtype), np.zeros(width, b.dtype), np.zeros(width, b.dtype)
    own = np.zeros((3, width), b.dtype)
    for gate in range(3):
        for j in range(n):
            own[gate, j] = p[gate, j]
    for lane in range(len(x)):
        of_h = slice(start + lane * n, start + (lane + 1) * n)
        of_c = slice(of_h.start + len(x) * n, of_h.stop + len(x) * n)
        for j in range(4 * n):
            z[j] = b[j]
        add_row_product(x[lane], wx, 0, 4 * n, z, 0)
        add_row_product(before[of_h], wh, 0, 4 * n, z, 0)
        for j in range(n):
            c[j] = before[of_c.start + j]
        for j in range(0, width, size):
            old = load(c, j)
            i = sigmoid(load(z, j) + load(own, j) * old)
            f = sigmoid(load(z, n + j) + load(own, width + j) * old)
            cell = fma(f, old, i * tanh(load(z, 2 * n + j)))
            o = sigmoid(load(z, 3 * n + j) + load(own, 2 * width + j) * cell)
            store(c, j, cell)
            store(h, j, o * tanh(cell))
        for j in range(n):
            after[of_h.start + j], after[of_c.start + j] = h[j], c[j]


@allocating_kernel
def step_norm(x, wx, wh, b, gx, gh, gc, bc, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h, c (B, H) from ``start`` on."""
    n, size = gc.size, lanes(b)
    width = (n + size - 1) // size * size
    nothing, spread = np.int64(0), np.int64(1)
    product = np.zeros(4 * n, b.dtype)
    x_part, h_part = np.zeros(4 * width, b.dtype), np.zeros(4 * width, b.dtype)
    gates, cell = np.zeros((3, 4 * width), b.dtype), np.zeros((3, width), b.dtype)
    z, h, c = np.zeros(4 * width, b.dtype), np.zeros(width, b.dtype), np.zeros(width, b.dtype)
    _spread(gx, gates[0])
    _spread(gh, gates[1])
    _spread(b, gates[2])
    for j in range(n):
        cell[0, j], cell[1, j], cell[2, j] = gc[j], bc[j], 1.0
    for lane in range(len(x)):
        of_h = slice(start + lane * n, start + (lane + 1) * n)
        of_c = slice(of_h.start + len(x) * n, of_h.stop + len(x) * n)
        product[:] = 0
        add_row_product(x[lane], wx, 0, 4 * n, product, 0)
        _spread(product, x_part)
        product[:] = 0
        add_row_product(before[of_h], wh, 0, 4 * n, product, 0)
        _spread(product, h_part)
        for j in range(n):
            c[j] = before[of_c.start + j]
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
            after[of_h.start + j], after[of_c.start + j] = h[j], c[j]


@kernel
def _spread(row, padded):
    """row (4·H,) in; padded (4·Hp,) out: each gate at the beginning of whole vectors."""
    n, width = row.size // 4, padded.size // 4
    for gate in range(4):
        for j in range(n):
            padded[gate * width + j] = row[gate * n + j]
