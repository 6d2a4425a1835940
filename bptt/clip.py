"""Clipping of the gradient before it is used, against explosion (Pascanu et al. 2013)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from .checks import check_bound

__all__ = ["CLIPS", "Clip", "ClipNorm", "ClipValue", "Clipping"]


class Clipping(NamedTuple):
    """What happens to a gradient g: it becomes g·factor, cut off at ±limit."""

    factor: float
    limit: float


class Clip(ABC):
    """A rule for clipping."""

    @abstractmethod
    def clipping(self, norm: float) -> Clipping:
        """What to do with a gradient of this (finite) norm."""


@dataclass(frozen=True)
class ClipNorm(Clip):
    """Scale the whole gradient so that its norm is at most ``norm``.

    (Pascanu, Mikolov & Bengio 2013, algorithm 1; PyTorch's ``clip_grad_norm_``.)

    Raises
    ------
    ValueError : if ``norm`` is not positive.
    """

    norm: float

    def __post_init__(self) -> None:
        check_bound("norm", self.norm)

    def clipping(self, norm: float) -> Clipping:
        return Clipping(self.norm / norm if norm > self.norm else 1.0, math.inf)


@dataclass(frozen=True)
class ClipValue(Clip):
    """Cut every component off at ±``value`` (PyTorch's ``clip_grad_value_``).

    Raises
    ------
    ValueError : if ``value`` is not positive.
    """

    value: float

    def __post_init__(self) -> None:
        check_bound("value", self.value)

    def clipping(self, norm: float) -> Clipping:
        return Clipping(1.0, self.value)


CLIPS = {clip.__name__: clip for clip in (ClipNorm, ClipValue)}
"""Name -> class, by which files name them."""
