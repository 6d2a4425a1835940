"""Layers one on the other: their tapes, and the way through them, forward and back.

What layers do is a list of calls, made again as long as it would be the same. A window of one lane
and 32 units would else spend as long between kernels as in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .kernels.calls import Call, Known, perform
from .kernels.target import padded, zeros
from .layers import Layer
from .layers.crew import Crew
from .layers.lookup import Lookup
from .layers.tape import Room, Span, Tape
from .layers.weights import Scratch
from .packed import ModelWeights

__all__ = ["Grads", "Stack"]

Grads: TypeAlias = Sequence[Mapping[str, NDArray]]
"""Parameter name -> gradient, layer by layer."""


class Stack:
    """The tapes of all layers for some lanes, and room for their errors.

    Parameters
    ----------
    layers : of the model, from the input up.
    x : (K, B) int32 ids or (K, B, I), the input of the lowest, and read where it lies.
    room : for the tapes; what differs from layer to layer is filled in here.
    backward : whether there is a way back; if not, no memory is kept for it.
    lookup_ids : the most ids for which the output of an `Embedding` is not written out.
    crew : the threads that go through it together.

    Attributes
    ----------
    tapes : one per layer.
    y : (K, B, O padded), the output.
    dy : (K, B, O padded), in: the gradient of the output.
    dx : gradient of x, for float input, after ``backward(..., want_dx=True)``.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        x: NDArray,
        room: Room,
        *,
        backward: bool,
        lookup_ids: int,
        crew: Crew,
    ) -> None:
        self.layers, self._x = layers, x
        self._fresh, self._skip = room.fresh, room.skip
        self.tapes: list[Tape] = []
        for i, (layer, above) in enumerate(zip(layers, [*layers[1:], None], strict=True)):
            below = self.tapes[-1].y if self.tapes else x
            read = above is not None and above.reads_lookups
            own = room._replace(lookup_ids=lookup_ids if read else 0, salt=i)
            self.tapes.append(layer.tape(below, own._replace(crew=crew) if layer.divides else own))
        written = layers[0].reads_ids and not isinstance(self.tapes[0].y, Lookup)
        self._writes_rows = written and any(above.reads_lookups for above in layers[1:2])
        self.y: NDArray = self.tapes[-1].y
        self.dx: NDArray | None = None
        self._borrowed = [(i, name) for i, layer in enumerate(layers) for name in layer.borrows()]
        dtype = room.dtype
        self._dy = self._error_buffers(dtype) if backward else [zeros(self.y.shape, dtype)]
        self.dy = self._dy[-1]
        self._scratch: Scratch | None = None
        if backward:
            sizes = [layer.scratch_sizes(dtype) for layer in layers]
            self._scratch = Scratch.of(sizes, dtype, crew.size)
        self._weights: ModelWeights | None = None
        self._grads: Grads | None = None
        self._forward: Known[list[Call]] = Known()
        self._backward: Known[tuple[list[Call] | None, int]] = Known()

    def _error_buffers(self, dtype: DTypeLike) -> list[NDArray]:
        """For each layer, room for the error of its output; neighbours do not share it."""
        shapes = [tape.y.shape for tape in self.tapes]
        sizes = [int(np.prod(shape)) for shape in shapes]
        flat = [zeros((max(sizes[parity::2], default=0),), dtype) for parity in (0, 1)]
        return [
            flat[i % 2][:size].reshape(shape)
            for i, (size, shape) in enumerate(zip(sizes, shapes, strict=True))
        ]

    def forward(self, weights: ModelWeights, first: int, last: int, count: int | None) -> None:
        """Run steps ``first`` to ``last`` through ``count`` layers, or all, from the input up."""
        if weights is not self._weights:
            self._forget(weights, self._grads)
        fresh, skip = self._fresh, self._skip
        key = first, last, count, fresh.some, skip.some, skip.stops
        calls = self._forward.get(key)
        if calls is None:
            listed = self._forward_calls(weights, first, last, count)
            calls = self._forward.keep(key, listed)
        perform(calls)

    def renew(self, weights: ModelWeights, first: int, last: int) -> None:
        """Write anew what the layer above looks up, if it does: rows of the table of today, also at
        steps ``first`` to ``last``, which earlier updates ran."""
        if self._writes_rows:
            self.layers[0].forward(weights.packed[0], self.tapes[0], first, last)

    def _forget(self, weights: ModelWeights, grads: Grads | None) -> None:
        """What was listed, which was for others than these."""
        if weights is not self._weights:
            self._forward.clear()
        self._backward.clear()
        self._weights, self._grads = weights, grads

    def _forward_calls(
        self, weights: ModelWeights, first: int, last: int, count: int | None
    ) -> list[Call]:
        """What `Layer.forward` does, layer by layer."""
        calls: list[Call] = []
        for i, layer in enumerate(self.layers[:count]):
            calls += layer.forward_calls(weights.packed[i], self.tapes[i], first, last)
        return calls

    def backward(
        self,
        weights: ModelWeights,
        grads: Grads,
        steps: Span,
        want_dx: bool,
        errors: Mapping[str, NDArray] | None,
    ) -> int:
        """As `Window.go_back`."""
        fresh, skip = self._fresh, self._skip
        if errors is not None:
            self._take(errors)
            skip.stops = skip.some  # What arrives in a lane that is skipped has to be put aside.
        if weights is not self._weights or grads is not self._grads:
            self._forget(weights, grads)
        key = steps, want_dx, fresh.some, skip.some, skip.stops, errors is None
        listed = self._backward.get(key)
        if listed is None:
            made = self._backward_calls(weights, grads, steps, want_dx, errors is None)
            listed = self._backward.keep(key, made)
        calls, errors_from = listed
        if calls is None:
            if errors is None:
                perform(self._emptying())
            errors_from = self._go_back(weights, grads, steps, want_dx)
        else:
            perform(calls)
        for i, name in self._borrowed:
            grads[0][name] += grads[i][name].T
        return errors_from

    def _take(self, errors: Mapping[str, NDArray]) -> None:
        """Set those that arrive from beyond the last step."""
        for i, tape in enumerate(self.tapes):
            for name, error in tape.errors.items():
                given = errors[f"{i}.{name}"]
                error.fill(0)
                error[:, : given.shape[1]] = given

    def _emptying(self) -> list[Call]:
        """What says that none arrive."""
        return [partial(e.fill, 0) for tape in self.tapes for e in tape.errors.values()]

    def _go_back(self, weights: ModelWeights, grads: Grads, steps: Span, want_dx: bool) -> int:
        """`Layer.backward`, layer by layer."""
        for i in reversed(range(len(self.layers))):
            given = self._given(i, weights, grads, steps, want_dx)
            steps = steps._replace(errors_from=self.layers[i].backward(*given))
        return steps.errors_from

    def _backward_calls(
        self, weights: ModelWeights, grads: Grads, steps: Span, want_dx: bool, emptied: bool
    ) -> tuple[list[Call] | None, int]:
        """What `_go_back` does, and returns; no list if a layer cannot say. `_emptying` first if
        wanted."""
        calls = self._emptying() if emptied else []
        for i in reversed(range(len(self.layers))):
            given = self._given(i, weights, grads, steps, want_dx)
            listed = self.layers[i].backward_calls(*given)
            if listed is None:
                return None, 0
            calls += listed[0]
            steps = steps._replace(errors_from=listed[1])
        return calls, steps.errors_from

    def _given(
        self, i: int, weights: ModelWeights, grads: Grads, steps: Span, want_dx: bool
    ) -> tuple[Any, ...]:
        """What `Layer.backward` of layer ``i`` is given."""
        dx = self._dy[i - 1] if i else self._input_error(want_dx)
        return weights.packed[i], self.tapes[i], steps, self._dy[i], dx, grads[i], self._scratch

    def _input_error(self, wanted: bool) -> NDArray | None:
        if not wanted or self.layers[0].reads_ids:
            return None
        if self.dx is None:
            width = padded(self._x.shape[2], self._x.dtype)
            self.dx = zeros((*self._x.shape[:2], width), self._x.dtype)
        return self.dx

    def outputs(self, stop: int) -> Iterator[tuple[int, NDArray]]:
        """Each layer, and its output of the steps before ``stop``: (k, B, n_out) or the like."""
        for i, (layer, tape) in enumerate(zip(self.layers, self.tapes, strict=True)):
            y, units = tape.y, layer.sizes[1]
            yield i, y.table if isinstance(y, Lookup) else y[:stop, :, :units]

    def arrays(self) -> list[NDArray]:
        """All that it holds, but for the gradient of x."""
        arrays = [*self._dy]
        for part in self._scratch.parts if self._scratch else ():
            arrays += part
        for tape in self.tapes:
            arrays += tape.arrays_in_all()
        return arrays
