"""A model run forward over any number of steps, from packed weights and in little memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .block import Block
from .layers.marks import NOTHING, Marks
from .packed import ModelWeights
from .window import Window, worthwhile_ids

if TYPE_CHECKING:
    from .model import Model

__all__ = ["run"]

_STEPS = 64
"""Longer inputs run through a tape of so many steps, so that memory stays small; unless a layer
reads whole sequences."""


def run(model: Model, x: NDArray, state: Block, marks: Marks = NOTHING) -> tuple[NDArray, Block]:
    """What a call of ``model`` does, a window at a time; all that is given has been checked.

    x : (T, B) ids, or (T, B, I) of the model's dtype.
    state : before the first step; it is left alone.
    marks : of these steps.

    Returns
    -------
    y : (T, B, O).
    state : after the last step.
    """
    steps, lanes = x.shape[:2]
    rows = steps if model.whole else min(steps, _STEPS)
    window = Window(model.layers, lanes, rows, model.dtype, backward=False,
                    lookup_ids=worthwhile_ids(rows, lanes))  # fmt: skip
    weights = ModelWeights(model.layers, model.params, model.buffers)
    weights.pack(back=False)
    window.begin(state)
    y = np.empty((steps, lanes, model.n_out), model.dtype)
    for first in range(0, steps, rows):
        part = x[first : first + rows]
        window.make_room(len(part), keep=0)
        window.forward(weights, part, marks.steps(first, first + len(part)))
        newest = slice(window.stop - len(part), window.stop)
        y[first : first + len(part)] = window.y[newest, :, : model.n_out]
    final = model.zero_state(lanes)
    window.read_state(final)
    return y, final
