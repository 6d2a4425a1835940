"""Feedback alignment: errors that go back through fixed random matrices.

    error of x W:    g W.T  with feedback="exact"        g B.T  with feedback="random"

B has the shape of W, is drawn like it, and never learned; the gradient of W is x.T g either way.
While W learns it comes to resemble B, and then the errors are of use (Lillicrap et al. 2016). For
recurrent weights that is feedback alignment through time.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..checks import check_word
from .base import Layer
from .tape import Tape

__all__ = ["FedBack"]


@dataclass(frozen=True)
class FedBack(Layer):
    """A layer with weights, through which, or through fixed matrices instead, errors go back.

    Parameters
    ----------
    feedback : "exact" for the transposed weights; "random" for a fixed random matrix in place of
        each, a buffer of the layer: ``B`` for ``W``, ``Bx`` and ``Bh`` for ``Wx`` and ``Wh``.
    """

    feedback: str = field(default="exact", kw_only=True)

    def __post_init__(self) -> None:
        check_word("feedback", self.feedback, ("exact", "random"))

    @abstractmethod
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name, which begins with W, -> shape of the weights through which errors go back."""

    @abstractmethod
    def draw(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        """Fill these weights, or what stands in for them."""

    def buffers(self) -> dict[str, tuple[int, ...]]:
        if self.feedback == "exact":
            return {}
        return {_fixed(name): shape for name, shape in self.weight_shapes().items()}

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        """Draw the weights, and the fixed matrices from numbers of their own: the weights are those
        of a model that goes back exactly."""
        self.draw(params, rng)
        if self.feedback == "random":
            self.draw(self.returning(params), rng.spawn(1)[0])

    def returning(self, params: Mapping[str, NDArray]) -> Mapping[str, NDArray]:
        """``params`` for the way back: with the fixed matrices, if there are, under the names of
        the weights."""
        if self.feedback == "exact":
            return params
        return {**params, **{name: params[_fixed(name)] for name in self.weight_shapes()}}

    def exact(self) -> Self:
        return replace(self, feedback="exact")

    def settle(self, buffers: Mapping[str, NDArray], tapes: Sequence[Tape]) -> None:
        """They are fixed."""


def _fixed(name: str) -> str:
    """Of the matrix that stands in for a weight."""
    return "B" + name.removeprefix("W")
