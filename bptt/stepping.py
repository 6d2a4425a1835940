"""A model run forward a few steps, straight from its parameters: to pack them would take longer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .block import Block
from .layers import Layer
from .packed import together
from .pool import Pool, shares

__all__ = ["Steps"]


class Steps:
    """Runs layers step by step; may be called by several threads at once.

    States are flat here: one after the other, (B, n) each.

    Parameters
    ----------
    layers : from the input up.
    params, buffers : of all layers, read at every call.
    """

    def __init__(self, layers: Sequence[Layer], params: Block, buffers: Block) -> None:
        named = together(params, buffers, layers)
        self._stack = [
            (layer, own, sum(layer.states().values()))
            for layer, own in zip(layers, named, strict=True)
        ]
        self._outputs, self._dtype = layers[-1].sizes[1], params.dtype
        widths = [units for layer in layers for units in layer.states().values()]
        self._edges = list(pairwise(np.cumsum([0, *widths]).tolist()))
        self._pools: dict[int, Pool] = {}

    def advance(self, x: NDArray, before: NDArray) -> tuple[NDArray, NDArray]:
        """As `Model.advance`."""
        after, start = np.empty_like(before), 0
        for layer, params, size in self._stack:
            x = layer.step(params, x, before, after, start)
            start += size * len(x)
        return x, after

    def run(
        self, x: NDArray, state: NDArray, resets: NDArray | None, threads: int
    ) -> tuple[NDArray, NDArray]:
        """y (T, B, O), and the state after the last step.

        x : (T, B) ids, or (T, B, I).
        state : before the first step; it is left alone.
        resets : (T, B) bool or None, as in `Marks`.
        threads : each with a shard of the lanes.
        """
        if threads > 1:
            return self._divided(x, state, resets, threads)
        if len(x) == 1 and resets is None:
            y, after = self.advance(x[0], state)
            return y[np.newaxis].copy(), after  # What a layer put out may be its state.
        y = self._room(x)
        return y, self._run(x, state, resets, y)

    def _room(self, x: NDArray) -> NDArray:
        return np.empty((*x.shape[:2], self._outputs), self._dtype)

    def _run(self, x: NDArray, state: NDArray, resets: NDArray | None, y: NDArray) -> NDArray:
        """The state after all steps of x; y is out."""
        for t in range(len(x)):
            if resets is not None and resets[t].any():
                state = state.copy()
                for rows in self._rows(state, x.shape[1]):
                    rows[resets[t]] = 0
            y[t], state = self.advance(x[t], state)
        return state

    def _rows(self, state: NDArray, lanes: int) -> list[NDArray]:
        """Its parts, (B, n) each, in place."""
        return [state[lanes * i : lanes * j].reshape(lanes, j - i) for i, j in self._edges]

    def _divided(
        self, x: NDArray, state: NDArray, resets: NDArray | None, threads: int
    ) -> tuple[NDArray, NDArray]:
        y, final, lanes = self._room(x), np.empty_like(state), x.shape[1]
        shards = [slice(*ends) for ends in pairwise(shares(lanes, threads))]
        # Cut by the caller, so that threads need the interpreter only for a moment.
        states = [self._cut(state, lanes, here) for here in shards]

        def work(i: int) -> None:
            here = shards[i]
            begun = None if resets is None else resets[:, here]
            states[i] = self._run(x[:, here], states[i], begun, y[:, here])

        # Whoever takes it has it alone; another call at the same time makes its own.
        pool = self._pools.pop(threads, None) or Pool(threads)
        pool.run([partial(work, i) for i in range(threads)])
        self._pools.clear()
        self._pools[threads] = pool
        for here, own in zip(shards, states, strict=True):
            parts = self._rows(own, here.stop - here.start)
            for rows, part in zip(self._rows(final, lanes), parts, strict=True):
                rows[here] = part
        return y, final

    def _cut(self, state: NDArray, lanes: int, here: slice) -> NDArray:
        """The state of some of the lanes."""
        parts = [rows[here].reshape(-1) for rows in self._rows(state, lanes)]
        return np.concatenate([state[:0], *parts])
