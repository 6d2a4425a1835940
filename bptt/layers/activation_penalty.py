"""A price on large activations and on quick changes of them (Merity et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from numpy.typing import NDArray

from ..checks import check_amount
from ..kernels.compile import kernel
from ..kernels.target import padded, zeros
from .parameterless import Parameterless
from .skips import hold
from .tape import Room, Span, Tape
from .weights import Scratch

__all__ = ["ActivationPenalty"]


@dataclass(frozen=True)
class ActivationPenalty(Parameterless):
    """y_t = x_t, and while training every loss ℓ_t has a penalty added to it, of which the error
    that goes back is the derivative:

    ::

        alpha · mean_j x_tj² + beta · mean_j (x_tj - x_{t-1,j})²

    the means being over the n features. The penalty of a step belongs to its loss: it counts where
    that does and as much, so steps without a target, padding and the older steps of a window have
    none, and over a run each enters once. At the first step of a sequence there is no x_{t-1} and
    no second term; after steps that are skipped, x_{t-1} is that of the last one before them. Its
    error flows back to x_{t-1} as far as the window reaches; before that x_{t-1} is a constant.
    Losses that are reported are those without penalties.

    (Activation regularisation and temporal activation regularisation of Merity, Keskar & Socher
    2018, who divide the second by the number of pairs of steps within the window.)

    Parameters
    ----------
    n : features.
    alpha, beta : weights of the two terms, not negative.

    State: ``h`` (B, n), the last x; ``seen`` (B, n), 1 where there is one and 0 where not.

    Raises
    ------
    ValueError : if ``n`` is not a positive integer, or ``alpha`` or ``beta`` not a finite number
        from 0 on.
    """

    alpha: float = 2.0
    beta: float = 1.0
    trains: ClassVar[bool] = True
    carried: ClassVar[tuple[str, ...]] = ("h", "seen")
    counters: ClassVar[tuple[str, ...]] = ("h", "seen")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("alpha", "beta"):
            check_amount(name, getattr(self, name))

    def tape(self, x: NDArray, room: Room) -> Tape:
        shape = room.lanes, padded(self.n, room.dtype)
        h, seen = (zeros((room.rows + 1, *shape), room.dtype) for _ in range(2))
        arrays = _Arrays(
            h, seen, zeros(shape, room.dtype), room.back, room.fresh.rows, room.skip.rows,
            room.keys.rows, room.shares,
        )  # fmt: skip
        states = {"h": h, "seen": seen}
        marks = {"fresh": room.fresh, "skip": room.skip}
        return Tape(x, h[1:], states, arrays, errors={"h": arrays.dh}, **marks)

    def forward(self, weights: None, tape: Tape, first: int, last: int) -> None:
        tape.states["h"][first + 1 : last + 1, :, : self.n] = tape.x[first:last, :, : self.n]
        tape.states["seen"][first + 1 : last + 1, :, : self.n] = 1
        hold(tape, first, last)

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
        # The oldest loss is no older than the oldest error, and reaches one step further back.
        first = max(steps.first, steps.errors_from - 1)
        while first > steps.first and tape.skip.some and tape.skip.rows[first].any():
            first -= 1
        dx = dy[:0] if dx is None else dx
        prices = 2 * self.alpha / self.n, 2 * self.beta / self.n
        _backward(tuple(tape.arrays), prices, dy, dx, tuple(steps._replace(first=first)))
        return first

    def state_errors(self, weights: None, tape: Tape, first: int) -> None:
        """They are there already."""

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        after[start : start + x.size] = x.reshape(-1)
        after[start + x.size : start + 2 * x.size] = 1
        return x

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.n}, {self.alpha}, {self.beta})"


class _Arrays(NamedTuple):
    """h, seen : in, (K+1, B, np).
    dh : in, out, (B, np), error of h: in, from beyond the last step; out, before the first.
    back : in, (K, B), weight of what comes back to each step.
    fresh, skip, keys, shares : in, (K, B), as in `Room`.
    """

    h: NDArray
    seen: NDArray
    dh: NDArray
    back: NDArray
    fresh: NDArray
    skip: NDArray
    keys: NDArray
    shares: NDArray


@kernel
def _backward(values, prices, dy, dx, span):
    """dy (K, B, np) in; dx out, the same, or without rows.

    values, span : `_Arrays` and a `Span` as plain tuples.
    prices : of h and of its change, by half of which their squares are multiplied.
    """
    arrays, steps = _Arrays(*values), Span(*span)
    h, dh = arrays.h, arrays.dh
    for t in range(steps.last - 1, steps.first - 1, -1):
        for b in range(len(dh)):
            share = arrays.shares[t, b] if arrays.keys[t, b] != 0 else h.dtype.type(0.0)
            of_size, of_change = h.dtype.type(prices[0]) * share, h.dtype.type(prices[1]) * share
            for j in range(dh.shape[1]):
                error = dh[b, j] * arrays.back[t, b] + of_size * h[t + 1, b, j]
                if t >= steps.errors_from:
                    error += dy[t, b, j]
                if arrays.skip[t, b]:
                    dh[b, j], error = error, h.dtype.type(0.0)
                    if len(dx):
                        dx[t, b, j] = error
                    continue
                dh[b, j] = 0.0
                if arrays.seen[t, b, j] > 0.0 and not arrays.fresh[t, b]:
                    change = of_change * (h[t + 1, b, j] - h[t, b, j])
                    error += change
                    dh[b, j] = -change
                if len(dx):
                    dx[t, b, j] = error
