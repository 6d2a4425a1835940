"""What regularizers and a clip make of parameters and gradient in an update, and room for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .block import Block
from .clip import UNCLIPPED, Clip, Clipping, Units
from .layers.draws import keys
from .model import Model
from .regularizers import Noise, Penalty, Regularizer
from .regularizers.base import Draw

__all__ = ["Regularization", "check_regularizers"]

_SALT = 1 << 20
"""Of the first noise; layers, and their reverse directions, have the salts below."""

_LEAST = 1e-30
"""Factors below lose digits in float32."""


def check_regularizers(regularizers: Sequence[Regularizer]) -> tuple[Regularizer, ...]:
    """Refuse what is not a list of regularizers.

    Raises
    ------
    TypeError : saying what came.
    """
    if not isinstance(regularizers, list | tuple):
        raise TypeError(f"regularizers must be a list of them, got {regularizers!r}")
    for one in regularizers:
        if not isinstance(one, Penalty | Noise):
            raise TypeError(f"regularizers must be penalties or noise, got {one!r}")
    return tuple(regularizers)


class Regularization:
    """The regularizers of a trainer at work.

    Attributes
    ----------
    params : Block, what windows are run with: the model's own where there is no noise on them.

    Raises
    ------
    ValueError : if a regularizer names a parameter that the model lacks.
    """

    def __init__(self, model: Model, regularizers: Sequence[Regularizer]) -> None:
        self._model = model
        self._penalties = _held(regularizers, Penalty, model.params)
        self._noise = _held(regularizers, Noise, model.params)
        self.params = model.params.copy() if self._noise else model.params
        self._firsts = _firsts(model.params)
        self._room: tuple[Block, Units] | None = None

    def disturb(self, seed: int, n: int) -> None:
        """Write what the update after ``n`` finished ones runs with into `params`."""
        if self._noise:
            self.params.flat[:] = self._model.params.flat
        for noise, values, draw in self._draws(self.params, seed, n):
            noise.disturb(values, draw)

    def go_back(self, grads: Block, seed: int, n: int) -> None:
        """Turn the gradient of `params` into that of the model's, in place."""
        for noise, values, draw in self._draws(grads, seed, n):
            noise.go_back(values, draw)

    def _draws(self, block: Block, seed: int, n: int) -> Iterator[tuple[Noise, NDArray, Draw]]:
        """Each noise, each part of ``block`` it takes hold of, and what it is drawn from."""
        if not self._noise:
            return
        key = keys(seed, n, 1, 1)[0, 0]
        for i, (noise, names) in enumerate(self._noise):
            for name in names:
                yield noise, block[name].reshape(-1), Draw(key, _SALT + i, self._firsts[name])

    def for_optimizer(self, grads: Block, clip: Clip | None, norm: float) -> tuple[Block, Clipping]:
        """The gradient for the optimizer, and how that is to clip it while it reads it.

        norm : of ``grads``, which are left alone. The next call overwrites what is returned.
        """
        clipping = UNCLIPPED if clip is None else clip.clipping(norm)
        if clipping is not None and not self._penalties and clipping.factor > _LEAST:
            return grads, clipping
        params = self._model.params
        if self._room is None:
            self._room = params.like(), Units.of(self._model.layers, params)
        shaped, units = self._room
        if clipping is None:
            clip.clip(params, grads, units, shaped)
        else:
            least = clipping.factor <= _LEAST
            factor = np.float64(clipping.factor) if least else clipping.factor
            np.multiply(grads.flat, factor, out=shaped.flat)
            if clipping.limit < math.inf:
                np.clip(shaped.flat, -clipping.limit, clipping.limit, out=shaped.flat)
        for penalty, names in self._penalties:
            for name in names:
                penalty.add_slope(params[name].reshape(-1), shaped[name].reshape(-1))
        return shaped, UNCLIPPED


def _held(
    regularizers: Sequence[Regularizer], kind: type[Regularizer], params: Block
) -> list[tuple[Regularizer, list[str]]]:
    """Those of one kind, each with the names of the parameters it takes hold of."""
    return [(one, one.chosen(params)) for one in regularizers if isinstance(one, kind)]


def _firsts(params: Block) -> dict[str, int]:
    """Name -> the place of its first number in the vector."""
    sizes = [0, *(values.size for values in params.values())]
    return dict(zip(params, np.cumsum(sizes).tolist(), strict=False))
