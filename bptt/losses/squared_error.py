"""The squared error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..kernels.compile import kernel
from .base import FeatureLoss

__all__ = ["SquaredError"]


@dataclass(frozen=True)
class SquaredError(FeatureLoss):
    """ℓ = mean over the features of (y - target)², as PyTorch's MSELoss.

    Targets are floats (T, B, O).
    """

    def run(self, y: NDArray, first: int, outputs: int, targets: NDArray,
            valid: NDArray, scale: float, dy: NDArray) -> float:  # fmt: skip
        return _squared_error(y, first, outputs, targets, valid, scale, dy)


@kernel
def _squared_error(y, first, outputs, targets, valid, scale, dy):
    """As in `Loss.run`."""
    loss = 0.0
    for t in range(targets.shape[0]):
        for b in range(y.shape[1]):
            for j in range(dy.shape[2]):
                dy[first + t, b, j] = 0
            if not valid[t, b]:
                continue
            squares = 0.0
            for j in range(outputs):
                difference = np.float64(y[first + t, b, j]) - np.float64(targets[t, b, j])
                squares += difference * difference
                dy[first + t, b, j] = 2 * scale / outputs * difference
            loss += squares / outputs
    return loss
