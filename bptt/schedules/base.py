"""What a schedule is."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

from ..checks import check_bound
from ..options import Options

__all__ = ["NO_MEMO", "Schedule", "ScheduleMemo", "check_rate"]

ScheduleMemo: TypeAlias = Mapping[str, float]
"""What a schedule remembers from epoch to epoch; the trainer keeps it."""
NO_MEMO: ScheduleMemo = MappingProxyType({})
"""What it remembers at first."""


class Schedule(Options):
    """A learning rate for each update; an optimizer takes it in place of a number."""

    @abstractmethod
    def rate(self, updates: int, epochs: int, memo: ScheduleMemo = NO_MEMO) -> float:
        """The learning rate after so many finished updates and epochs since it was set.

        updates : those that had a valid target, and so took a step.
        """

    @property
    def watches(self) -> str | None:
        """Which loss of an epoch it follows: "validation", "training", or None."""
        return None

    def observe(
        self, memo: ScheduleMemo, train_loss: float, validation_loss: float
    ) -> ScheduleMemo:
        """What to remember from now on, after an epoch with these losses."""
        return memo


def check_rate(name: str, given: float | Schedule) -> None:
    """Refuse what is neither a positive, finite number nor a `Schedule`.

    Raises
    ------
    ValueError : naming it.
    """
    if not isinstance(given, Schedule):
        check_bound(name, given)
        if math.isinf(given):
            raise ValueError(f"{name} must be finite, got inf")
