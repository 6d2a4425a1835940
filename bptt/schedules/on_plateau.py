"""A rate that is reduced when the loss stops falling."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..checks import check_bound, check_fraction, check_natural, check_watch, is_number
from .base import NO_MEMO, Schedule, ScheduleMemo

__all__ = ["OnPlateau"]


@dataclass(frozen=True)
class OnPlateau(Schedule):
    """``initial``, times ``factor`` whenever the loss has stopped falling: ReduceLROnPlateau.

    After each epoch of `Trainer.fit`: a loss below (1 - threshold) of the lowest is the lowest
    from now on. The rate is reduced, never below ``final``, after more than ``patience`` epochs in
    a row without such a loss. Epochs do not count in the ``cooldown`` epochs after that.
    (PyTorch's, for mode="min" and threshold_mode="rel", but for its eps.)

    Passes of `Trainer.steps` do not change the rate.

    Parameters
    ----------
    initial : the rate at first.
    factor : in (0, 1).
    patience : epochs without a lower loss that change nothing.
    threshold : in [0, 1), the share of the lowest loss by which a lower one is lower.
    cooldown : epochs after a reduction that are not counted.
    final : the lowest rate.
    watch : "validation" or "training", the loss that is meant.

    Raises
    ------
    ValueError : if a parameter is out of its range, or ``final`` above ``initial``.
    """

    initial: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    cooldown: int = 0
    final: float = 0.0
    watch: str = "validation"

    def __post_init__(self) -> None:
        check_bound("initial", self.initial)
        if not is_number(self.factor) or not 0 < self.factor < 1:
            raise ValueError(f"factor must be in (0, 1), got {self.factor!r}")
        for name in ("patience", "cooldown"):
            check_natural(name, getattr(self, name))
        check_fraction("threshold", self.threshold)
        if not is_number(self.final) or not 0 <= self.final <= self.initial:
            raise ValueError(
                f"final must be a number from 0 to initial, {self.initial}, got {self.final!r}"
            )
        check_watch(self.watch)

    @property
    def watches(self) -> str:
        return self.watch

    def rate(self, updates: int, epochs: int, memo: ScheduleMemo = NO_MEMO) -> float:
        return memo.get("rate", self.initial)

    def observe(
        self, memo: ScheduleMemo, train_loss: float, validation_loss: float
    ) -> ScheduleMemo:
        loss = train_loss if self.watch == "training" else validation_loss
        rate, lowest = memo.get("rate", self.initial), memo.get("lowest", math.inf)
        waited, cooling = memo.get("waited", 0) + 1, memo.get("cooling", 0)
        if loss < lowest * (1.0 - self.threshold):
            lowest, waited = loss, 0
        if cooling:
            cooling, waited = cooling - 1, 0
        if waited > self.patience:
            rate, cooling, waited = max(rate * self.factor, self.final), self.cooldown, 0
        return {"rate": rate, "lowest": lowest, "waited": waited, "cooling": cooling}
