"""How far back through time the error of an update flows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .clip import check_bound

__all__ = ["TBPTT", "TRUNCATIONS"]


@dataclass(frozen=True)
class TBPTT:
    """Truncated backpropagation through time (Williams & Peng 1990, BPTT(h; h')).

    Every update runs ``k1`` new steps, up to step t. The losses of just those steps enter, so that
    over a run every loss enters once. The error flows from t back to t - k2 + 1; the state before
    that is a constant. So the error of a loss flows through between k2 - k1 + 1 and k2 steps:
    with k1 = k2, through (k2 + 1) / 2 on average.

    Parameters
    ----------
    k1 : stride, new steps between two updates (h' in the paper).
    k2 : window, how many steps the error flows back, counted from the newest (h in the paper).
    clip_delta : largest norm of δ_t of a lane. At every step back through time, a δ_t whose norm is
        larger is scaled down to it. δ_t is the error of the update's loss, which is a mean over
        its targets. None for no bound.

    Raises
    ------
    ValueError : if k1 or k2 is not a positive integer, k1 > k2, or ``clip_delta`` is not positive.
    """

    k1: int
    k2: int
    clip_delta: float | None = None

    def __post_init__(self) -> None:
        for name in ("k1", "k2"):
            steps = getattr(self, name)
            if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
                raise ValueError(f"{name} must be a positive integer, got {steps!r}")
            object.__setattr__(self, name, int(steps))
        if self.k1 > self.k2:
            raise ValueError(
                f"k1 must not exceed k2, got k1={self.k1} new steps in a window of k2={self.k2}"
            )
        if self.clip_delta is not None:
            check_bound("clip_delta", self.clip_delta)

    def reach_before(self, left: int) -> int:
        """How many steps before it the next update reaches, when ``left`` steps are left."""
        return self.k2 - min(self.k1, left) if left else 0

    @property
    def bound(self) -> float:
        """``clip_delta``, or inf."""
        return math.inf if self.clip_delta is None else self.clip_delta


TRUNCATIONS = {truncation.__name__: truncation for truncation in (TBPTT,)}
"""Name -> class, by which files name them."""
