"""The cross-entropy of classes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import array_of
from ..checks import check_fraction
from ..errors import DataError, ShapeError
from ..kernels.arithmetic import first_lanes, largest, maximum, total
from ..kernels.compile import kernel
from ..kernels.exponential import exp
from ..kernels.vector import lanes, load, splat, store
from .base import Loss

__all__ = ["CrossEntropy"]


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """ℓ = logsumexp(y) - y[target], from logits, in nats, as PyTorch's CrossEntropyLoss.

    Targets are integers (T, B) from 0 to O - 1; -1 means that there is none.

    Parameters
    ----------
    label_smoothing : share ε of the target that is spread over all O ids, itself among them:
        ℓ = logsumexp(y) - (1-ε)·y[target] - ε·mean(y)  (Szegedy et al. 2016, section 7). It is
        for training: `Trainer.evaluate`, and the validation of `Trainer.fit`, go without it.

    Raises
    ------
    ValueError : if ``label_smoothing`` is not in [0, 1).
    """

    label_smoothing: float = 0.0
    takes_ids: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fraction("label_smoothing", self.label_smoothing)

    def evaluated(self) -> CrossEntropy:
        return replace(self, label_smoothing=0.0)

    def targets(self, given: ArrayLike, lanes: int, outputs: int, dtype: np.dtype) -> NDArray:
        given = array_of("targets", given)
        if given.dtype.kind not in "iu":
            raise ShapeError(f"CrossEntropy takes integer targets, got dtype {given.dtype}")
        if given.ndim != 2 or given.shape[1] != lanes:
            raise ShapeError(f"targets must be (T, {lanes}) integers, got shape {given.shape}")
        if given.size and (given.min() < -1 or given.max() >= outputs):
            t, b = np.argwhere((given < -1) | (given >= outputs))[0]
            expected = f"an id from 0 to {outputs - 1}, or -1 for none"
            raise DataError.at("targets", (t, b), f"is {given[t, b]}, but must be {expected}")
        return np.ascontiguousarray(given, np.int32)

    def valid(self, targets: NDArray, mask: NDArray | None) -> NDArray[np.bool_]:
        valid = targets >= 0
        return valid if mask is None else valid & mask

    def run(self, y: NDArray, first: int, outputs: int, targets: NDArray,
            valid: NDArray, scale: float, dy: NDArray) -> float:  # fmt: skip
        smoothing = float(self.label_smoothing)
        return _cross_entropy(y, first, outputs, targets, valid, scale, dy, smoothing)


@kernel
def _cross_entropy(y, first, outputs, targets, valid, scale, dy, smoothing):
    """As in `Loss.run`. Steps and lanes share a logarithm: ``product`` is that of their Σ e^y."""
    lane_count, width = y.shape[1], y.shape[2]
    size = lanes(y)
    loss, product = 0.0, 1.0
    for t in range(targets.shape[0]):
        for b in range(lane_count):
            row = dy[first + t, b]
            if not valid[t, b]:
                for j in range(width):
                    row[j] = 0
                continue
            at = ((first + t) * lane_count + b) * width
            target, some = targets[t, b], y[first + t, b, 0]
            logit = np.float64(y[first + t, b, target])
            peaks = splat(dy, some)
            for j in range(0, width, size):
                peaks = maximum(peaks, first_lanes(load(y, at + j), outputs - j, some))
            peak = largest(peaks)
            sums = splat(dy, 0.0)
            for j in range(0, width, size):
                power = first_lanes(exp(load(y, at + j) - splat(dy, peak)), outputs - j, 0.0)
                sums = sums + power
                store(dy, at + j, power)
            sum_of_powers = np.float64(total(sums))
            loss += np.float64(peak) - logit
            product *= sum_of_powers
            if product > 1e200:
                loss += math.log(product)
                product = 1.0
            factor = splat(dy, scale / sum_of_powers)
            for j in range(at, at + width, size):
                store(dy, j, load(dy, j) * factor)
            row[target] -= scale * (1.0 - smoothing)
            if smoothing > 0.0:
                spread = scale * smoothing / outputs
                mean = 0.0
                for j in range(outputs):
                    mean += np.float64(y[first + t, b, j]) / outputs
                    row[j] -= spread
                loss += smoothing * (logit - mean)
    return loss + math.log(product)
