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
from ..kernels.compile import kernel
from ..schedules import Schedule
from .base import Optimizer, clipped, typed

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
    squares: ClassVar[bool] = True

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
    ) -> None:
        numbers = rate, self.eps, float(np.finfo(params.dtype).max), *clipping
        _adagrad(params, grads, moments["squares"], typed(numbers, params))

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
    """params, squares (N,) in and out; grads (N,) in; numbers of the same dtype."""
    rate, eps, most, factor, limit = numbers
    for i in range(params.size):
        g = min(max(grads[i] * factor, -limit), limit)
        squares[i] = min(squares[i] + g * g, most)
        params[i] -= rate * g / (math.sqrt(squares[i]) + eps)
