"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import NDArray

from ..checks import check_flag, check_fraction
from ..clip import Clipping
from ..kernels.compile import kernel, piece
from ..kernels.vectors import sum_of_sizes
from .base import PIECE, Optimizer, check_decay, clipped, safe_size, typed

__all__ = ["SGD"]


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum, as PyTorch's.

    g ← g + weight_decay·θ;  v ← momentum·v + g;  θ ← θ - rate·v  (Polyak 1964),
    or θ ← θ - rate·(g + momentum·v) with Nesterov's momentum (Sutskever et al. 2013).

    Parameters
    ----------
    learning_rate : a number, or a `Schedule`.
    momentum : 0 for none.
    nesterov : whether the step looks ahead by one momentum.
    weight_decay : L2: this times the parameters is added to the clipped gradient.

    Raises
    ------
    ValueError : if the learning rate is not positive, the momentum not in [0, 1), the decay
        negative, or if Nesterov's momentum is 0.
    """

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    moments: ClassVar[tuple[str, ...]] = ("velocity",)
    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("momentum", self.momentum)
        check_decay(self.weight_decay)
        check_flag("nesterov", self.nesterov)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")

    def update(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
    ) -> float:
        ahead = (1.0, self.momentum) if self.nesterov else (0.0, 1.0)
        numbers = typed((rate, self.momentum, *ahead, self.weight_decay, *clipping), params)
        return _sgd(params, grads, moments["velocity"], numbers)

    def safe_size(self, rate: float) -> float:
        return safe_size(rate, self.weight_decay)

    def change(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
    ) -> NDArray:
        velocity = moments["velocity"]
        if not self.nesterov:
            return -rate * velocity
        # The decay was that of the parameters before the step: params less what is returned.
        step = clipped(grads, clipping) + self.weight_decay * params + self.momentum * velocity
        return -rate * step / (1.0 - rate * self.weight_decay)


@kernel
def _sgd(params, grads, velocity, numbers):
    """`_sgd_piece`, piece after piece."""
    size = params.dtype.type(0)
    for first in range(0, params.size, PIECE):
        here = slice(first, first + PIECE)
        size += _sgd_piece(params[here], grads[here], velocity[here], numbers)
    return size


@piece
def _sgd_piece(params, grads, velocity, numbers):
    """params, velocity (N,) in and out; grads (N,) in; numbers (7,) in, of the same dtype.

    Returns what `Optimizer.update` does.
    """
    rate, momentum, of_g, of_v = numbers[0], numbers[1], numbers[2], numbers[3]
    decay, factor, limit = numbers[4], numbers[5], numbers[6]
    for i in range(params.size):
        g = min(max(grads[i] * factor, -limit), limit) + decay * params[i]
        velocity[i] = momentum * velocity[i] + g
        params[i] -= rate * (of_g * g + of_v * velocity[i])
    return sum_of_sizes(params) + sum_of_sizes(velocity)
