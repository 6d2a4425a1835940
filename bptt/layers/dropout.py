"""Dropout: features left out at random while training (Srivastava et al. 2014)."""

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

__all__ = ["Dropout"]


@dataclass(frozen=True)
class Dropout(Parameterless):
    """y_t = x_t m_t / (1 - p) while training, each m 0 with probability p and 1 otherwise.

    Drawn anew for each feature of each step of each lane, so that no mask outlives a step, let
    alone a window. Outside training y_t = x_t. (Srivastava et al. 2014; PyTorch's ``nn.Dropout``.)

    Parameters
    ----------
    n : features.
    p : share of the features that is left out, in [0, 1).

    Raises
    ------
    ValueError : if ``n`` is not a positive integer, or ``p`` not in [0, 1).
    """

    p: float = 0.5
    trains: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("p", self.p)

    def tape(self, x: NDArray, room: Room) -> Tape:
        y = zeros((room.rows, room.lanes, padded(self.n, room.dtype)), room.dtype)
        return _Tape(x, y, {}, None, keys=room.keys, salt=room.salt)

    def forward(self, weights: None, tape: _Tape, first: int, last: int) -> None:
        _drop(tape.x, tape.keys.rows, tape.salt, self.p, self.n, first, last, tape.y)

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
            _drop(dy, tape.keys.rows, tape.salt, self.p, self.n, first, last, dx)
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

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.n}, {self.p})"


@dataclass(eq=False)
class _Tape(Tape):
    """With what the masks are drawn from."""

    keys: Marked | None = None
    salt: int = 0


@kernel
def _drop(x, keys, salt, p, n, first, last, y):
    """x (K, B, n or wider) in; keys (K, B) in; y (K, B, np) out, zero in the padding."""
    kept = x.dtype.type(1.0 / (1.0 - p))
    for t in range(first, last):
        for b in range(keys.shape[1]):
            key = keys[t, b]
            for j in range(n):
                if key == 0:
                    y[t, b, j] = x[t, b, j]
                elif uniform(key, salt, j) < p:
                    y[t, b, j] = 0.0
                else:
                    y[t, b, j] = x[t, b, j] * kept
            y[t, b, n:] = 0.0
