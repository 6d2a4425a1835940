"""Adam, and AdamW."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import check_bound, check_fraction
from ..clip import Clipping
from ..kernels.compile import kernel, piece
from ..kernels.vectors import sum_of_sizes
from ..schedules import Schedule
from .base import PIECE, Optimizer, check_decay, safe_size, typed

__all__ = ["Adam", "AdamW"]


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), with PyTorch's place for ``eps``.

    g ← g + weight_decay·θ;
    m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;  θ ← θ - rate · m̂ / (√v̂ + eps)

    Parameters
    ----------
    learning_rate : a number, or a `Schedule`.
    beta1, beta2 : decay of the two moments.
    eps : keeps the quotient small where the gradient is.
    weight_decay : L2: this times the parameters is added to the clipped gradient.

    Raises
    ------
    ValueError : if the learning rate or ``eps`` is not positive, a β not in [0, 1), or the decay
        negative.
    """

    learning_rate: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    moments: ClassVar[tuple[str, ...]] = ("m", "v")
    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta1", self.beta1)
        check_fraction("beta2", self.beta2)
        check_bound("eps", self.eps)
        check_decay(self.weight_decay)

    def update(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
    ) -> float:
        return self._step(params, grads, moments, n, rate, clipping, (self.weight_decay, 1.0))

    def safe_size(self, rate: float) -> float:
        return safe_size(rate / (1.0 - self.beta1), self.weight_decay, self.eps)

    def change(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
    ) -> NDArray:
        step, spread = self._factors(n, rate)
        return -step * moments["m"] / (np.sqrt(moments["v"]) * spread + self.eps)

    def _step(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
        decay: tuple[float, float],
    ) -> float:
        """decay : what of the parameters joins the gradient, and what of them is kept."""
        decays = (self.beta1, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2)
        numbers = (*self._factors(n, rate), *decays, self.eps, *decay, *clipping)
        return _adam(params, grads, moments["m"], moments["v"], typed(numbers, params))

    def _factors(self, n: int, rate: float) -> tuple[float, float]:
        """Of m and of √v, with which they are unbiased; the rate in the first."""
        return rate / (1.0 - self.beta1**n), (1.0 - self.beta2**n) ** -0.5


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), as PyTorch's.

    θ ← (1 - rate·weight_decay)·θ, and then the step of `Adam` without the decay in the gradient.

    Parameters
    ----------
    learning_rate, beta1, beta2, eps : as for `Adam`.
    weight_decay : of the parameters themselves, biases included.

    Raises
    ------
    ValueError : as for `Adam`.
    """

    weight_decay: float = 1e-2

    def update(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
    ) -> float:
        kept = 1.0 - rate * self.weight_decay
        return self._step(params, grads, moments, n, rate, clipping, (0.0, kept))

    def change(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
    ) -> NDArray:
        step = super().change(params, grads, moments, n, rate, clipping)
        lost = rate * self.weight_decay
        return (step - lost * params) / (1.0 - lost)


@kernel
def _adam(params, grads, m, v, numbers):
    """`_adam_piece`, piece after piece."""
    size = params.dtype.type(0)
    for first in range(0, params.size, PIECE):
        here = slice(first, first + PIECE)
        size += _adam_piece(params[here], grads[here], m[here], v[here], numbers)
    return size


@piece
def _adam_piece(params, grads, m, v, numbers):
    """params, m, v (N,) in and out; grads (N,) in; numbers (11,) in, of the same dtype.

    Returns what `Optimizer.update` does.
    """
    step, spread, eps = numbers[0], numbers[1], numbers[6]
    beta1, rest1, beta2, rest2 = numbers[2], numbers[3], numbers[4], numbers[5]
    l2, kept, factor, limit = numbers[7], numbers[8], numbers[9], numbers[10]
    for i in range(params.size):
        g = min(max(grads[i] * factor, -limit), limit) + l2 * params[i]
        m[i] = beta1 * m[i] + rest1 * g
        v[i] = beta2 * v[i] + rest2 * (g * g)
        params[i] = kept * params[i] - step * m[i] / (math.sqrt(v[i]) * spread + eps)
    return sum_of_sizes(params) + sum_of_sizes(m) + sum_of_sizes(v)
