"""Windows of random length: AWD-LSTM's, and those of an unbiased gradient.

The length of an update depends on the seed and on the number of the update alone, so there is no
random state to keep.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks import check_count, check_seed, is_number
from .base import Memo, Plan, Truncation

__all__ = ["ARTBP", "RandomTBPTT"]

_BLOCK = 1024


@dataclass(frozen=True, repr=False)
class RandomTBPTT(Truncation):
    """Windows of random length, as AWD-LSTM is trained (Merity, Keskar & Socher 2018, section 5).

    The length of an update is the larger of ``shortest`` and a rounded draw from
    N(base, ``spread``), where base is ``k``, or with ``short_probability`` k / 2. Its steps are all
    new (k1 = k2), its loss is their mean, and the learning rate is multiplied by length / k. So
    windows begin at other steps in every pass, and no step is always near their beginning.

    Parameters
    ----------
    k : usual length.
    short_probability : from 0 to 1.
    spread : standard deviation of the length, at least 0.
    shortest : the least length.
    seed : of the draws, a non-negative integer.
    clip_delta, memory : as in `Truncation`.

    Raises
    ------
    ValueError : if a parameter is out of its range.
    """

    k: int
    short_probability: float = 0.05
    spread: float = 5.0
    shortest: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("k", "shortest"):
            check_count(name, getattr(self, name))
        if not is_number(self.short_probability) or not 0 <= self.short_probability <= 1:
            raise ValueError(f"short_probability must be in [0, 1], got {self.short_probability!r}")
        if not is_number(self.spread) or not 0 <= self.spread < np.inf:
            raise ValueError(f"spread must be a number from 0 on, got {self.spread!r}")
        check_seed(self.seed)

    def plan(self, n: int, left: int, memo: Memo) -> Plan:
        rng = np.random.default_rng([self.seed, n])
        base = self.k / 2 if rng.random() < self.short_probability else self.k
        length = min(max(self.shortest, round(rng.normal(base, self.spread))), left)
        return Plan(length, length, length, rate=length / self.k)

    def usual(self, steps: int) -> int:
        return self.k


@dataclass(frozen=True, repr=False)
class ARTBP(Truncation):
    """Anticipated reweighted truncated backpropagation (Tallec & Ollivier 2017): no bias.

    After each step the stream is cut with probability c, and the update ends there. Where it is not
    cut, the error that comes back to the step is divided by 1 - c::

        δ_t = e_t                                    if cut after t
        δ_t = e_t + J_{t+1}ᵀ δ_{t+1} / (1 - c_t)      if not
        c_t = (α - 1) / ((α - 2) L + Δt)              Δt: steps since the last cut

    With parameters that do not move, the expected sum of the gradients of all updates is the
    gradient of full backpropagation. The gradient of an update is that of the *sum* of its losses
    over ``mean_length`` · B: a mean over its random length would bring a bias back.

    Parameters
    ----------
    mean_length : L, the mean number of steps between two cuts, at least 1.
    alpha : α > 2. The probability of a length falls with its power -α: large values make long
        windows rare and their weights large.
    seed : of the cuts, a non-negative integer.
    clip_delta, memory : as in `Truncation`. A bound on δ brings a bias.

    Raises
    ------
    ValueError : if a parameter is out of its range.
    """

    mean_length: float
    alpha: float = 4.0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_number(self.mean_length) or not 1 <= self.mean_length < np.inf:
            raise ValueError(f"mean_length must be a number from 1 on, got {self.mean_length!r}")
        if not is_number(self.alpha) or not 2 < self.alpha < np.inf:
            raise ValueError(f"alpha must be a number above 2, got {self.alpha!r}")
        check_seed(self.seed)

    def cut_probability(self, since: NDArray) -> NDArray:
        """c after so many steps since the last cut."""
        return (self.alpha - 1) / ((self.alpha - 2) * self.mean_length + since)

    def weights(self, length: int) -> NDArray:
        """(length,), of what comes back to each step of an update; nothing does to the last."""
        weights = np.ones(length)
        weights[:-1] = 1 / (1 - self.cut_probability(np.arange(1, length)))
        return weights

    def plan(self, n: int, left: int, memo: Memo) -> Plan:
        length = self._draw(np.random.default_rng([self.seed, n]), left)
        weights = self.weights(length)
        return Plan(length, length, length, weights=weights, per=float(self.mean_length))

    def _draw(self, rng: np.random.Generator, left: int) -> int:
        for first in range(1, left + 1, _BLOCK):
            since = np.arange(first, min(first + _BLOCK, left + 1))
            cut = rng.random(len(since)) < self.cut_probability(since)
            if cut.any():
                return int(since[cut.argmax()])
        return left

    def usual(self, steps: int) -> int:
        return int(self.mean_length)
