"""How fast the error dies out on its way back, and how much of the gradient a window misses.

(Aicher, Foti & Fox 2019.) From lag τ on the mean error φ_k is taken to fall by a factor β a step.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Decay", "decay_rate", "fit_decay"]

_TINY = 1e-30
"""Of the largest norm: what is smaller has lost its digits in float32."""


class Decay(NamedTuple):
    """What a window of K steps misses, for K = 1, 2, ...

    norms : (lags,), φ_k, the mean over losses of ‖∂ℓ_s/∂h_{s-k}‖.
    rate : β, from the least-squares line through log φ_k for k >= ``settled``; 0 if all is zero.
    settled : τ.
    bias : (lags,), ``bias[K - 1]`` bounds ‖bias‖ / ‖gradient‖ of a window of K steps; inf where
        there is no bound.
    """

    norms: NDArray
    rate: float
    settled: int
    bias: NDArray

    def smallest_window(self, tolerance: float) -> int | None:
        """The least K whose bias is within ``tolerance``; None if there is none."""
        within = np.flatnonzero(self.bias <= tolerance)
        return int(within[0]) + 1 if within.size else None


def fit_decay(errors: NDArray, settled: int | None = None) -> Decay:
    """Fit the decay to ``errors``.

    Parameters
    ----------
    errors : (lags, samples, units), ∂ℓ_s/∂h_{s-k} for lags k = 0, 1, ...
    settled : τ, the lag from which on the decay is taken to be geometric; half of them if None.
    """
    lags = len(errors)
    settled = lags // 2 if settled is None else settled
    norms = np.sqrt(np.einsum("ksu,ksu->ks", errors, errors)).mean(axis=1)
    rate = decay_rate(norms, settled)
    missed = _missed(norms, rate, settled)
    found = np.linalg.norm(errors.mean(axis=1).cumsum(axis=0), axis=1)
    least = np.max(found - missed)
    if not least > 0:
        return Decay(norms, rate, settled, np.full(lags, math.inf))
    return Decay(norms, rate, settled, missed / least)


def decay_rate(norms: NDArray, settled: int) -> float:
    """β, by which ``norms`` (lags,) fall a step from lag ``settled`` on: the least-squares line
    through their logarithms. 0 if there are fewer than two above the smallest numbers."""
    lags = np.flatnonzero(norms[settled:] > _TINY * norms.max(initial=0))
    if lags.size < 2:
        return 0.0
    slope = np.polynomial.polynomial.polyfit(lags, np.log(norms[settled:][lags]), 1)[1]
    return float(np.exp(slope))


def _missed(norms: NDArray, rate: float, settled: int) -> NDArray:
    """Sum of φ_k over the lags k >= K that a window of K = 1, 2, ... steps misses."""
    if rate >= 1:
        return np.full(len(norms), math.inf)
    windows = np.arange(1, len(norms) + 1)
    beyond = norms[settled] / (1 - rate)
    before = np.append(norms[:settled][::-1].cumsum()[::-1], 0.0)
    early = before[np.minimum(windows, settled)] + beyond
    late = beyond * rate ** np.maximum(windows - settled, 0.0)
    return np.where(windows < settled, early, late)
