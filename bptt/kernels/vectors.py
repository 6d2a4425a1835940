"""Passes over flat vectors of parameters and gradients."""

from __future__ import annotations

import math

import numpy as np

from .compile import kernel, piece, summing_kernel

__all__ = ["add", "add_norms", "norm", "root", "scaled_norm", "sum_of_sizes"]

_TRUSTED = 1e-270
"""The least sum of squares in float64 to which none that vanished could have added a digit."""


@kernel
def add(total, part):
    """total += part; (N,) each, total in and out."""
    for i in range(total.size):
        total[i] += part[i]


@kernel
def add_norms(rows, first, last, limit, norms):
    """norms[t] = √(norms[t]² + Σ min(row, limit)²) of row ``first`` + t, to ``last``; NaN is kept.

    rows : in, (K, B) float64, not negative.
    norms : in, out, (last - first,) float64.
    """
    for t in range(first, last):
        squares = largest = 0.0
        for value in rows[t]:
            part = limit if value > limit else value
            squares += part * part
            largest = part if part > largest else largest
        here = math.sqrt(squares)
        if largest > 0.0 and not _TRUSTED < squares < math.inf:
            here = 0.0
            for value in rows[t]:
                here = math.hypot(here, limit if value > limit else value)
        norms[t - first] = math.hypot(norms[t - first], here)


@kernel
def scaled_norm(values):
    """‖values‖, (n,), in float64, scaled so that no square overflows or vanishes."""
    largest = 0.0
    for value in values:
        size = abs(np.float64(value))
        if math.isnan(size):
            return size
        largest = size if size > largest else largest
    if largest == 0.0 or math.isinf(largest):
        return largest
    scaled = 0.0
    for value in values:
        part = np.float64(value) / largest
        scaled += part * part
    return largest * math.sqrt(scaled)


@piece
def root(squares, values):
    """‖values‖ from the sum of their squares in float64, if that can be trusted."""
    found = math.sqrt(squares)
    if not _TRUSTED < squares < math.inf:
        found = scaled_norm(values)
    return found


@summing_kernel
def sum_of_sizes(flat):
    """Of the absolute values, in its dtype; not finite if one of them is not."""
    total = flat.dtype.type(0)
    for i in range(flat.size):
        total += abs(flat[i])
    return total


@summing_kernel
def norm(flat):
    """‖flat‖, (N,), in float64, whatever the sizes of its numbers."""
    total = 0.0
    for i in range(flat.size):
        value = np.float64(flat[i])
        total += value * value
    return root(total, flat)
