"""The error signal δ of one time step: added up, measured, and bounded lane by lane."""

from __future__ import annotations

import math

import numpy as np

from .arithmetic import total
from .compile import kernel
from .vector import ask, lanes, load, splat, store

__all__ = ["bound", "gather"]

_TRUSTED = (1e-25, 1e30)
"""Sums of squares inside are exact enough in float32; outside they are taken in float64."""


@kernel
def _sum_of_squares(row):
    """Of a whole row, in float64, scaled so that nothing overflows or vanishes."""
    largest = 0.0
    for value in row:
        size = abs(np.float64(value))
        if math.isnan(size):
            return size
        largest = size if size > largest else largest
    if largest == 0.0 or math.isinf(largest):
        return largest
    scaled = 0.0
    for value in row:
        part = np.float64(value) / largest
        scaled += part * part
    return scaled * largest * largest


@kernel
def bound(delta, b, limit, norms, t):
    """Measure lane ``b`` of ``delta`` and, where its norm is above ``limit``, scale it to that.

    delta : in, out, (B, Hp).
    limit : inf for none.
    norms : out, (K, B) float64; row ``t`` gets the norm before it is bounded.
    """
    width = delta.shape[1]
    squares = splat(delta, 0.0)
    for j in range(b * width, (b + 1) * width, lanes(delta)):
        value = load(delta, j)
        squares = squares + value * value
    sum_of_squares = np.float64(total(squares))
    if not _TRUSTED[0] < sum_of_squares < _TRUSTED[1]:
        sum_of_squares = _sum_of_squares(delta[b])
    norm = math.sqrt(sum_of_squares)
    norms[t, b] = norm
    if norm > limit:
        factor = splat(delta, limit / norm)
        for j in range(b * width, (b + 1) * width, lanes(delta)):
            store(delta, j, load(delta, j) * factor)


@kernel
def gather(delta, back, dy, t, steps, norms):
    """δ_t: what came back from t+1, weighted, plus what came down at t; measured and bounded.

    delta : in, out, (B, Hp): in, what came back; out, δ_t.
    back : in, (K, B), weight of what came back to each step.
    dy : in, (K, B, Hp).
    steps : the `Span`.
    norms : out, (K, B) float64, as in `bound`.
    """
    count, width = delta.shape
    for b in range(count):
        weight = splat(delta, back[t, b])
        for j in range(b * width, (b + 1) * width, lanes(delta)):
            value = load(delta, j) * weight
            if t >= steps.errors_from:
                value = value + load(dy, t * count * width + j)
                ask(dy, (t - 1) * count * width + j)
            store(delta, j, value)
        bound(delta, b, steps.clip_delta, norms, t)
