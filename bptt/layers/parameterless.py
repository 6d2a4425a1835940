"""What layers without parameters share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.calls import Call
from .base import Layer, check_size

__all__ = ["Parameterless"]


@dataclass(frozen=True)
class Parameterless(Layer):
    """A layer without parameters, with as many outputs as inputs.

    Parameters
    ----------
    n : features.
    """

    n: int

    def __post_init__(self) -> None:
        check_size(n=self.n)

    @property
    def sizes(self) -> tuple[int, int]:
        return self.n, self.n

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {}

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        """There is nothing to fill."""

    def weights(self, dtype: DTypeLike) -> None:
        return None

    def packing(self, params: Mapping[str, NDArray], weights: None) -> list[Call]:
        return []

    def packing_back(self, params: Mapping[str, NDArray], weights: None) -> list[Call]:
        return []

    def scratch_sizes(self, dtype: DTypeLike) -> tuple[int, int, int]:
        return 0, 0, 0

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.n})"
