"""What an optimizer is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import check_amount
from ..clip import Clipping
from ..options import Options
from ..schedules import NO_MEMO, Schedule, ScheduleMemo, check_rate

__all__ = ["PIECE", "Optimizer", "check_decay", "clipped", "safe_size", "typed"]

PIECE = 1024
"""Numbers of each vector that are added up while they are in the nearest cache."""


@dataclass(frozen=True)
class Optimizer(Options):
    """How parameters follow the gradient.

    Parameters
    ----------
    learning_rate : a number, or a `Schedule`.
    """

    learning_rate: float | Schedule
    moments: ClassVar[tuple[str, ...]] = ()
    """Names of the vectors, as long as the parameters and first zero, that go from update to
    update."""
    elementwise: ClassVar[bool] = False
    """Whether `update` treats each number by itself, so that threads can have a piece each."""

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)

    def rate(self, updates: int, epochs: int, memo: ScheduleMemo = NO_MEMO) -> float:
        """The learning rate after so many finished updates and epochs."""
        if isinstance(self.learning_rate, Schedule):
            return self.learning_rate.rate(updates, epochs, memo)
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
    ) -> float | None:
        """Take the step number ``n`` (the first is 1): ``params`` and ``moments`` in and out.

        Returns
        -------
        The sum of their absolute values, to be held against `safe_size`; None if it is not known.
        """

    def safe_size(self, rate: float) -> float:
        """Up to which size of parameters, moments and clipped gradient a step at ``rate`` surely is
        finite; 0 if that is not known: then all it changes is copied before and checked after."""
        return 0.0

    def change(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: Clipping,
    ) -> NDArray | None:
        """What `update`, called so, added to the parameters, (N,); None if an optimizer does not
        say. ``params`` and ``moments`` are those that it left; nothing is written."""
        return None


def check_decay(weight_decay: float) -> None:
    """Refuse what is not a finite number from 0 on.

    Raises
    ------
    ValueError : saying what came.
    """
    check_amount("weight_decay", weight_decay)


def safe_size(rate: float, decay: float = 0.0, eps: float = 1.0) -> float:
    """For `Optimizer.safe_size`, of steps with such a weight decay, and divisors above ``eps``:
    even their squares, and sums of some of them, are finite in float32."""
    return 1e18 * min(1.0, eps) / ((1.0 + rate) * (1.0 + decay)) - 1.0


def typed(numbers: tuple[float, ...], params: NDArray) -> NDArray:
    """In the dtype of the parameters, so that kernels do not compute in a wider one; a vector,
    since a kernel is called with one in a third of the time of a tuple."""
    return np.array(numbers, params.dtype)


def clipped(grads: NDArray, clipping: Clipping) -> NDArray:
    """What an update made of ``grads`` before it used them."""
    return np.clip(grads * clipping.factor, -clipping.limit, clipping.limit)
