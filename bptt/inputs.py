"""What a model reads: inputs and states, checked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .block import Block
from .checks import check_kind
from .errors import DataError, ShapeError
from .kernels.checks import all_finite
from .layers import Layer

__all__ = ["check_input", "check_state"]


def check_input(x: ArrayLike, bottom: Layer, dtype: np.dtype) -> NDArray:
    """``x`` as the layer at the bottom reads it: (T, B) integers or (T, B, I) of ``dtype``.

    Raises
    ------
    DataError : if an id is outside the vocabulary, or a float is not finite.
    ShapeError : if a shape or a dtype does not fit.
    """
    x, n_in, ids = np.asarray(x), bottom.sizes[0], bottom.reads_ids
    if x.ndim != (2 if ids else 3) or x.dtype.kind not in ("iu" if ids else "f"):
        expected = "(T, B) integers" if ids else f"(T, B, {n_in}) floats"
        raise ShapeError(f"x must be {expected} for {bottom}, got shape {x.shape} of {x.dtype}")
    if not x.size:
        raise ShapeError(f"x must have at least one step and one lane, got shape {x.shape}")
    return _check_ids(x, bottom) if ids else _check_floats(x, bottom, dtype)


def _check_ids(x: NDArray, bottom: Layer) -> NDArray:
    n_in = bottom.sizes[0]
    if x.min() < 0 or x.max() >= n_in:
        t, b = np.argwhere((x < 0) | (x >= n_in))[0]
        raise DataError(f"x[{t}, {b}] is {x[t, b]}, but {bottom} has ids 0 to {n_in - 1}")
    return x


def _check_floats(x: NDArray, bottom: Layer, dtype: np.dtype) -> NDArray:
    if x.shape[2] != bottom.sizes[0]:
        raise ShapeError(f"x has {x.shape[2]} features, but {bottom} takes {bottom.sizes[0]}")
    if x.dtype != dtype or not x.flags.c_contiguous:
        with np.errstate(over="ignore"):
            x = np.ascontiguousarray(x, dtype)
    if not all_finite(x.reshape(-1)):
        t, b, i = np.argwhere(~np.isfinite(x))[0]
        raise DataError(f"x[{t}, {b}, {i}] is {x[t, b, i]}, not a finite number")
    return x


def check_state(state: Mapping[str, NDArray] | None, like: Block) -> Block:
    """``state`` as a Block with the names and shapes of ``like``; zeros if None.

    Raises
    ------
    ShapeError : naming the part that is missing or has another shape.
    DataError : if a number is not finite.
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
        if np.shape(state[name]) != expected:
            raise ShapeError(f"state[{name!r}] must be {expected}, got {np.shape(state[name])}")
        block[name] = state[name]
    if not np.isfinite(block.flat).all():
        raise DataError("state holds a number that is not finite")
    return block
