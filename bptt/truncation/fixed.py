"""Windows of a fixed length, and the whole sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..checks import check_count, check_word
from .base import Memo, Plan, Truncation

__all__ = ["TBPTT", "FullBPTT"]


@dataclass(frozen=True, repr=False)
class TBPTT(Truncation):
    """Truncated backpropagation through time (Williams & Peng 1990, BPTT(h; h')).

    Every update runs ``k1`` new steps, up to step t. The losses of just those steps enter, so that
    over a run every loss enters once. The error flows from t back to t - k2 + 1; the state before
    that is a constant. So the error of a loss flows through between k2 - k1 + 1 and k2 steps:
    with k1 = k2, through (k2 + 1) / 2 on average.

    Parameters
    ----------
    k1 : stride, new steps between two updates (h' in the paper).
    k2 : window, how many steps the error flows back, counted from the newest (h in the paper).
    losses : "window" for the losses of all k1 new steps; "last" for that of step t alone, whose
        error then flows back through k2 steps (Sutskever 2013, section 2.8.6).
    clip_delta, memory : as in `Truncation`.

    Raises
    ------
    ValueError : if k1 or k2 is not a positive integer, k1 > k2, ``losses`` is neither word, or
        ``clip_delta`` or ``memory`` cannot be used.
    """

    k1: int
    k2: int
    losses: Literal["window", "last"] = "window"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("k1", "k2"):
            check_count(name, getattr(self, name))
        if self.k1 > self.k2:
            raise ValueError(
                f"k1 must not exceed k2, got k1={self.k1} new steps in a window of k2={self.k2}"
            )
        check_word("losses", self.losses, ("window", "last"))

    def plan(self, n: int, left: int, memo: Memo) -> Plan:
        k1 = min(self.k1, left)
        return Plan(k1, self.k2, k1 if self.losses == "window" else 1)

    def usual(self, steps: int) -> int:
        return self.k2

    def keeps_whole(self, steps: int) -> bool:
        return steps <= self.k1 and self.memory is None

    @property
    def slides(self) -> bool:
        return self.k1 < self.k2


@dataclass(frozen=True, repr=False)
class FullBPTT(Truncation):
    """Backpropagation through the whole sequence (Werbos 1990): one update a pass.

    Every loss reaches back to the first step. What a tape of the whole stream takes, ``memory`` can
    bound.

    Parameters
    ----------
    clip_delta, memory : as in `Truncation`.
    """

    def plan(self, n: int, left: int, memo: Memo) -> Plan:
        return Plan(left, left, left)

    def usual(self, steps: int) -> int:
        return steps

    def keeps_whole(self, steps: int) -> bool:
        return self.memory is None
