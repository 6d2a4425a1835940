"""Passes over flat vectors of parameters and gradients."""

from __future__ import annotations

import numpy as np

from .compile import kernel

__all__ = ["add", "sum_of_squares"]

_SUMS = 8


@kernel
def add(total, part):
    """total += part; (N,) each, total in and out."""
    for i in range(total.size):
        total[i] += part[i]


@kernel
def sum_of_squares(flat, sums):
    """In float64.

    sums : scratch, (8,) float64, so that the additions need not wait for each other.
    """
    sums[:] = 0
    whole = flat.size // _SUMS * _SUMS
    for i in range(0, whole, _SUMS):
        for j in range(_SUMS):
            value = np.float64(flat[i + j])
            sums[j] += value * value
    total = 0.0
    for i in range(whole, flat.size):
        value = np.float64(flat[i])
        total += value * value
    return total + sums.sum()
