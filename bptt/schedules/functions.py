"""Rates that are functions of the updates and epochs so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..checks import check_amount, check_bound, check_count, check_natural
from .base import NO_MEMO, Schedule, ScheduleMemo

__all__ = ["Cosine", "Exponential", "StepDecay"]


@dataclass(frozen=True)
class Exponential(Schedule):
    """``initial`` for ``after`` epochs, then ``factor`` times the rate of the epoch before in each.

    ``Exponential(2e-3, 0.97, after=10)`` holds for ten epochs, and takes 0.97 of the rate in the
    eleventh. The first epoch has ``initial`` in any case. (PyTorch's ExponentialLR with ``after=0``
    or 1; with more, Karpathy's char-rnn.)

    Raises
    ------
    ValueError : if ``initial`` or ``factor`` is not positive, or ``after`` no integer from 0 on.
    """

    initial: float
    factor: float
    after: int = 0

    def __post_init__(self) -> None:
        check_bound("initial", self.initial)
        check_bound("factor", self.factor)
        check_natural("after", self.after)

    def rate(self, updates: int, epochs: int, memo: ScheduleMemo = NO_MEMO) -> float:
        return self.initial * self.factor ** max(0, epochs + 1 - max(1, self.after))


@dataclass(frozen=True)
class StepDecay(Schedule):
    """``initial`` · ``factor`` ** (finished epochs // ``every``), as PyTorch's StepLR.

    ``StepDecay(1e-3, 0.1, every=30)`` takes a tenth of the rate after every thirty epochs.

    Raises
    ------
    ValueError : if ``initial`` or ``factor`` is not positive, or ``every`` no positive integer.
    """

    initial: float
    factor: float
    every: int

    def __post_init__(self) -> None:
        check_bound("initial", self.initial)
        check_bound("factor", self.factor)
        check_count("every", self.every)

    def rate(self, updates: int, epochs: int, memo: ScheduleMemo = NO_MEMO) -> float:
        return self.initial * self.factor ** (epochs // self.every)


@dataclass(frozen=True)
class Cosine(Schedule):
    """From ``initial`` to ``final`` along half a cosine, over so many ``updates``; then ``final``.

    final + (initial - final)·(1 + cos(π·finished / updates)) / 2  (Loshchilov & Hutter 2017,
    without restarts; PyTorch's CosineAnnealingLR with T_max = updates and eta_min = final, which
    would rise again).

    Raises
    ------
    ValueError : if ``initial`` is not positive, ``final`` negative, or ``updates`` no positive
        integer.
    """

    initial: float
    final: float
    updates: int

    def __post_init__(self) -> None:
        check_bound("initial", self.initial)
        check_amount("final", self.final)
        check_count("updates", self.updates)

    def rate(self, updates: int, epochs: int, memo: ScheduleMemo = NO_MEMO) -> float:
        share = min(updates / self.updates, 1.0)
        return self.final + (self.initial - self.final) * (1.0 + math.cos(math.pi * share)) / 2.0
