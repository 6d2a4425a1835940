"""Workers: each runs whole windows on a shard of the lanes, on a thread of its own.

A worker has its own tapes and its own gradient. When all are done the gradients are added up in a
fixed order, so that the result depends on the number of workers but not on their timing. Where
lanes are few there may be one window, and the threads are its crew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .block import Block
from .division import best_division
from .errors import ShapeError
from .kernels.vectors import add, add_norms
from .layers.crew import Crew
from .layers.whole import check_whole
from .losses import Loss
from .memory import Memory, Segments
from .model import Model
from .packed import ModelWeights, gradient_parts, parts
from .pool import Pool, shares
from .recompute import AnyWindow, RecomputedWindow
from .tapes import read_tapes, write_tapes
from .task import Batch, Reach
from .window import Window, worthwhile_ids

__all__ = ["Workers"]

_SHARED = 50_000
"""Parameters that repay one more worker in what is done with each: their packing, the sum of their
gradients, and the optimizer's step."""
_LINE = 64
"""Numbers that are not divided between workers: their memory's lines, and vectors, are whole."""


class Workers:
    """Windows over all lanes, side by side.

    Parameters
    ----------
    model : its buffers, and its parameters if no others are given, are read at every window.
    lanes : B.
    workers : how many threads, as in `best_division`; as many as pay if None.
    usual : steps of a usual window, to which the way of working is suited.
    memory : None for tapes of whole windows; else as in `Memory`.
    params : Block, read in place of the model's.

    Raises
    ------
    ValueError : if ``memory`` would cut sequences that a layer reads whole.

    Attributes
    ----------
    count : of threads.
    members : how many of them go through each window together, as a crew.
    bounds : worker i has the lanes from ``bounds[i]`` to ``bounds[i + 1]``.
    windows : one for each; none before `reserve`.
    kept : steps of earlier updates that the next one can reach back into.
    flowing : number of a layer, which of its `directions`, and name, ``"1.h"``, of each δ_t.
    gradient : Block, what `forward_and_back` left; the next one overwrites it.
    """

    def __init__(
        self,
        model: Model,
        lanes: int,
        workers: int | None,
        usual: int,
        memory: Memory = None,
        params: Block | None = None,
    ) -> None:
        if memory is not None:
            check_whole(model.layers, f"memory={memory!r} cuts them; memory=None does not")
        self.model, self.lanes, self.usual = model, lanes, usual
        shards, self.members = best_division(model, lanes, usual, workers)
        self.bounds = shares(lanes, shards)
        self.flowing = [
            (i, way, f"{i}.{inside.flowing[0]}{ending}")
            for i, layer in enumerate(model.layers)
            for way, (ending, inside) in enumerate(layer.directions)
            if inside.flowing
        ]
        params = model.params if params is None else params
        self.weights = ModelWeights(model.layers, params, model.buffers)
        self._buffers = parts(model.buffers, model.layers)
        self.windows: list[AnyWindow] = []
        self._room, self.kept = (0, False), 0
        self.count = shards * self.members
        self._pool = Pool(self.count)
        self._size = params.flat.size
        self._sharing = min(self.count, 1 + self._size // _SHARED)
        self._grads: list[Block] = []
        self._parts: list[list[dict[str, NDArray]]] = []
        self._losses = [0.0] * shards
        self._segments: Segments | None = None
        if memory is not None:
            sizes = model.layers, self._counts(), model.dtype, self.members
            self._segments = Segments(memory, *sizes)
        stretch = usual if self._segments is None else self._segments.length(usual)
        self._lookup_ids = worthwhile_ids(stretch, lanes)

    def _counts(self) -> list[int]:
        """Lanes of each worker."""
        return np.diff(self.bounds).tolist()

    def reserve(self, k2: int, sliding: bool = False) -> None:
        """Make room for going back through windows of ``k2`` steps, if there is less.

        sliding : whether a window keeps some of the steps of the one before.

        Raises
        ------
        ValueError : if no such window fits into the memory.
        """
        room = (k2, sliding)
        if k2 <= self._room[0] and sliding <= self._room[1]:
            return
        if self.windows:
            more = 0 if self._segments else self._room[0] // 4
            room = (max(k2, self._room[0] + more), sliding or self._room[1])
        windows = [self._window(lanes, *room) for lanes in self._counts()]
        if self.windows:
            write_tapes(windows, self.bounds, read_tapes(self.windows, self.kept))
        else:
            self._grads = [self.model.params.like() for _ in windows]
            self._parts = [gradient_parts(block, self.model.layers) for block in self._grads]
        self.windows, self._room = windows, room

    def _window(self, lanes: int, k2: int, sliding: bool) -> AnyWindow:
        layers, dtype = self.model.layers, self.model.dtype
        if self._segments is not None:
            segment = self._segments.length(k2)
            return RecomputedWindow(layers, lanes, k2, dtype, segment, **self._manner())
        capacity = 2 * k2 if sliding else k2
        return Window(layers, lanes, capacity, dtype, backward=True, **self._manner())

    def _manner(self) -> dict[str, Any]:
        """How a window goes about it."""
        return {"lookup_ids": self._lookup_ids, "crew": Crew(self.members, self._pool.run)}

    def resume(self, arrays: Mapping[str, NDArray], sliding: bool) -> None:
        """Take up the tapes that `read_tapes` gave."""
        self.reserve(max(1, len(arrays["x"])), sliding)
        write_tapes(self.windows, self.bounds, arrays)
        self.kept = len(arrays["x"])

    def reserve_forward(self, steps: int) -> None:
        """Make room for going forward only, ``steps`` steps at a time."""
        layers, dtype = self.model.layers, self.model.dtype
        self.windows = [
            Window(layers, lanes, steps, dtype, backward=False, **self._manner())
            for lanes in self._counts()
        ]

    def settle(self) -> None:
        """After an update, bring the buffers of all layers up to date."""
        for i, buffers in enumerate(self._buffers):
            if buffers:
                tapes = [window.tapes[i] for window in self.windows]
                self.model.layers[i].settle(buffers, tapes)

    @property
    def gradient(self) -> Block:
        return self._grads[0]

    def begin(self, state: Mapping[str, NDArray] | None = None) -> None:
        """Start all lanes from ``state``, or from zeros."""
        self.kept = 0
        for i, window in enumerate(self.windows):
            window.begin(state, self.bounds[i])

    def state(self) -> Block:
        """A copy of the state after the newest step."""
        state = self.model.zero_state(self.lanes)
        for window, lane in zip(self.windows, self.bounds, strict=False):
            window.read_state(state, lane)
        return state

    def forward(self, batch: Batch, loss: Loss) -> float:
        """Run the steps of ``batch``, and add up its losses."""
        given = self._given(batch)

        def work(i: int) -> None:
            self._losses[i] = self.windows[i].evaluate(self.weights, given[i], loss)

        self._pack(back=False)
        self._run(work, len(self.windows))
        return math.fsum(self._losses)

    def forward_and_back(
        self, batch: Batch, loss: Loss, reach: Reach, scale: float | None = None
    ) -> float:
        """Run the steps of ``batch``, add up its losses, and leave the `gradient` of their sum.

        scale : by which the sum is multiplied; None for its mean over the valid targets.
        """
        scale = 1.0 / max(1, batch.count) if scale is None else scale
        if self._segments is not None:
            rows = max(reach.k2, self.kept + len(batch.x))
            reach = reach._replace(segment=self._segments.length(rows))
        given = self._given(batch)

        def work(i: int) -> None:
            window, grads = self.windows[i], self._parts[i]
            self._losses[i] = window.update(self.weights, given[i], scale, loss, grads, reach)

        self._pack(back=True)
        self._run(work, len(self.windows))
        self.kept = min(reach.keep, self.kept + len(batch.x)) if reach.keep else 0
        self._add_gradients()
        return math.fsum(self._losses)

    def _add_gradients(self) -> None:
        """Add those of all workers to the first's, each number in the order of the workers."""
        if len(self._grads) == 1:
            return
        (total, *others) = (block.flat for block in self._grads)

        def work(piece: slice) -> None:
            for part in others:
                add(total[piece], part[piece])

        self.share(work)

    def share(self, work: Callable[[slice], None]) -> None:
        """Run ``work`` on all places of the parameters, in as many pieces as it pays to have."""
        size, pieces = self._size, self._sharing
        each = -(-size // (pieces * _LINE)) * _LINE
        self._run(lambda i: work(slice(each * i, each * (i + 1))), pieces)

    def _given(self, batch: Batch) -> list[Batch]:
        """The parts of ``batch`` that the workers have: cut by the caller, so that a worker needs
        the interpreter only for a moment at its beginning.

        Raises
        ------
        ShapeError : if it has other lanes.
        """
        if batch.x.shape[1] != self.lanes:
            raise ShapeError(f"x has {batch.x.shape[1]} lanes, but its source said {self.lanes}")
        if len(self.windows) == 1:
            return [batch]
        return [batch.part(first, last) for first, last in pairwise(self.bounds)]

    def _pack(self, back: bool) -> None:
        if self._sharing == 1:
            self.weights.pack(back)
            return
        packing, pieces = self.weights.packing(back), self._sharing

        def work(i: int) -> None:
            for pack in packing[i::pieces]:
                pack()

        self._run(work, pieces)

    def _run(self, work: Callable[[int], None], pieces: int) -> None:
        """Run ``work`` for each of the pieces, of which there are no more than workers."""
        if pieces == 1:
            work(0)
        else:
            self._pool.run([partial(work, i) for i in range(pieces)])

    def input_gradient(self) -> NDArray | None:
        """(K, B, I) after ``forward_and_back(..., want_dx=True)``; None for ids."""
        parts = [window.dx for window in self.windows]
        return None if parts[0] is None else np.concatenate(parts, axis=1)[..., : self.model.n_in]

    def state_gradient(self) -> Block:
        """Gradient of the state in which the oldest row of the tape began."""
        errors = self.model.zero_state(self.lanes)
        for window, lane in zip(self.windows, self.bounds, strict=False):
            window.read_state_errors(self.weights, errors, lane)
        return errors

    def norms(self, i: int, way: int, k2: int) -> NDArray:
        """(k, B), ‖δ_t‖ of layer ``i`` in direction ``way`` before it is bounded, of the newest
        k <= ``k2`` steps."""
        return np.concatenate([w.norms(i, way)[self._newest(k2)] for w in self.windows], axis=1)

    def flow(self, i: int, way: int, k2: int, bound: float) -> NDArray:
        """(k,), the norms of δ_t over all lanes, each lane's bounded, of the newest k <= ``k2``."""
        steps = self._newest(k2)
        norms = np.zeros(steps.stop - steps.start)
        for window in self.windows:
            add_norms(window.norms(i, way), steps.start, steps.stop, bound, norms)
        return norms

    def slopes(self, i: int, k2: int) -> NDArray:
        """(k, G), the slopes of the gates of layer ``i`` as in `Tape`, of the newest k steps."""
        return sum(w.slopes(i)[self._newest(k2)] for w in self.windows)

    def _newest(self, k2: int) -> slice:
        window = self.windows[0]
        return slice(max(window.start, window.stop - k2), window.stop)
