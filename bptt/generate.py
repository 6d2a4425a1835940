"""A model that reads what it has put out: sampled ids, or a forecast that runs on by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import array_of
from .block import Block
from .checks import check_count, check_seed, is_number
from .errors import DataError
from .inputs import check_input
from .layers.whole import check_whole

if TYPE_CHECKING:
    from .model import Model

__all__ = ["generate"]


def generate(
    model: Model,
    start: ArrayLike,
    steps: int,
    *,
    state: Mapping[str, NDArray] | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> tuple[NDArray, Block]:
    """What `Model.generate` does."""
    steps = check_count("steps", steps)
    check_whole(model.layers, "to generate is to run step by step; take layers that read forward")
    if model.n_out != model.n_in:
        raise ValueError(
            f"a model that reads its own output must have as many outputs as inputs, "
            f"but {model} has {model.n_out} and {model.n_in}"
        )
    x = array_of("start", start)
    axes, kinds = (1, "iu") if model.reads_ids else (2, "f")
    one_lane = x.ndim == axes and x.dtype.kind in kinds
    try:
        x = check_input(x[:, np.newaxis] if one_lane else x, model.layers[0], model.dtype, "start")
    except DataError as error:
        raise _without_lane(error) if one_lane else error from None
    y, after = model(x, state)
    if model.reads_ids:
        _check_sampling(model, temperature, top_k)
        check_seed(seed)
        out, after = _sample(model, y[-1], after, steps, temperature, top_k, seed)
    else:
        if temperature != 1 or top_k is not None:
            raise ValueError("temperature and top_k are for models that read ids")
        out, after = _forecast(model, y[-1], after, steps)
    return out[:, 0] if one_lane else out, after


def _without_lane(error: DataError) -> DataError:
    """``error`` about an array that was given an axis of lanes, said of it as it came."""
    if error.place is None:
        return error
    step, _, *features = error.place
    return DataError.at(error.name, (step, *features), error.said)


def _check_sampling(model: Model, temperature: float, top_k: int | None) -> None:
    if not is_number(temperature) or not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must be a number from 0 on, got {temperature!r}")
    if top_k is not None and check_count("top_k", top_k) > model.n_out:
        raise ValueError(f"top_k must be at most {model.n_out}, the number of ids, got {top_k}")


def _sample(
    model: Model,
    logits: NDArray,
    state: Block,
    steps: int,
    temperature: float,
    top_k: int | None,
    seed: int,
) -> tuple[NDArray, Block]:
    """Ids (steps, B), and the state before the last of them is read."""
    rng, lanes = np.random.default_rng(seed), len(logits)
    ids = np.empty((steps, lanes), np.int64)
    flat = state.flat
    with np.errstate(over="ignore"):
        for t in range(steps):
            if t:
                logits, flat = model.advance(ids[t - 1], flat)
            ids[t] = _draw(logits, temperature, top_k, rng.random(lanes))
    return ids, state.over(flat)


def _draw(
    logits: NDArray, temperature: float, top_k: int | None, uniform: NDArray
) -> NDArray[np.int64]:
    """An id for each lane of ``logits`` (B, V): the first whose cumulative probability is above
    ``uniform`` (B,), from 0 to 1."""
    best = logits.argmax(axis=1)
    peaks = logits[np.arange(len(logits)), best]
    _check_finite(peaks)
    if temperature == 0:
        return best
    scaled = (logits - peaks[:, np.newaxis]).astype(np.float64) / temperature
    if top_k is not None:
        least = np.partition(logits, -top_k, axis=1)[:, -top_k, np.newaxis]
        scaled[logits < least] = -math.inf
    sums = np.exp(scaled, out=scaled).cumsum(axis=1)
    return (sums <= (uniform * sums[:, -1])[:, np.newaxis]).sum(axis=1)


def _forecast(model: Model, y: NDArray, state: Block, steps: int) -> tuple[NDArray, Block]:
    """Outputs (steps, B, O), and the state before the last of them is read."""
    out = np.empty((steps, *y.shape), model.dtype)
    flat = state.flat
    for t in range(steps):
        if t:
            y, flat = model.advance(out[t - 1], flat)
        out[t] = y
    _check_finite(out)
    return out, state.over(flat)


def _check_finite(values: NDArray) -> None:
    if not np.isfinite(values).all():
        raise DataError("the model's output is not finite, so it cannot be read as its next input")
