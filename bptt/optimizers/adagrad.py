"""AdaGrad."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import check_bound
from ..clip import Clipping
from ..kernels.compile import kernel, piece
from ..kernels.vectors import sum_of_sizes
from ..schedules import Schedule
from .base import PIECE, Optimizer, clipped, safe_size, typed

__all__ = ["AdaGrad"]


@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """Steps that shrink with all that a parameter's gradients have been, as PyTorch's Adagrad.

    s ← s + g²;  θ ← θ - rate · g / (√s + eps)  (Duchi, Hazan & Singer 2011)

    Parameters
    ----------
    learning_rate : a number, or a `Schedule`.
    eps : keeps the quotient small where the gradient is.

    Raises
    ------
    ValueError : if the learning rate or ``eps`` is not positive.
    """

    learning_rate: float | Schedule = 1e-2
    eps: float = 1e-10
    moments: ClassVar[tuple[str, ...]] = ("squares",)
    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bound("eps", self.eps)

    def update(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
    ) -> float:
        numbers = typed((rate, self.eps, *clipping), params)
        return _adagrad(params, grads, moments["squares"], numbers)

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
        return -rate * clipped(grads, clipping) / (np.sqrt(moments["squares"]) + self.eps)


@kernel
def _adagrad(params, grads, squares, numbers):
    """`_adagrad_piece`, piece after piece."""
    size = params.dtype.type(0)
    for first in range(0, params.size, PIECE):
        here = slice(first, first + PIECE)
        size += _adagrad_piece(params[here], grads[here], squares[here], numbers)
    return size


@piece
def _adagrad_piece(params, grads, squares, numbers):
    """params, squares (N,) in and out; grads (N,) in; numbers (4,) in, of the same dtype.

    Returns what `Optimizer.update` does.
    """
    rate, eps, factor, limit = numbers[0], numbers[1], numbers[2], numbers[3]
    for i in range(params.size):
        g = min(max(grads[i] * factor, -limit), limit)
        squares[i] += g * g
        params[i] -= rate * g / (math.sqrt(squares[i]) + eps)
    return sum_of_sizes(params) + sum_of_sizes(squares)
