"""What a loss is."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import array_of, finite
from ..errors import DataError, ShapeError
from ..options import Options

__all__ = ["FeatureLoss", "Loss"]


@dataclass(frozen=True)
class Loss(Options):
    """What a loss is: targets it takes, and value and error of outputs."""

    takes_ids: ClassVar[bool]
    """Whether targets are (T, B) integers rather than (T, B, O) floats."""

    def evaluated(self) -> Loss:
        """What evaluation reports: this loss, without what is meant for training alone."""
        return self

    @abstractmethod
    def targets(self, given: ArrayLike, lanes: int, outputs: int, dtype: np.dtype) -> NDArray:
        """``given`` as the kernels read it, C-contiguous.

        Raises
        ------
        DataError : if an id is not below ``outputs``, or a float is not one that the loss takes.
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
class FeatureLoss(Loss):
    """A loss that compares output and target feature by feature: targets are floats (T, B, O)."""

    takes_ids: ClassVar[bool] = False

    def targets(self, given: ArrayLike, lanes: int, outputs: int, dtype: np.dtype) -> NDArray:
        given = array_of("targets", given)
        if given.dtype.kind != "f":
            name = type(self).__name__
            raise ShapeError(f"{name} takes float targets, got dtype {given.dtype}")
        if given.ndim != 3 or given.shape[1:] != (lanes, outputs):
            raise ShapeError(f"targets must be (T, {lanes}, {outputs}), got shape {given.shape}")
        return finite("targets", given, dtype)

    def valid(self, targets: NDArray, mask: NDArray | None) -> NDArray[np.bool_]:
        return np.ones(targets.shape[:2], np.bool_) if mask is None else np.ascontiguousarray(mask)


def refuse(targets: NDArray, wrong: NDArray[np.bool_], said: str) -> None:
    """Name the first of ``targets`` (T, B, O) that is ``wrong``.

    Raises
    ------
    DataError : if one is.
    """
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        raise DataError.at("targets", place, f"is {targets[place]}, {said}")
