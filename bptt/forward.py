"""A model run forward over any number of steps: a few straight from its parameters, see `Steps`,
more from packed weights and in little memory.

Each thread runs a shard of the lanes, as many steps at a time as the caches hold. What a call needs
for that is kept for the next one like it: to make it takes longer than many a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .block import Block
from .layers import Layer
from .layers.marks import NOTHING, Marks
from .packed import ModelWeights
from .pool import Pool, cpu_count, shares
from .stepping import Steps
from .window import Window, worthwhile_ids

__all__ = ["Forward"]

_ROWS = 512
"""Steps times lanes that go through the layers together: enough for large products, and few enough
for the caches."""
_FEW, _FEW_ROWS = 6, 128
"""Steps that may be quicker without packing the parameters, and their square times the lanes: the
more lanes, the less it takes beside what it saves."""
_SHARE, _FEW_SHARE = 20_000_000, 12_000_000
"""Multiplications that repay one more thread, of many steps and of few."""


class Forward:
    """Runs layers forward; may be called by several threads at once.

    Parameters
    ----------
    layers : from the input up.
    params, buffers : of all layers, read at every call.
    """

    def __init__(self, layers: Sequence[Layer], params: Block, buffers: Block) -> None:
        self.layers, self.params, self.buffers = layers, params, buffers
        bottom = layers[0]
        self._ids = bottom.sizes[0] if bottom.reads_ids else 0
        self._products = params.flat.size - self._ids * bottom.sizes[1]
        self._whole = any(layer.whole for layer in layers)
        self._borrows = any(layer.borrows() for layer in layers)
        self.steps = Steps(layers, params, buffers)
        self._kept: dict[_Manner, _Shards] = {}

    def threads(self, lanes: int, steps: int) -> int:
        """How many pay for so many lanes and steps; a row of a table is no product."""
        share = _FEW_SHARE if self._few(steps, lanes) else _SHARE
        wanted = 1 + lanes * steps * self._products // share
        # To count CPUs takes a tenth of a step of one lane.
        return wanted if wanted == 1 else min(cpu_count(), lanes, wanted)

    def _few(self, steps: int, lanes: int) -> bool:
        """Whether so many are run straight from the parameters."""
        if self._whole or steps > _FEW or steps * steps * lanes > _FEW_ROWS:
            return False
        # NumPy multiplies with what is borrowed, and rounds otherwise for another number of lanes.
        return lanes == 1 or not self._borrows

    def run(
        self, x: NDArray, state: Block, marks: Marks = NOTHING, workers: int | None = None
    ) -> tuple[NDArray, Block]:
        """All that is given has been checked.

        x : (T, B) ids, or (T, B, I) of the dtype of the parameters.
        state : before the first step; it is left alone.
        marks : of these steps.
        workers : threads; as many as pay if None.

        Returns
        -------
        y : (T, B, O), zero where a step is skipped.
        state : after the last step.
        """
        steps, lanes = x.shape[:2]
        count = self.threads(lanes, steps) if workers is None else min(lanes, workers)
        if marks.skip is None and self._few(steps, lanes):
            y, after = self.steps.run(x, state.flat, marks.resets, count)
            return y, state.over(after)
        looks_up = self._ids <= worthwhile_ids(1, min(_ROWS, steps * lanes))
        manner = _Manner(lanes, steps if self._whole else 0, count, looks_up)
        # Whoever takes it has it alone; another call at the same time makes its own.
        shards = self._kept.pop(manner, None) or _Shards(self, manner)
        done = shards.run(x, state, marks)
        self._kept.clear()
        self._kept[manner] = shards
        return done


class _Manner(NamedTuple):
    """How a call is run.

    lanes : of all threads together.
    steps : that go through the layers together; 0 for as many as the caches hold.
    threads : with a shard of the lanes each.
    looks_up : whether embeddings are looked up by the layer above, and not written out.
    """

    lanes: int
    steps: int
    threads: int
    looks_up: bool


class _Shards:
    """Windows over all lanes, side by side, with weights and threads."""

    def __init__(self, of: Forward, manner: _Manner) -> None:
        self._weights = ModelWeights(of.layers, of.params, of.buffers)
        self._lanes = list(pairwise(shares(manner.lanes, manner.threads)))
        self._outputs, ids = of.layers[-1].sizes[1], of.layers[0].sizes[0]
        self._windows = [
            Window(
                of.layers,
                last - first,
                manner.steps or max(1, _ROWS // (last - first)),
                of.params.dtype,
                backward=False,
                lookup_ids=ids if manner.looks_up else 0,
            )
            for first, last in self._lanes
        ]
        self._pool = Pool(manner.threads)

    def run(self, x: NDArray, state: Block, marks: Marks) -> tuple[NDArray, Block]:
        """As `Forward.run`."""
        y = np.empty((*x.shape[:2], self._outputs), state.dtype)
        final = state.like()
        self._weights.pack(back=False)
        self._pool.run(
            [partial(self._run, i, x, state, marks, y, final) for i in range(len(self._windows))]
        )
        return y, final

    def _run(
        self, i: int, x: NDArray, state: Block, marks: Marks, y: NDArray, final: Block
    ) -> None:
        """Shard ``i``; y and final are out."""
        window, (first, last), outputs = self._windows[i], self._lanes[i], self._outputs
        window.begin(state, first)
        marks = marks.lanes(first, last)
        for start in range(0, len(x), window.capacity):
            stop = min(start + window.capacity, len(x))
            window.make_room(stop - start)
            window.forward(self._weights, x[start:stop, first:last], marks.steps(start, stop))
            newest = window.y[window.stop - (stop - start) : window.stop]
            y[start:stop, first:last] = newest[..., :outputs]
        if marks.skip is not None:
            y[:, first:last][marks.skip] = 0
        window.read_state(final, first)
