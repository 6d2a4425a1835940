"""Passes over flat vectors of parameters and gradients."""

from __future__ import annotations

import numpy as np

from .compile import kernel, summing_kernel

__all__ = ["add", "sum_of_squares"]


@kernel
def add(total, part):
    """total += part; (N,) each, total in and out."""
    for i in range(total.size):
        total[i] += part[i]


@summing_kernel
def sum_of_squares(flat):
    """In float64."""
    total = 0.0
    for i in range(flat.size):
        value = np.float64(flat[i])
        total += value * value
    return total
