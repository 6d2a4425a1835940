"""Pooling over time, causally: what has been seen so far, so that streams and windows can have it.

    y_t = y_{t-1} + w_t (x_t - y_{t-1})        Mean: w_t = 1/t     Max: w_t = [x_t > y_{t-1}]

At the last step of a sequence they are the mean and the maximum of all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.compile import kernel
from ..kernels.crew import whole_part
from ..kernels.delta import gather
from ..kernels.target import lanes_of, padded, zeros
from .parameterless import Parameterless
from .tape import Room, Span, Tape
from .weights import Scratch

__all__ = ["Last", "Max", "Mean"]


@dataclass(frozen=True)
class Last(Parameterless):
    """y_t = x_t.

    It names what a per-sequence target does that stands at the last step of a sequence and is
    masked elsewhere: it sees the output of that step alone.

    Parameters
    ----------
    n : features.

    Raises
    ------
    ValueError : if ``n`` is not a positive integer.
    """

    def tape(self, x: NDArray, room: Room) -> Tape:
        return Tape(
            x, zeros((room.rows, room.lanes, padded(self.n, room.dtype)), room.dtype), {}, None
        )

    def forward(self, weights: None, tape: Tape, first: int, last: int) -> None:
        tape.y[first:last, :, : self.n] = tape.x[first:last, :, : self.n]

    def backward(
        self,
        weights: None,
        tape: Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> int:
        if dx is not None:
            dx[steps.errors_from : steps.last] = dy[steps.errors_from : steps.last]
        return steps.errors_from

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        return x


@dataclass(frozen=True)
class _Running(Parameterless):
    """A pooling that carries what it has seen.

    State: ``h`` (B, n), the output; ``count`` (B, n), how many steps of the sequence it has seen.
    At a count of zero ``h`` is not read.
    """

    carried: ClassVar[tuple[str, ...]] = ("h", "count")
    counters: ClassVar[tuple[str, ...]] = ("count",)
    kind: ClassVar[int]
    """By which the kernels know it."""

    def tape(self, x: NDArray, room: Room) -> Tape:
        shape = room.lanes, padded(self.n, room.dtype)
        h, count = (zeros((room.rows + 1, *shape), room.dtype) for _ in range(2))
        norms, marks = np.zeros((1, room.rows, room.lanes)), (room.fresh.rows, room.skip.rows)
        arrays = _Arrays(x, h, count, zeros(shape, room.dtype), room.back, *marks, norms)
        states, errors = {"h": h, "count": count}, {"h": arrays.dh}
        return Tape(x, h[1:], states, arrays, errors=errors, fresh=room.fresh, norms=norms[0])

    def forward(self, weights: None, tape: Tape, first: int, last: int) -> None:
        _forward(tuple(tape.arrays), self.kind, self.n, first, last)

    def backward(
        self,
        weights: None,
        tape: Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> int:
        dx = dy[:0] if dx is None else dx
        part = whole_part(padded(self.n, dy.dtype) // lanes_of(dy.dtype))
        _backward(tuple(tape.arrays), self.kind, self.n, dy, dx, tuple(steps), part)
        return steps.first

    def state_errors(self, weights: None, tape: Tape, first: int) -> None:
        _go_through(tuple(tape.arrays), self.kind, self.n, first)

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        _step(x, self.kind, before, after, start)
        return after[start : start + x.size].reshape(x.shape)


@dataclass(frozen=True)
class Mean(_Running):
    """y_t = the mean of x_1 to x_t, of the sequence so far.

    In float32 the count ends at 2²⁴; from there on older steps fade slowly.

    Parameters
    ----------
    n : features.

    State: ``h`` (B, n), the mean; ``count`` (B, n), of how many steps.

    Raises
    ------
    ValueError : if ``n`` is not a positive integer.
    """

    kind: ClassVar[int] = 0


@dataclass(frozen=True)
class Max(_Running):
    """y_t = the largest of x_1 to x_t, of the sequence so far, feature by feature.

    The error goes to the first step that had the largest value.

    Parameters
    ----------
    n : features.

    State: ``h`` (B, n), the largest yet; ``count`` (B, n), of how many steps.

    Raises
    ------
    ValueError : if ``n`` is not a positive integer.
    """

    kind: ClassVar[int] = 1


class _Arrays(NamedTuple):
    """x : in, (K, B, n or wider).
    h, count : in, out, (K+1, B, np).
    dh : scratch, (B, np), δ_t.
    back : in, (K, B), weight of what comes back to each step.
    fresh, skip : in, (K, B), whether a new sequence begins, or the step is skipped.
    norms : out, (1, K, B) float64, ‖δ_t‖.
    """

    x: NDArray
    h: NDArray
    count: NDArray
    dh: NDArray
    back: NDArray
    fresh: NDArray
    skip: NDArray
    norms: NDArray


@kernel
def _weight(kind, x, h, count):
    """w: of x against h, which stands for ``count`` steps."""
    if kind == 0:
        return 1.0 / (count + 1.0)
    return 1.0 if count <= 0.0 or x > h or x != x else 0.0


@kernel
def _moved(h, x, w):
    """``h``, moved towards ``x`` by the weight: in a form that is rounded alike everywhere."""
    return x if w == 1.0 else h + w * (x - h)


@kernel
def _weight_at(arrays, kind, t, b, j):
    if arrays.skip[t, b]:
        return 0.0
    count = 0.0 if arrays.fresh[t, b] else arrays.count[t, b, j]
    return _weight(kind, arrays.x[t, b, j], arrays.h[t, b, j], count)


@kernel
def _forward(values, kind, n, first, last):
    """values : `_Arrays` as a plain tuple."""
    arrays = _Arrays(*values)
    x, h, count = arrays.x, arrays.h, arrays.count
    for t in range(first, last):
        for b in range(h.shape[1]):
            if arrays.skip[t, b]:
                kept = 0.0 if arrays.fresh[t, b] else 1.0
                for j in range(n):
                    h[t + 1, b, j], count[t + 1, b, j] = kept * h[t, b, j], kept * count[t, b, j]
                continue
            for j in range(n):
                w = _weight_at(arrays, kind, t, b, j)
                h[t + 1, b, j] = _moved(h[t, b, j], x[t, b, j], w)
                count[t + 1, b, j] = 1.0 if arrays.fresh[t, b] else count[t, b, j] + 1.0


@kernel
def _step(x, kind, before, after, start):
    """x (B, n) in; before, after flat, in and out: h, count (B, n) from ``start`` on."""
    flat = x.reshape(x.size)
    for i in range(x.size):
        h, count = before[start + i], before[start + x.size + i]
        w = _weight(kind, flat[i], h, count)
        after[start + i] = _moved(h, flat[i], w)
        after[start + x.size + i] = count + 1.0


@kernel
def _go_through(values, kind, n, t):
    """Turn δ of step t in ``dh`` into the error of the state before it."""
    arrays = _Arrays(*values)
    for b in range(len(arrays.dh)):
        for j in range(n):
            arrays.dh[b, j] *= 1.0 - _weight_at(arrays, kind, t, b, j)


@kernel
def _backward(values, kind, n, dy, dx, span, part):
    """δ down from step ``steps.last`` - 1; dy (K, B, np) in; dx out, the same, or without rows.

    values, span : `_Arrays` and a `Span` as plain tuples.
    part : as in `crew`.
    """
    arrays, steps = _Arrays(*values), Span(*span)
    dh = arrays.dh
    for t in range(steps.last - 1, steps.first - 1, -1):
        if t < steps.last - 1:
            _go_through(values, kind, n, t + 1)
        gather(dh, arrays.back, dy, t, steps, arrays.norms, part)
        if len(dx) == 0:
            continue
        for b in range(len(dh)):
            for j in range(n):
                dx[t, b, j] = _weight_at(arrays, kind, t, b, j) * dh[b, j]
            dx[t, b, n:] = 0.0
