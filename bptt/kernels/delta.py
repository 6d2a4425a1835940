"""The error signal δ of one time step: added up, measured, and bounded lane by lane."""

from __future__ import annotations

import math

import numpy as np

from .arithmetic import total
from .compile import kernel, piece
from .crew import meet
from .vector import ask, lanes, load, splat, store

__all__ = ["gather"]

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


@piece
def _norm(squares, delta, b, first, end):
    """Of units ``first`` to ``end`` of lane ``b`` of delta (B, Hp), in float64; ``squares`` is a
    vector, of what every so many-th of them adds up to."""
    sum_of_squares = np.float64(total(squares))
    if not _TRUSTED[0] < sum_of_squares < _TRUSTED[1]:
        sum_of_squares = _sum_of_squares(delta[b, first:end])
    return math.sqrt(sum_of_squares)


@piece
def _bound(delta, limit, norms, t, part):
    """Where the norm of a lane is above ``limit``, scale the member's units, so that it is that."""
    number, members, told, first, end, _, _ = part
    count, width, size = delta.shape[0], delta.shape[1], lanes(delta)
    meet(number, members, told)
    for b in range(count):
        norm = norms[0, t, b]
        for other in range(1, members):
            norm = math.hypot(norm, norms[other, t, b])
        if norm > limit:
            factor = splat(delta, limit / norm)
            for j in range(b * width + first * size, b * width + end * size, size):
                store(delta, j, load(delta, j) * factor)


@piece
def gather(delta, back, dy, t, steps, norms, part):
    """δ_t: what came back from t+1, weighted, plus what came down at t; measured and bounded.

    delta : in, out, (B, Hp): in, what came back; out, δ_t.
    back : in, (K, B), weight of what came back to each step.
    dy : in, (K, B, Hp).
    steps : the `Span`.
    norms : out, (members, K, B) float64: row t gets the norm of each member's units, before δ_t is
        bounded as a whole, for which the members of a crew meet.
    part : as in `crew`, of the units that are looked at.
    """
    number, _, _, first, end, _, _ = part
    count, width, size = delta.shape[0], delta.shape[1], lanes(delta)
    first, end = first * size, end * size
    for b in range(count):
        weight, squares = splat(delta, back[t, b]), splat(delta, 0.0)
        for j in range(b * width + first, b * width + end, size):
            value = load(delta, j) * weight
            if t >= steps.errors_from:
                value = value + load(dy, t * count * width + j)
                ask(dy, (t - 1) * count * width + j)
            store(delta, j, value)
            squares = squares + value * value
        norms[number, t, b] = _norm(squares, delta, b, first, end)
    if steps.clip_delta < math.inf:
        _bound(delta, steps.clip_delta, norms, t, part)
