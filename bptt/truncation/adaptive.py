"""A window that is as long as the error needs."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass

from ..checks import check_count, is_number
from ..decay import fit_decay
from .base import Memo, Plan, Probe, Truncation

__all__ = ["AdaptiveTBPTT"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class AdaptiveTBPTT(Truncation):
    """The smallest window whose bias is within a tolerance (Aicher, Foti & Fox 2019).

    Before the first update, and then every ``every`` updates, the losses of single steps are taken
    ``k_max`` steps back. Their mean error φ_k = mean ‖∂ℓ_s/∂h_{s-k}‖ at lag k gives a rate of decay
    β from the second half of the lags; with it, a bound on the relative bias of a gradient whose
    losses reach back K steps (`bptt.decay`). The smallest K within ``tolerance`` is taken; and
    k_max, with a warning, when β >= 1, or silently when no K is within. An update then runs k1 = K
    new steps in a window of k2 = K + k1 - 1, so that every loss reaches at least K steps.

    Parameters
    ----------
    tolerance : largest relative bias, in (0, 1).
    k_max : largest K, and the steps of a probe.
    every : updates between two probes.
    k1 : new steps of an update; None for K.
    clip_delta, memory : as in `Truncation`.

    Raises
    ------
    ValueError : if a parameter is out of its range.
    """

    tolerance: float
    k_max: int
    every: int = 100
    k1: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_number(self.tolerance) or not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance must be in (0, 1), got {self.tolerance!r}")
        for name in ("k_max", "every"):
            check_count(name, getattr(self, name))
        if self.k1 is not None:
            check_count("k1", self.k1)

    def plan(self, n: int, left: int, memo: Memo) -> Plan:
        reach = memo.get("reach", self.k_max)
        k1 = min(reach if self.k1 is None else self.k1, left)
        return Plan(k1, reach + k1 - 1, k1)

    def older(self, n: int, left: int, memo: Memo) -> int:
        return self.k_max - 1

    def usual(self, steps: int) -> int:
        return self.k_max

    @property
    def slides(self) -> bool:
        return True

    def adapt(self, memo: Memo, n: int, probe: Probe) -> Memo:
        if "probed" in memo and n - memo["probed"] < self.every:
            return memo
        errors = probe(self.k_max)
        if errors is None:
            return memo
        decay = fit_decay(errors)
        reach = decay.smallest_window(self.tolerance) or self.k_max
        _LOG.info("after update %d: decay %.4f a step, window %d", n, decay.rate, reach)
        if decay.rate >= 1:
            warnings.warn(
                f"after update {n} the error does not decay over {self.k_max} steps (rate "
                f"{decay.rate:.4f} a step), so its bias has no bound; the window is k_max",
                RuntimeWarning,
                stacklevel=2,
            )
        return {"reach": reach, "probed": n}
