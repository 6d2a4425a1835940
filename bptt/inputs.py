"""What a model reads: inputs and states, checked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import array_of, finite, numbers_of
from .block import Block
from .checks import check_kind
from .errors import DataError, ShapeError
from .layers import Layer

__all__ = ["check_input", "check_state"]


def check_input(x: ArrayLike, bottom: Layer, dtype: np.dtype, name: str = "x") -> NDArray:
    """``x`` as the layer at the bottom reads it: (T, B) integers or (T, B, I) of ``dtype``.

    name : what the caller calls it.

    Raises
    ------
    DataError : if an id is outside the vocabulary, or a float is not finite.
    ShapeError : if a shape or a dtype does not fit.
    """
    x, n_in, ids = array_of(name, x), bottom.sizes[0], bottom.reads_ids
    if x.ndim != (2 if ids else 3) or x.dtype.kind not in ("iu" if ids else "f"):
        expected = "(T, B) integers" if ids else f"(T, B, {n_in}) floats"
        got = f"got shape {x.shape} of {x.dtype}"
        raise ShapeError(f"{name} must be {expected} for {bottom}, {got}")
    if not x.size:
        raise ShapeError(f"{name} must have at least one step and one lane, got shape {x.shape}")
    if ids:
        if x.min() < 0 or x.max() >= n_in:
            t, b = np.argwhere((x < 0) | (x >= n_in))[0]
            said = f"is {x[t, b]}, but {bottom} has ids 0 to {n_in - 1}"
            raise DataError.at(name, (t, b), said)
        return x
    if x.shape[2] != n_in:
        raise ShapeError(f"{name} has {x.shape[2]} features, but {bottom} takes {n_in}")
    return finite(name, x, dtype)


def check_state(state: Mapping[str, NDArray] | None, like: Block) -> Block:
    """``state`` as a Block with the names and shapes of ``like``; zeros if None.

    Raises
    ------
    ShapeError : naming the part that is missing or has another shape.
    DataError : if a number is masked, or not finite in the dtype of ``like``.
    TypeError : if it is no mapping.
    """
    if state is None:
        return like.like()
    check_kind("state", state, Mapping)
    if like.fits(state):
        return state
    block = like.like()
    for name, expected in like.shapes.items():
        if name not in state:
            raise ShapeError(f"state has no {name!r}, which must be {expected}")
        part = numbers_of(f"state[{name!r}]", state[name])
        if part.shape != expected:
            raise ShapeError(f"state[{name!r}] must be {expected}, got {part.shape}")
        block[name] = finite(f"state[{name!r}]", part, like.dtype)
    return block
