"""How the learning rate changes while training goes on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from .checks import check_bound

__all__ = ["SCHEDULES", "Exponential", "Schedule"]


class Schedule(ABC):
    """A learning rate for each update; an optimizer takes it in place of a number."""

    @abstractmethod
    def rate(self, updates: int, epochs: int) -> float:
        """The learning rate after so many finished updates and epochs."""


@dataclass(frozen=True)
class Exponential(Schedule):
    """``initial`` · ``factor`` ** (finished epochs beyond ``after``).

    ``Exponential(2e-3, 0.97, after=10)`` holds for ten epochs, and takes 0.97 of the rate of the
    epoch before in each that follows.

    Raises
    ------
    ValueError : if ``initial`` or ``factor`` is not positive, or ``after`` is negative.
    """

    initial: float
    factor: float
    after: int = 0

    def __post_init__(self) -> None:
        check_bound("initial", self.initial)
        check_bound("factor", self.factor)
        if self.after < 0:
            raise ValueError(f"after must be at least 0, got {self.after!r}")

    def rate(self, updates: int, epochs: int) -> float:
        return self.initial * self.factor ** max(0, epochs - self.after)


SCHEDULES = {schedule.__name__: schedule for schedule in (Exponential,)}
"""Name -> class, by which files name them."""
