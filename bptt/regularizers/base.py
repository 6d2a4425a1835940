"""What a regularizer is: a penalty on parameters, or noise on them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..block import Block
from ..options import Options

__all__ = ["Draw", "Names", "Noise", "Penalty", "Regularizer", "as_names"]

Names: TypeAlias = str | Sequence[str] | None
"""Of parameters: "Wh" is that of every layer, "1.Wh" that of layer 1; None is every matrix, and so
no bias."""


class Draw(NamedTuple):
    """From what the noise on one parameter is drawn.

    key : of the update, as `layers.draws.keys` gives it.
    salt : of the regularizer, so that no two draw the same.
    first : the place of the parameter's first number in the vector of all parameters.
    """

    key: np.uint64
    salt: int
    first: int


class Regularizer(Options):
    """Takes hold of whole parameters, in training alone; a frozen dataclass.

    names : of these parameters.
    """

    names: Names

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", as_names(self.names))

    def chosen(self, params: Block) -> list[str]:
        """The full names of the parameters it takes hold of, in their order.

        Raises
        ------
        ValueError : if it names one that is not there.
        """
        if self.names is None:
            return [name for name, values in params.items() if values.ndim > 1]
        for name in self.names:
            if not any(_is(name, full) for full in params):
                raise ValueError(
                    f"{self} names {name!r}, but the parameters are {', '.join(params)}"
                )
        return [full for full in params if any(_is(name, full) for name in self.names)]


class Penalty(Regularizer):
    """Is added to the loss that training makes small, though not to the one it reports."""

    @abstractmethod
    def add_slope(self, params: NDArray, grads: NDArray) -> None:
        """Add the penalty's gradient.

        params : in, (N,), one parameter.
        grads : in, out, (N,), the loss's gradient after clipping.
        """


class Noise(Regularizer):
    """Changes the parameters that a window is run with, drawn once an update."""

    @abstractmethod
    def disturb(self, params: NDArray, draw: Draw) -> None:
        """Change ``params`` (N,), a copy of one parameter, in place."""

    def go_back(self, grads: NDArray, draw: Draw) -> None:
        """Turn the gradient (N,) of a changed parameter into that of the clean one, in place."""


def as_names(names: Names) -> tuple[str, ...] | None:
    """``names`` as a tuple, or None.

    Raises
    ------
    ValueError : if it is neither None nor one or several names.
    """
    if names is None:
        return None
    found = (names,) if isinstance(names, str) else names
    several = isinstance(found, tuple | list) and all(isinstance(name, str) for name in found)
    if not several or not found:
        raise ValueError(f"names must be a name, some names or None, got {names!r}")
    return tuple(found)


def _is(name: str, full: str) -> bool:
    """Whether ``name``, with or without the number of a layer, is ``full``."""
    return name in (full, full.split(".", 1)[1])
