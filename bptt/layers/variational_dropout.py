"""Variational dropout: the same features left out at all steps (Gal & Ghahramani 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import NDArray

from ..checks import check_fraction
from ..kernels.compile import kernel
from ..kernels.target import padded, zeros
from .draws import uniform
from .marks import Marked
from .parameterless import Parameterless
from .tape import Room, Span, Tape
from .weights import Scratch

__all__ = ["VariationalDropout"]


@dataclass(frozen=True)
class VariationalDropout(Parameterless):
    """y_t = x_t m / (1 - p) while training, each m 0 with probability p and 1 otherwise.

    m is drawn for each feature of each lane where a sequence begins, at the first step of it that
    is not skipped, and stays until the next one begins, across windows and updates. Outside
    training y_t = x_t. (Gal & Ghahramani 2016, for what goes from layer to layer; the locked
    dropout of Merity et al. 2018.)

    Parameters
    ----------
    n : features.
    p : share of the features that is left out, in [0, 1).

    State: ``mask`` (B, n), which x is multiplied by in training: 1 / (1 - p) where a feature is
    kept; below 0 where it is left out; 0 where nothing is drawn yet, as in a zero state.

    Raises
    ------
    ValueError : if ``n`` is not a positive integer, or ``p`` not in [0, 1).
    """

    p: float = 0.5
    trains: ClassVar[bool] = True
    carried: ClassVar[tuple[str, ...]] = ("mask",)
    counters: ClassVar[tuple[str, ...]] = ("mask",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("p", self.p)

    def tape(self, x: NDArray, room: Room) -> Tape:
        shape = room.lanes, padded(self.n, room.dtype)
        y, mask = (zeros((room.rows + more, *shape), room.dtype) for more in (0, 1))
        return _Tape(
            x, y, {"mask": mask}, None, {"y": (y, 1)}, fresh=room.fresh, skip=room.skip,
            keys=room.keys, salt=room.salt,
        )  # fmt: skip

    def forward(self, weights: None, tape: _Tape, first: int, last: int) -> None:
        mask, keys, n = tape.states["mask"], tape.keys.rows, self.n
        _draw(mask, tape.fresh.rows, tape.skip.rows, keys, tape.salt, self.p, n, first, last)
        _drop(tape.x, mask, keys, n, first, last, tape.y)

    def backward(
        self,
        weights: None,
        tape: _Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> int:
        if dx is not None:
            first, last = steps.errors_from, steps.last
            _drop(dy, tape.states["mask"], tape.keys.rows, self.n, first, last, dx)
        return steps.errors_from

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        here = slice(start, start + x.size)
        after[here] = before[here]
        return x

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.n}, {self.p})"


@dataclass(eq=False)
class _Tape(Tape):
    """With what the masks are drawn from."""

    keys: Marked | None = None
    salt: int = 0


@kernel
def _draw(mask, fresh, skip, keys, salt, p, n, first, last):
    """mask (K+1, B, np) in, out; fresh, skip and keys (K, B) in."""
    kept = mask.dtype.type(1.0 / (1.0 - p))
    for t in range(first, last):
        for b in range(mask.shape[1]):
            key = keys[t, b]
            for j in range(n):
                now = mask[t, b, j]
                if fresh[t, b]:
                    now = mask.dtype.type(0.0)
                if now == 0.0 and key != 0 and not skip[t, b]:
                    now = mask.dtype.type(-1.0) if uniform(key, salt, j) < p else kept
                mask[t + 1, b, j] = now


@kernel
def _drop(x, mask, keys, n, first, last, y):
    """x (K, B, n or wider), mask (K+1, B, np) and keys (K, B) in; y (K, B, np) out, zero in the
    padding."""
    for t in range(first, last):
        for b in range(keys.shape[1]):
            for j in range(n):
                if keys[t, b] == 0:
                    y[t, b, j] = x[t, b, j]
                elif mask[t + 1, b, j] > 0.0:
                    y[t, b, j] = x[t, b, j] * mask[t + 1, b, j]
                else:
                    y[t, b, j] = 0.0
            y[t, b, n:] = 0.0
