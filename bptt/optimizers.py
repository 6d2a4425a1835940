"""Optimizers: each one pass over the flat parameters, with the clipping of the gradient in it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .checks import check_bound
from .clip import Clipping
from .kernels.compile import kernel
from .schedules import Schedule

__all__ = ["OPTIMIZERS", "SGD", "Adam", "Optimizer"]


@dataclass(frozen=True)
class Optimizer(ABC):
    """How parameters follow the gradient.

    Parameters
    ----------
    learning_rate : a number, or a `Schedule`.
    """

    learning_rate: float | Schedule
    moments: ClassVar[tuple[str, ...]] = ()
    """Names of the vectors, as long as the parameters and first zero, that go from update to
    update."""

    def __post_init__(self) -> None:
        if not isinstance(self.learning_rate, Schedule):
            check_bound("learning_rate", self.learning_rate)
            if math.isinf(self.learning_rate):
                raise ValueError("learning_rate must be finite, got inf")

    def rate(self, updates: int, epochs: int) -> float:
        """The learning rate after so many finished updates and epochs."""
        if isinstance(self.learning_rate, Schedule):
            return self.learning_rate.rate(updates, epochs)
        return self.learning_rate

    @abstractmethod
    def update(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
    ) -> None:
        """Take the step number ``n`` (the first is 1): ``params`` and ``moments`` in and out."""

    def change(self, moments: Mapping[str, NDArray], n: int, rate: float) -> NDArray | None:
        """What step ``n``, which left ``moments``, added to the parameters, (N,); None if an
        optimizer does not say."""
        return None


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum, as PyTorch's.

    v ← momentum·v + g;  θ ← θ - rate·v  (Polyak 1964; Sutskever et al. 2013)

    Parameters
    ----------
    learning_rate : a number, or a `Schedule`.
    momentum : 0 for none.

    Raises
    ------
    ValueError : if the learning rate is not positive, or the momentum not in [0, 1).
    """

    momentum: float = 0.0
    moments: ClassVar[tuple[str, ...]] = ("velocity",)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_fraction("momentum", self.momentum)

    def update(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
    ) -> None:
        numbers = _typed((rate, self.momentum, *clipping), params)
        _sgd(params, grads, moments["velocity"], numbers)

    def change(self, moments: Mapping[str, NDArray], n: int, rate: float) -> NDArray:
        return -rate * moments["velocity"]


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), with PyTorch's place for ``eps``.

    m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;  θ ← θ - rate · m̂ / (√v̂ + eps)

    Parameters
    ----------
    learning_rate : a number, or a `Schedule`.
    beta1, beta2 : decay of the two moments.
    eps : keeps the quotient small where the gradient is.

    Raises
    ------
    ValueError : if the learning rate or ``eps`` is not positive, or a β not in [0, 1).
    """

    learning_rate: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    moments: ClassVar[tuple[str, ...]] = ("m", "v")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_fraction("beta1", self.beta1)
        _check_fraction("beta2", self.beta2)
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
        step = rate / (1.0 - self.beta1**n)
        spread = (1.0 - self.beta2**n) ** -0.5
        decays = (self.beta1, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2)
        numbers = _typed((step, spread, *decays, self.eps, *clipping), params)
        _adam(params, grads, moments["m"], moments["v"], numbers)

    def change(self, moments: Mapping[str, NDArray], n: int, rate: float) -> NDArray:
        step = rate / (1.0 - self.beta1**n)
        spread = (1.0 - self.beta2**n) ** -0.5
        return -step * moments["m"] / (np.sqrt(moments["v"]) * spread + self.eps)


OPTIMIZERS = {optimizer.__name__: optimizer for optimizer in (SGD, Adam)}
"""Name -> class, by which files name them."""


def _check_fraction(name: str, value: float) -> None:
    if not isinstance(value, Real) or not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value!r}")


def _typed(numbers: tuple[float, ...], params: NDArray) -> tuple[np.floating, ...]:
    """In the dtype of the parameters, so that kernels do not compute in a wider one."""
    return tuple(params.dtype.type(number) for number in numbers)


@kernel
def _sgd(params, grads, velocity, numbers):
    """params, velocity (N,) in and out; grads (N,) in; numbers of the same dtype."""
    rate, momentum, factor, limit = numbers
    for i in range(params.size):
        g = min(max(grads[i] * factor, -limit), limit)
        velocity[i] = momentum * velocity[i] + g
        params[i] -= rate * velocity[i]


@kernel
def _adam(params, grads, m, v, numbers):
    """params, m, v (N,) in and out; grads (N,) in; numbers of the same dtype."""
    step, spread, beta1, rest1, beta2, rest2, eps, factor, limit = numbers
    for i in range(params.size):
        g = min(max(grads[i] * factor, -limit), limit)
        m[i] = beta1 * m[i] + rest1 * g
        v[i] = beta2 * v[i] + rest2 * (g * g)
        params[i] -= step * m[i] / (math.sqrt(v[i]) * spread + eps)
