"""The absolute error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..kernels.compile import kernel
from .base import FeatureLoss

__all__ = ["AbsoluteError"]


@dataclass(frozen=True)
class AbsoluteError(FeatureLoss):
    """ℓ = mean over the features of |y - target|, as PyTorch's L1Loss.

    The gradient is zero where the two are equal. Targets are floats (T, B, O).
    """

    def run(self, y: NDArray, first: int, outputs: int, targets: NDArray,
            valid: NDArray, scale: float, dy: NDArray) -> float:  # fmt: skip
        return _absolute_error(y, first, outputs, targets, valid, scale, dy)


@kernel
def _absolute_error(y, first, outputs, targets, valid, scale, dy):
    """As in `Loss.run`."""
    loss, slope = 0.0, scale / outputs
    for t in range(targets.shape[0]):
        for b in range(y.shape[1]):
            for j in range(dy.shape[2]):
                dy[first + t, b, j] = 0
            if not valid[t, b]:
                continue
            sizes = 0.0
            for j in range(outputs):
                difference = np.float64(y[first + t, b, j]) - np.float64(targets[t, b, j])
                sizes += abs(difference)
                dy[first + t, b, j] = math.copysign(slope, difference) if difference != 0 else 0.0
            loss += sizes / outputs
    return loss
