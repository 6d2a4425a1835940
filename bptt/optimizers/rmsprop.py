"""RMSProp."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import NDArray

from ..checks import check_bound, check_flag, check_fraction
from ..clip import Clipping
from ..kernels.compile import kernel, piece
from ..kernels.vectors import sum_of_sizes
from ..schedules import Schedule
from .base import PIECE, Optimizer, safe_size, typed

__all__ = ["RMSProp"]


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """The gradient over its running root mean square, as PyTorch's RMSprop.

    s ← α·s + (1-α)·g²;  v ← momentum·v + g / (√s + eps);  θ ← θ - rate·v
    (Tieleman & Hinton 2012.)  Centred, √s is √(s - m²) with m ← α·m + (1-α)·g (Graves 2013).

    Parameters
    ----------
    learning_rate : a number, or a `Schedule`.
    alpha : α, decay of the mean of the squares.
    eps : keeps the quotient small where the gradient is.
    momentum : 0 for none.
    centered : whether to divide by the standard deviation in place of the root mean square.

    Raises
    ------
    ValueError : if the learning rate or ``eps`` is not positive, or ``alpha`` or the momentum not
        in [0, 1).
    """

    learning_rate: float | Schedule = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False
    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("alpha", self.alpha)
        check_bound("eps", self.eps)
        check_fraction("momentum", self.momentum)
        check_flag("centered", self.centered)

    @property
    def moments(self) -> tuple[str, ...]:
        return ("squares", "velocity", "mean") if self.centered else ("squares", "velocity")

    def update(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
    ) -> float:
        decays = (self.alpha, 1.0 - self.alpha, self.momentum)
        numbers = typed((rate, *decays, self.eps, *clipping), params)
        mean = moments["mean"] if self.centered else params[:0]
        return _rmsprop(params, grads, moments["squares"], moments["velocity"], mean, numbers)

    def safe_size(self, rate: float) -> float:
        return safe_size(rate, eps=self.eps)

    def change(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
    ) -> NDArray:
        return -rate * moments["velocity"]


@kernel
def _rmsprop(params, grads, squares, velocity, mean, numbers):
    """`_rmsprop_piece`, piece after piece."""
    size = params.dtype.type(0)
    for first in range(0, params.size, PIECE):
        here = slice(first, first + PIECE)
        size += _rmsprop_piece(
            params[here], grads[here], squares[here], velocity[here], mean[here], numbers
        )
    return size


@piece
def _rmsprop_piece(params, grads, squares, velocity, mean, numbers):
    """params, squares, velocity (N,) in and out; grads (N,) in; mean (N,) in and out, or empty if
    it does not count; numbers (7,) in, of the same dtype.

    Returns what `Optimizer.update` does.
    """
    rate, alpha, rest, momentum = numbers[0], numbers[1], numbers[2], numbers[3]
    eps, factor, limit = numbers[4], numbers[5], numbers[6]
    for i in range(params.size):
        g = min(max(grads[i] * factor, -limit), limit)
        squares[i] = alpha * squares[i] + rest * (g * g)
        spread = squares[i]
        if mean.size > 0:
            mean[i] = alpha * mean[i] + rest * g
            # Rounding may bring it below zero, where every gradient has been the same.
            spread = max(spread - mean[i] * mean[i], mean.dtype.type(0))
        velocity[i] = momentum * velocity[i] + g / (math.sqrt(spread) + eps)
        params[i] -= rate * velocity[i]
    size = sum_of_sizes(params) + sum_of_sizes(squares)
    return size + sum_of_sizes(velocity) + sum_of_sizes(mean)
