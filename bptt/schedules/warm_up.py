"""A rate that rises before it follows another."""

from __future__ import annotations

from dataclasses import dataclass

from ..checks import check_count
from .base import NO_MEMO, Schedule, ScheduleMemo, check_rate

__all__ = ["WarmUp"]


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A rate that rises evenly to that of ``then`` over the first ``updates``.

    Update i of them, from 1 on, has i / updates of the rate that ``then`` has before any update.
    ``then``, a number or a `Schedule`, counts its updates from the end of the rise; but epochs, and
    what `OnPlateau` hears of them, from the beginning.

    ``WarmUp(500, Cosine(1e-3, 1e-5, 10_000))`` rises for 500 updates and falls for 10,000.

    Raises
    ------
    ValueError : if ``updates`` is no positive integer, or ``then`` neither a positive, finite
        number nor a schedule.
    """

    updates: int
    then: float | Schedule

    def __post_init__(self) -> None:
        check_count("updates", self.updates)
        check_rate("then", self.then)

    def rate(self, updates: int, epochs: int, memo: ScheduleMemo = NO_MEMO) -> float:
        after = max(0, updates - self.updates)
        then = self.then
        rate = then.rate(after, epochs, memo) if isinstance(then, Schedule) else then
        return rate * min(1.0, (updates + 1) / self.updates)

    @property
    def watches(self) -> str | None:
        return self.then.watches if isinstance(self.then, Schedule) else None

    def observe(
        self, memo: ScheduleMemo, train_loss: float, validation_loss: float
    ) -> ScheduleMemo:
        if not isinstance(self.then, Schedule):
            return memo
        return self.then.observe(memo, train_loss, validation_loss)
