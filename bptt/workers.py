"""Workers: each runs whole windows on a shard of the lanes, on a thread of its own.

A worker has its own tapes and its own gradient. When all are done the gradients are added up in a
fixed order, so that the result depends on the number of workers but not on their timing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .block import Block
from .errors import ShapeError
from .kernels.vectors import add
from .layers.base import Span
from .layers.lookup import Lookup
from .losses import Loss
from .model import Model
from .pool import Pool, cpu_count
from .window import ModelWeights, Window, parts

__all__ = ["Batch", "Workers", "best_workers", "check_workers"]

_WORTHWHILE = 2_000_000
"""Multiplications in a window that repay the start of one more thread."""


def best_workers(model: Model, lanes: int, steps: int) -> int:
    """How many workers run windows of ``steps`` steps and ``lanes`` lanes the fastest."""
    multiplications = 3 * model.params.flat.size * lanes * steps
    return max(1, min(cpu_count(), lanes, multiplications // _WORTHWHILE))


def check_workers(workers: int | None) -> None:
    """Refuse a number of workers that is not a positive integer or None.

    Raises
    ------
    ValueError : saying what came.
    """
    if workers is None:
        return
    if isinstance(workers, bool) or not isinstance(workers, int | np.integer) or workers < 1:
        raise ValueError(f"workers must be a positive integer or None, got {workers!r}")


class Batch(NamedTuple):
    """What a window runs on.

    x : (k, B) ids or (k, B, I).
    targets : (n, B, ...) for the last n <= k steps, as the loss reads them.
    valid : (n, B) bool.
    count : how many are.
    """

    x: NDArray
    targets: NDArray
    valid: NDArray
    count: int

    @classmethod
    def of(cls, model: Model, loss: Loss, x: NDArray, targets: ArrayLike,
           mask: NDArray | None) -> Batch:  # fmt: skip
        """Check the targets for ``x``, which has been checked.

        Raises
        ------
        DataError, ShapeError : if they do not fit the loss, the outputs or ``x``.
        """
        targets = loss.targets(targets, x.shape[1], model.n_out, model.dtype)
        if not 1 <= len(targets) <= len(x):
            raise ShapeError(f"targets have {len(targets)} steps, but x has {len(x)}")
        mask = None if mask is None else np.asarray(mask)
        if mask is not None and (mask.dtype != np.bool_ or mask.shape != targets.shape[:2]):
            raise ShapeError(
                f"mask must be {targets.shape[:2]} of bool, got {mask.shape} of {mask.dtype}"
            )
        valid = loss.valid(targets, mask)
        return cls(x, targets, valid, int(np.count_nonzero(valid)))


class Workers:
    """Windows over all lanes, side by side.

    Parameters
    ----------
    model : its parameters are read at every window.
    lanes : B.
    capacity : rows of the tapes.
    count : of workers; no more than lanes are used.
    backward : as for `Window`.

    Attributes
    ----------
    bounds : worker i has the lanes from ``bounds[i]`` to ``bounds[i + 1]``.
    gradient : Block, what `forward_and_back` left; the next one overwrites it.
    """

    def __init__(
        self,
        model: Model,
        lanes: int,
        capacity: int,
        count: int,
        *,
        backward: bool = True,
    ) -> None:
        self.model, self.lanes = model, lanes
        count = min(count, lanes)
        self.bounds = [lanes * i // count for i in range(count + 1)]
        self.weights = ModelWeights(model.layers, model.params)
        self.windows = [
            Window(model.layers, stop - start, capacity, model.dtype,
                   backward=backward, batch=lanes)
            for start, stop in zip(self.bounds, self.bounds[1:], strict=False)
        ]  # fmt: skip
        self._pool = Pool(count)
        self._grads = [model.params.like() for _ in self.windows] if backward else []
        self._parts = [parts(block, model.layers) for block in self._grads]
        self._losses = [0.0] * count

    @property
    def gradient(self) -> Block:
        return self._grads[0]

    def begin(self, state: Mapping[str, NDArray] | None = None) -> None:
        """Start all lanes from ``state``, or from zeros."""
        for window, lane in zip(self.windows, self.bounds, strict=False):
            window.begin(state, lane)

    def state(self) -> Block:
        """A copy of the state after the newest step."""
        state = self.model.zero_state(self.lanes)
        for window, lane in zip(self.windows, self.bounds, strict=False):
            window.read_state(state, lane)
        return state

    def forward(self, batch: Batch, loss: Loss, keep: int = 0) -> float:
        """Run the steps of ``batch``, and add up its losses.

        keep : rows of the tape that are still needed.
        """
        self._pack(back=False)
        self._run(lambda i: self._forward(i, batch, loss, keep))
        return math.fsum(self._losses)

    def forward_and_back(
        self,
        batch: Batch,
        loss: Loss,
        k2: int,
        *,
        clip_delta: float = math.inf,
        consume: bool = True,
        want_dx: bool = False,
    ) -> float:
        """Run the steps of ``batch``, add up its losses, and leave their mean's `gradient`.

        k2 : steps that the error flows back from the newest.
        consume : whether no later window reaches back into this one.
        """

        def work(i: int) -> None:
            self._forward(i, batch, loss, keep=k2 - len(batch.x))
            window = self.windows[i]
            first = max(window.start, window.stop - k2)
            errors_from = max(first, window.stop - len(batch.targets))
            steps = Span(first, window.stop, errors_from, clip_delta, consume)
            window.go_back(self.weights, self._parts[i], steps, want_dx)

        self._pack(back=True)
        self._run(work)
        for block in self._grads[1:]:
            add(self.gradient.flat, block.flat)
        return math.fsum(self._losses)

    def _pack(self, back: bool) -> None:
        packing, count = self.weights.packing(back), len(self.windows)

        def work(i: int) -> None:
            for pack in packing[i::count]:
                pack()

        self._run(work)

    def _forward(self, i: int, batch: Batch, loss: Loss, keep: int) -> None:
        window, lanes = self.windows[i], slice(self.bounds[i], self.bounds[i + 1])
        window.make_room(len(batch.x), keep)
        window.forward(self.weights, batch.x[:, lanes])
        targets = np.array(batch.targets[:, lanes], order="C")
        valid = np.array(batch.valid[:, lanes], order="C")
        first, scale = window.stop - len(targets), 1.0 / max(1, batch.count)
        self._losses[i] = loss.run(
            window.y, first, self.model.n_out, targets, valid, scale, window.dy
        )

    def _run(self, work: Callable[[int], None]) -> None:
        if len(self.windows) == 1:
            work(0)
        else:
            self._pool.run([partial(work, i) for i in range(len(self.windows))])

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

    def flow(self, k2: int, clip_delta: float = math.inf) -> dict[str, NDArray]:
        """``"1.h"`` -> (k2,) norms of δ_t over all lanes, newest last; nan where no step is."""
        flow = {}
        last = self.windows[0].stop
        first = max(self.windows[0].start, last - k2)
        for i, layer in enumerate(self.model.layers):
            if layer.carried:
                squares = np.zeros(last - first)
                for window in self.windows:
                    norms = window.tapes[i].norms[first:last]
                    bounded = norms if clip_delta == math.inf else np.minimum(norms, clip_delta)
                    squares += np.einsum("tb,tb->t", bounded, bounded)
                norms = np.full(k2, np.nan)
                norms[k2 - len(squares) :] = np.sqrt(squares)
                flow[f"{i}.{layer.carried[0]}"] = norms
        return flow

    def first_not_finite(self) -> tuple[str, str]:
        """What went wrong first in the newest window, in words; and the layer it is in."""
        layers = self.model.layers
        for what, i, values in self._suspects():
            if not np.isfinite(values).all():
                return what, f"{i} ({type(layers[i]).__name__})"
        return "the loss", f"{len(layers) - 1} ({type(layers[-1]).__name__})"

    def _suspects(self) -> Iterator[tuple[str, int, NDArray]]:
        """What may not be finite, its layer and its values, in the order in which they came."""
        for name, values in self.model.params.items():
            yield f"the parameter {name}, after the last step,", int(name.split(".")[0]), values
        for i, layer in enumerate(self.model.layers):
            for window in self.windows:
                y, units = window.tapes[i].y, layer.sizes[1]
                rows = y.table if isinstance(y, Lookup) else y[: window.stop, :, :units]
                yield f"the output of layer {i} ({type(layer).__name__})", i, rows
        for name in reversed(list(self.gradient)):
            yield f"the gradient of {name}", int(name.split(".")[0]), self.gradient[name]
