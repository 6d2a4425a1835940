"""Checks that pass over data once, without a copy."""

from __future__ import annotations

from .arithmetic import total
from .compile import kernel
from .vector import lanes, load, splat

__all__ = ["all_finite"]


@kernel
def all_finite(flat):
    """Whether a vector holds neither NaN nor infinity, whose product with 0 is not 0."""
    size = lanes(flat)
    whole = flat.size // size * size
    zeros = splat(flat, 0.0)
    for i in range(0, whole, size):
        zeros = zeros + load(flat, i) * 0.0
    rest = total(zeros)
    for i in range(whole, flat.size):
        rest += flat[i] * 0
    return rest == 0
