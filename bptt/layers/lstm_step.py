"""One step of long short-term memory straight from the parameters, in all three forms."""

from __future__ import annotations

import numpy as np

from ..kernels.arithmetic import fma
from ..kernels.compile import allocating_kernel
from ..kernels.exponential import sigmoid, tanh
from ..kernels.moments import gate_moments, moments, standardise
from ..kernels.step import add_gate_products
from ..kernels.vector import lanes, load, store

__all__ = ["step_norm", "step_peepholes", "step_plain"]


@allocating_kernel
def step_plain(x, wx, wh, b, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h, c (B, H) from ``start`` on."""
    n, size = b.size // 4, lanes(b)
    width = (n + size - 1) // size * size
    z, h, c = np.zeros(4 * width, b.dtype), np.zeros(width, b.dtype), np.zeros(width, b.dtype)
    for lane in range(len(x)):
        of_h = slice(start + lane * n, start + (lane + 1) * n)
        of_c = slice(of_h.start + len(x) * n, of_h.stop + len(x) * n)
        for j in range(4 * n):
            z[j // n * width + j % n] = b[j]
        add_gate_products(x[lane], wx, 4, z)
        add_gate_products(before[of_h], wh, 4, z)
        for j in range(n):
            c[j] = before[of_c.start + j]
        for j in range(0, width, size):
            i, f = sigmoid(load(z, j)), sigmoid(load(z, width + j))
            g, o = tanh(load(z, 2 * width + j)), sigmoid(load(z, 3 * width + j))
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
    z, h, c = np.zeros(4 * width, b.dtype), np.zeros(width, b.dtype), np.zeros(width, b.dtype)
    own = np.zeros((3, width), b.dtype)
    for gate in range(3):
        for j in range(n):
            own[gate, j] = p[gate, j]
    for lane in range(len(x)):
        of_h = slice(start + lane * n, start + (lane + 1) * n)
        of_c = slice(of_h.start + len(x) * n, of_h.stop + len(x) * n)
        for j in range(4 * n):
            z[j // n * width + j % n] = b[j]
        add_gate_products(x[lane], wx, 4, z)
        add_gate_products(before[of_h], wh, 4, z)
        for j in range(n):
            c[j] = before[of_c.start + j]
        for j in range(0, width, size):
            old = load(c, j)
            i = sigmoid(load(z, j) + load(own, j) * old)
            f = sigmoid(load(z, width + j) + load(own, width + j) * old)
            cell = fma(f, old, i * tanh(load(z, 2 * width + j)))
            o = sigmoid(load(z, 3 * width + j) + load(own, 2 * width + j) * cell)
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
    x_part, h_part = np.zeros(4 * width, b.dtype), np.zeros(4 * width, b.dtype)
    gates, cell = np.zeros((3, 4 * width), b.dtype), np.zeros((3, width), b.dtype)
    z, h, c = np.zeros(4 * width, b.dtype), np.zeros(width, b.dtype), np.zeros(width, b.dtype)
    for j in range(4 * n):
        to = j // n * width + j % n
        gates[0, to], gates[1, to], gates[2, to] = gx[j], gh[j], b[j]
    for j in range(n):
        cell[0, j], cell[1, j], cell[2, j] = gc[j], bc[j], 1.0
    for lane in range(len(x)):
        of_h = slice(start + lane * n, start + (lane + 1) * n)
        of_c = slice(of_h.start + len(x) * n, of_h.stop + len(x) * n)
        for j in range(4 * width):
            x_part[j] = h_part[j] = 0.0
        add_gate_products(x[lane], wx, 4, x_part)
        add_gate_products(before[of_h], wh, 4, h_part)
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
