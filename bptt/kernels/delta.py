"""The error signal δ of one time step: added up, measured, and bounded lane by lane."""

from __future__ import annotations

import math

import numpy as np

from .arithmetic import total
from .compile import piece
from .crew import meet
from .vector import ask, lanes, load, splat, store
from .vectors import scaled_norm

__all__ = ["gather"]

_TRUSTED = (1e-25, 1e30)
"""Sums of squares inside are exact enough in float32; outside they are taken in float64."""


@piece
def _norm(squares, delta, b, first, end):
    """Of units ``first`` to ``end`` of lane ``b`` of delta (B, Hp), in float64; ``squares`` is a
    vector, of what every so many-th of them adds up to."""
    sum_of_squares = np.float64(total(squares))
    norm = math.sqrt(sum_of_squares)
    if not _TRUSTED[0] < sum_of_squares < _TRUSTED[1]:
        norm = scaled_norm(delta[b, first:end])
    return norm


@piece
def _bound(delta, limit, norms, t, part):
    """Where the norm of a lane is above ``limit``, scale the member's units, so that it is that.

    In two steps, neither of which is too small a number for the dtype; by NaN where float64 does
    not hold the norm, so that it is noticed.
    """
    number, members, told, first, end, _, _ = part
    count, width, size = delta.shape[0], delta.shape[1], lanes(delta)
    meet(number, members, told)
    for b in range(count):
        norm = norms[0, t, b]
        for other in range(1, members):
            norm = math.hypot(norm, norms[other, t, b])
        if norm > limit:
            root = math.sqrt(limit) / math.sqrt(norm) if norm < math.inf else math.nan
            factor = splat(delta, root)
            for j in range(b * width + first * size, b * width + end * size, size):
                store(delta, j, load(delta, j) * factor * factor)


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
