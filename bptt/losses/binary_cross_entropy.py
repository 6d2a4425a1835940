"""The cross-entropy of features that are each on or off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import check_word
from ..kernels.arithmetic import absolute
from ..kernels.compile import kernel
from ..kernels.exponential import exp
from ..kernels.vector import lanes, load, store
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
        check_word("features", self.features, ("mean", "sum"))

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
    """As in `Loss.run`; share: what each feature counts.

    The logarithms of a step and lane are one: ``rise`` is the product of all 1 + e^-|y|, less one.
    """
    width, size = y.shape[2], lanes(y)
    loss, slope = 0.0, scale * share
    for t in range(targets.shape[0]):
        for b in range(y.shape[1]):
            row = dy[first + t, b]
            if not valid[t, b]:
                for j in range(width):
                    row[j] = 0
                continue
            at = ((first + t) * y.shape[1] + b) * width
            for j in range(at, at + width, size):
                store(dy, j, exp(0.0 - absolute(load(y, j))))
            value = rise = 0.0
            for j in range(outputs):
                logit, target = np.float64(y[first + t, b, j]), np.float64(targets[t, b, j])
                power = np.float64(row[j])
                on = 1.0 if logit > 0 else power
                value += max(logit, 0.0) - logit * target
                row[j] = slope * (on / (1.0 + power) - target)
                rise += power * (1.0 + rise)
                if rise > 1e200:
                    value += math.log1p(rise)
                    rise = 0.0
            loss += share * (value + math.log1p(rise))
            for j in range(outputs, width):
                row[j] = 0
    return loss
