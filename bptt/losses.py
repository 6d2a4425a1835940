"""Losses: value and gradient in one pass over the outputs.

The loss of an update is the mean over its valid targets, one per step and lane.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DataError, ShapeError
from .kernels.arithmetic import total
from .kernels.compile import kernel
from .kernels.exponential import exp
from .kernels.vector import lanes, load, splat, store

__all__ = ["LOSSES", "CrossEntropy", "Loss", "SquaredError"]


@dataclass(frozen=True)
class Loss(ABC):
    """What a loss is: targets it takes, and value and error of outputs."""

    takes_ids: ClassVar[bool]
    """Whether targets are (T, B) integers rather than (T, B, O) floats."""

    @abstractmethod
    def targets(self, given: ArrayLike, lanes: int, outputs: int, dtype: np.dtype) -> NDArray:
        """``given`` as the kernels read it, C-contiguous.

        Raises
        ------
        DataError : if an id is not below ``outputs``, or a float is not finite.
        ShapeError : if shape or dtype do not fit.
        """

    @abstractmethod
    def valid(self, targets: NDArray, mask: NDArray | None) -> NDArray[np.bool_]:
        """(T, B), where there is a target."""

    @abstractmethod
    def run(self, y: NDArray, first: int, outputs: int, targets: NDArray,
            valid: NDArray, scale: float, dy: NDArray) -> float:  # fmt: skip
        """The sum of the losses of steps ``first`` to ``first`` + T, and their gradient.

        y : in, (K, B, outputs padded).
        targets, valid : in, (T, B, ...) and (T, B).
        scale : of the gradient, one over the number of valid targets.
        dy : out, like y, zero in the padding; the steps in question are written.
        """


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """ℓ = logsumexp(y) - y[target], from logits, in nats.

    Targets are integers (T, B) from 0 to O - 1; -1 means that there is none.
    """

    takes_ids: ClassVar[bool] = True

    def targets(self, given: ArrayLike, lanes: int, outputs: int, dtype: np.dtype) -> NDArray:
        given = np.asarray(given)
        if given.dtype.kind not in "iu":
            raise ShapeError(f"CrossEntropy takes integer targets, got dtype {given.dtype}")
        if given.ndim != 2 or given.shape[1] != lanes:
            raise ShapeError(f"targets must be (T, {lanes}) integers, got shape {given.shape}")
        wrong = (given < -1) | (given >= outputs)
        if wrong.any():
            t, b = np.argwhere(wrong)[0]
            raise DataError(
                f"targets[{t}, {b}] is {given[t, b]}, but must be an id from 0 to {outputs - 1}, "
                "or -1 for none"
            )
        return np.ascontiguousarray(given, np.int32)

    def valid(self, targets: NDArray, mask: NDArray | None) -> NDArray[np.bool_]:
        valid = targets >= 0
        return valid if mask is None else valid & mask

    def run(self, y: NDArray, first: int, outputs: int, targets: NDArray,
            valid: NDArray, scale: float, dy: NDArray) -> float:  # fmt: skip
        return _cross_entropy(y, first, outputs, targets, valid, scale, dy)


@dataclass(frozen=True)
class SquaredError(Loss):
    """ℓ = mean over the features of (y - target)², as PyTorch's MSELoss.

    Targets are floats (T, B, O).
    """

    takes_ids: ClassVar[bool] = False

    def targets(self, given: ArrayLike, lanes: int, outputs: int, dtype: np.dtype) -> NDArray:
        given = np.asarray(given)
        if given.dtype.kind != "f":
            raise ShapeError(f"SquaredError takes float targets, got dtype {given.dtype}")
        if given.ndim != 3 or given.shape[1:] != (lanes, outputs):
            raise ShapeError(f"targets must be (T, {lanes}, {outputs}), got shape {given.shape}")
        with np.errstate(over="ignore"):
            targets = np.ascontiguousarray(given, dtype)
        if not np.isfinite(targets).all():
            t, b, j = np.argwhere(~np.isfinite(targets))[0]
            raise DataError(f"targets[{t}, {b}, {j}] is {targets[t, b, j]}, not a finite number")
        return targets

    def valid(self, targets: NDArray, mask: NDArray | None) -> NDArray[np.bool_]:
        return np.ones(targets.shape[:2], np.bool_) if mask is None else np.ascontiguousarray(mask)

    def run(self, y: NDArray, first: int, outputs: int, targets: NDArray,
            valid: NDArray, scale: float, dy: NDArray) -> float:  # fmt: skip
        return _squared_error(y, first, outputs, targets, valid, scale, dy)


@kernel
def _cross_entropy(y, first, outputs, targets, valid, scale, dy):
    """As in `Loss.run`."""
    lane_count, width = y.shape[1], y.shape[2]
    size = lanes(y)
    loss = 0.0
    for t in range(targets.shape[0]):
        for b in range(lane_count):
            row = dy[first + t, b]
            if not valid[t, b]:
                for j in range(width):
                    row[j] = 0
                continue
            for j in range(width):
                row[j] = y[first + t, b, j] if j < outputs else -1e30
            target = targets[t, b]
            logit = np.float64(row[target])
            peak = row[0]
            for j in range(1, outputs):
                peak = row[j] if row[j] > peak else peak
            at = ((first + t) * lane_count + b) * width
            sums = splat(dy, 0.0)
            for j in range(at, at + width, size):
                power = exp(load(dy, j) - splat(dy, peak))
                sums = sums + power
                store(dy, j, power)
            sum_of_powers = np.float64(total(sums))
            loss += math.log(sum_of_powers) + np.float64(peak) - logit
            factor = splat(dy, scale / sum_of_powers)
            for j in range(at, at + width, size):
                store(dy, j, load(dy, j) * factor)
            row[target] -= scale
            for j in range(outputs, width):
                row[j] = 0
    return loss


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


LOSSES = {loss.__name__: loss for loss in (CrossEntropy, SquaredError)}
"""Name -> class, by which files name them."""
