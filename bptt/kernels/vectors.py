"""Passes over flat vectors of parameters and gradients."""

from __future__ import annotations

import numpy as np

from .compile import kernel, summing_kernel

__all__ = ["add", "add_squares", "sum_of_squares"]


@kernel
def add(total, part):
    """total += part; (N,) each, total in and out."""
    for i in range(total.size):
        total[i] += part[i]


@kernel
def add_squares(rows, first, last, limit, sums):
    """sums[t] += Σ min(row, limit)² of row ``first`` + t, to ``last``; NaN is kept.

    rows : in, (K, B) float64, not negative.
    sums : in, out, (last - first,) float64.
    """
    for t in range(first, last):
        for value in rows[t]:
            part = limit if value > limit else value
            sums[t - first] += part * part


@summing_kernel
def sum_of_squares(flat):
    """In float64."""
    total = 0.0
    for i in range(flat.size):
        value = np.float64(flat[i])
        total += value * value
    return total
