"""Noise on the parameters that a window is run with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numpy.typing import NDArray

from ..checks import check_amount, check_fraction
from ..kernels.compile import kernel
from ..layers.draws import uniform
from .base import Draw, Names, Noise

__all__ = ["WeightDrop", "WeightNoise"]


@dataclass(frozen=True)
class WeightNoise(Noise):
    """A window is run with θ + ε, ε from N(0, std²); its gradient moves the clean θ.

    Drawn once an update, so every step of a window has the same. (Jim, Giles & Horne 1996; Graves
    2011.) PyTorch has no name for it.

    Parameters
    ----------
    std : standard deviation, from 0 on.
    names : of the parameters, with or without the layer's number; None for all matrices.

    Raises
    ------
    ValueError : if ``std`` is not a number from 0 on, or ``names`` no names.
    """

    std: float
    names: Names = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_amount("std", self.std)

    def disturb(self, params: NDArray, draw: Draw) -> None:
        _add_normals(params, self.std, *draw)


@dataclass(frozen=True)
class WeightDrop(Noise):
    """A window is run with θ·m / (1 - p), each m 0 with probability p and 1 otherwise.

    Its gradient times m / (1 - p) is that of the clean θ, which it moves. Drawn once an update, so
    every step of a window has the same. (DropConnect: Wan et al. 2013; on the matrices from step to
    step: Merity, Keskar & Socher 2018, whose ``WeightDrop`` PyTorch lacks.)

    Parameters
    ----------
    p : share of the weights that is left out, in [0, 1).
    names : of the parameters, with or without the layer's number; None for all matrices.

    Raises
    ------
    ValueError : if ``p`` is not in [0, 1), or ``names`` no names.
    """

    p: float
    names: Names = "Wh"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("p", self.p)

    def disturb(self, params: NDArray, draw: Draw) -> None:
        _drop(params, self.p, *draw)

    def go_back(self, grads: NDArray, draw: Draw) -> None:
        _drop(grads, self.p, *draw)


@kernel
def _drop(values, p, key, salt, first):
    """values (N,) in and out; the same weights are left out at every call with the same draw."""
    kept = values.dtype.type(1.0 / (1.0 - p))
    for i in range(values.size):
        if uniform(key, salt, first + i) < p:
            values[i] = 0.0
        else:
            values[i] *= kept


@kernel
def _add_normals(params, std, key, salt, first):
    """params (N,) in and out. Numbers 2j and 2j + 1 of the vector of all parameters are a pair of
    Box & Muller's (1958), whichever parameter they belong to."""
    for place in range(first - first % 2, first + params.size, 2):
        radius = std * math.sqrt(-2.0 * math.log(1.0 - uniform(key, salt, place)))
        angle = 2.0 * math.pi * uniform(key, salt, place + 1)
        i = place - first
        if i >= 0:
            params[i] += radius * math.cos(angle)
        if i + 1 < params.size:
            params[i + 1] += radius * math.sin(angle)
