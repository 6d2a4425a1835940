"""A model run forward over any number of steps, from packed weights and in little memory.

Each thread runs a shard of the lanes, as many steps at a time as the caches hold.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .block import Block
from .layers.marks import NOTHING, Marks
from .packed import ModelWeights
from .pool import Pool, cpu_count
from .window import Window, worthwhile_ids

if TYPE_CHECKING:
    from .model import Model

__all__ = ["run"]

_ROWS = 512
"""Steps times lanes that go through the layers together: enough for large products, and few enough
for the caches, and for memory that the process already has."""
_SHARE = 60_000_000
"""Multiplications that repay one more thread, which has to be started."""


def run(
    model: Model, x: NDArray, state: Block, marks: Marks = NOTHING, workers: int | None = None
) -> tuple[NDArray, Block]:
    """What a call of ``model`` does; all that is given has been checked.

    x : (T, B) ids, or (T, B, I) of the model's dtype.
    state : before the first step; it is left alone.
    marks : of these steps.
    workers : threads; as many as pay if None.

    Returns
    -------
    y : (T, B, O).
    state : after the last step.
    """
    steps, lanes = x.shape[:2]
    count = min(lanes, _threads(model, steps * lanes) if workers is None else workers)
    weights = ModelWeights(model.layers, model.params, model.buffers)
    weights.pack(back=False)
    y, final = np.empty((steps, lanes, model.n_out), model.dtype), model.zero_state(lanes)

    def work(first: int, last: int) -> None:
        window = _window(model, steps, lanes, last - first)
        window.begin(state, first)
        for start in range(0, steps, window.capacity):
            stop = min(start + window.capacity, steps)
            window.make_room(stop - start, keep=0)
            window.forward(weights, x[start:stop, first:last],
                           marks.steps(start, stop).lanes(first, last))  # fmt: skip
            newest = window.y[window.stop - (stop - start) : window.stop]
            y[start:stop, first:last] = newest[..., : model.n_out]
        window.read_state(final, first)

    bounds = [lanes * i // count for i in range(count + 1)]
    Pool(count).run([partial(work, *shard) for shard in pairwise(bounds)])
    return y, final


def _threads(model: Model, rows: int) -> int:
    """How many pay for so many steps and lanes; a row of a table is no product."""
    bottom = model.layers[0]
    table = bottom.sizes[0] * bottom.sizes[1] if bottom.reads_ids else 0
    return min(cpu_count(), 1 + rows * (model.params.flat.size - table) // _SHARE)


def _window(model: Model, steps: int, all_lanes: int, lanes: int) -> Window:
    """For a shard of so many lanes; what it does does not depend on how many there are."""
    rows = steps if model.whole else min(steps, max(1, _ROWS // lanes))
    ids = worthwhile_ids(1, min(_ROWS, steps * all_lanes))
    return Window(model.layers, lanes, rows, model.dtype, backward=False, lookup_ids=ids)
