"""Huber's loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks import check_bound
from ..kernels.compile import kernel
from .base import FeatureLoss

__all__ = ["Huber"]


@dataclass(frozen=True)
class Huber(FeatureLoss):
    """Squared near the target and linear beyond ``delta``, as PyTorch's HuberLoss.

    ℓ = mean over the features of d²/2 where |d| ≤ δ, else δ(|d| - δ/2), with d = y - target.
    (Huber 1964.)  Targets are floats (T, B, O).

    Raises
    ------
    ValueError : if ``delta`` is not a positive, finite number.
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        check_bound("delta", self.delta)
        if math.isinf(self.delta):
            raise ValueError("delta must be finite, got inf")

    def run(self, y: NDArray, first: int, outputs: int, targets: NDArray,
            valid: NDArray, scale: float, dy: NDArray) -> float:  # fmt: skip
        return _huber(y, first, outputs, targets, valid, scale, dy, float(self.delta))


@kernel
def _huber(y, first, outputs, targets, valid, scale, dy, delta):
    """As in `Loss.run`."""
    loss, slope = 0.0, scale / outputs
    for t in range(targets.shape[0]):
        for b in range(y.shape[1]):
            for j in range(dy.shape[2]):
                dy[first + t, b, j] = 0
            if not valid[t, b]:
                continue
            values = 0.0
            for j in range(outputs):
                difference = np.float64(y[first + t, b, j]) - np.float64(targets[t, b, j])
                bounded = min(max(difference, -delta), delta)
                values += bounded * (difference - 0.5 * bounded)
                dy[first + t, b, j] = slope * bounded
            loss += values / outputs
    return loss
