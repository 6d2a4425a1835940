"""Checks that pass over data once, without a copy."""

from __future__ import annotations

import numpy as np

from .arithmetic import total
from .compile import JIT, kernel
from .vector import lanes, load, splat

__all__ = ["all_finite"]


def _compiled(flat):
    """Whether no number's product with 0 is anything else: NaN's and infinity's are."""
    size = lanes(flat)
    whole = flat.size // size * size
    zeros = splat(flat, 0.0)
    for i in range(0, whole, size):
        zeros = zeros + load(flat, i) * 0.0
    rest = total(zeros)
    for i in range(whole, flat.size):
        rest += flat[i] * 0
    return rest == 0


def _plain(flat: np.ndarray) -> bool:
    return bool(np.isfinite(flat).all())


all_finite = kernel(_compiled) if JIT else _plain
"""``all_finite(flat)``: whether a vector holds neither NaN nor infinity."""
