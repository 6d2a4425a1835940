"""The cross-entropy of features that are each on or off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..kernels.compile import kernel
from .base import FeatureLoss, refuse

__all__ = ["BinaryCrossEntropy"]


@dataclass(frozen=True)
class BinaryCrossEntropy(FeatureLoss):
    """-target·log σ(y) - (1 - target)·log(1 - σ(y)) of each feature, from logits y, in nats.

    It is computed as max(y, 0) - y·target + log(1 + e^-|y|), which neither overflows nor cancels.
    Targets are floats (T, B, O) from 0 to 1.

    Parameters
    ----------
    features : "mean" over them, as PyTorch's BCEWithLogitsLoss; or "sum", the negative
        log-likelihood of all features of a step together, as it is reported for piano rolls.

    Raises
    ------
    ValueError : if ``features`` is neither.
    """

    features: str = "mean"

    def __post_init__(self) -> None:
        if self.features not in ("mean", "sum"):
            raise ValueError(f'features must be "mean" or "sum", got {self.features!r}')

    def targets(self, given: ArrayLike, lanes: int, outputs: int, dtype: np.dtype) -> NDArray:
        targets = super().targets(given, lanes, outputs, dtype)
        refuse(targets, (targets < 0) | (targets > 1), "but must be from 0 to 1")
        return targets

    def run(self, y: NDArray, first: int, outputs: int, targets: NDArray,
            valid: NDArray, scale: float, dy: NDArray) -> float:  # fmt: skip
        share = 1.0 if self.features == "sum" else 1.0 / outputs
        return _binary_cross_entropy(y, first, outputs, targets, valid, scale, dy, share)


@kernel
def _binary_cross_entropy(y, first, outputs, targets, valid, scale, dy, share):
    """As in `Loss.run`; share: what each feature counts."""
    loss, slope = 0.0, scale * share
    for t in range(targets.shape[0]):
        for b in range(y.shape[1]):
            for j in range(dy.shape[2]):
                dy[first + t, b, j] = 0
            if not valid[t, b]:
                continue
            for j in range(outputs):
                logit, target = np.float64(y[first + t, b, j]), np.float64(targets[t, b, j])
                power = math.exp(-abs(logit))
                peak, on = (logit, 1.0) if logit > 0 else (0.0, power)
                loss += share * (peak - logit * target + math.log1p(power))
                dy[first + t, b, j] = slope * (on / (1.0 + power) - target)
    return loss
