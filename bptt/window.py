"""A window: the tapes of all layers for some lanes, and the way forward and back through them.

    rows      0 ... start ........... stop ... capacity
                    `-- on the tape --´
              state row `stop` is the state after the newest step

A sliding window runs on to the right, and moves the rows it still needs to the front when the
room is used up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .block import Block
from .kernels.target import padded, zeros
from .layers import Layer
from .layers.base import Room, Span, Tape
from .layers.lookup import Lookup
from .layers.weights import Scratch

__all__ = ["ModelWeights", "Window", "parts"]

_STEPS_PER_ID = 4
"""Steps and lanes for each id from which on it pays not to write embeddings out."""


def parts(block: Block, layers: Sequence[Layer]) -> list[dict[str, NDArray]]:
    """The views of a block of parameters layer by layer, named without the layer's number."""
    return [
        {name: block[f"{i}.{name}"] for name in layer.shapes()} for i, layer in enumerate(layers)
    ]


class ModelWeights:
    """The packed weights of all layers: read by every worker, packed again after each update."""

    def __init__(self, layers: Sequence[Layer], params: Block) -> None:
        self.layers = layers
        self.params = parts(params, layers)
        self.packed = [layer.weights(params.dtype) for layer in layers]
        triples = list(zip(layers, self.params, self.packed, strict=True))
        self._forward = [partial(layer.pack, p, packed) for layer, p, packed in triples]
        self._back = [partial(layer.pack_back, p, packed) for layer, p, packed in triples]

    def packing(self, back: bool) -> list[Callable[[], None]]:
        """The pieces of work that pack all layers for going forward, and back if wanted."""
        return self._forward + self._back if back else self._forward


class Window:
    """Tapes of ``capacity`` rows for ``lanes`` lanes.

    Parameters
    ----------
    layers : of the model, from the input up.
    lanes : B.
    capacity : rows of the tape.
    dtype : of all arrays but ids.
    backward : whether there is a way back; if not, no memory is kept for it.
    batch : lanes of all windows side by side; those of this one if None.

    Attributes
    ----------
    start, stop : the rows that hold steps of the current sequence.
    tapes : one per layer.
    x : (K, B) int32 ids or (K, B, I), the input.
    dx : gradient of x, for float input, after ``go_back(..., want_dx=True)``.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        lanes: int,
        capacity: int,
        dtype: DTypeLike,
        *,
        backward: bool,
        batch: int | None = None,
    ) -> None:
        self.layers, self.lanes, self.capacity = layers, lanes, capacity
        self.start = self.stop = 0
        bottom = layers[0]
        if bottom.reads_ids:
            self.x = np.zeros((capacity, lanes), np.int32)
        else:
            self.x = zeros((capacity, lanes, bottom.sizes[0]), dtype)
        self.tapes: list[Tape] = []
        room = Room(capacity, lanes, dtype, lookup_ids=0)
        worthwhile = capacity * (batch or lanes) // _STEPS_PER_ID
        for layer, above in zip(layers, [*layers[1:], None], strict=True):
            below = self.tapes[-1].y if self.tapes else self.x
            lookup_ids = worthwhile if above is not None and above.reads_lookups else 0
            self.tapes.append(layer.tape(below, room._replace(lookup_ids=lookup_ids)))
        self.dx: NDArray | None = None
        self._dtype = dtype
        self._dy = self._error_buffers() if backward else [zeros(self.y.shape, dtype)]
        if backward:
            self._scratch = Scratch.of([layer.scratch_sizes(dtype) for layer in layers], dtype)

    def _error_buffers(self) -> list[NDArray]:
        """For each layer, room for the error of its output; neighbours do not share it."""
        shapes = [tape.y.shape for tape in self.tapes]
        sizes = [int(np.prod(shape)) for shape in shapes]
        flat = [zeros((max(sizes[parity::2], default=0),), self._dtype) for parity in (0, 1)]
        return [
            flat[i % 2][:size].reshape(shape)
            for i, (size, shape) in enumerate(zip(sizes, shapes, strict=True))
        ]

    @property
    def y(self) -> NDArray:
        """(K, B, O padded), the output."""
        return self.tapes[-1].y

    @property
    def dy(self) -> NDArray:
        """(K, B, O padded), in: the gradient of the output."""
        return self._dy[-1]

    def begin(self, state: Mapping[str, NDArray] | None = None, first_lane: int = 0) -> None:
        """Empty the tape, and start from ``state`` or from zeros.

        state : "1.h" -> (lanes of all windows, H); this one's begin at ``first_lane``.
        """
        self.start = self.stop = 0
        for i, tape in enumerate(self.tapes):
            for name, rows in tape.states.items():
                rows[0] = 0
                if state is not None:
                    given = state[f"{i}.{name}"][first_lane : first_lane + self.lanes]
                    rows[0, :, : given.shape[1]] = given

    def read_state(self, state: Mapping[str, NDArray], first_lane: int = 0) -> None:
        """Write the state after the newest step into ``state``, as laid out for `begin`."""
        for i, tape in enumerate(self.tapes):
            for name, rows in tape.states.items():
                to = state[f"{i}.{name}"][first_lane : first_lane + self.lanes]
                to[...] = rows[self.stop, :, : to.shape[1]]

    def read_state_errors(self, weights: ModelWeights, errors: Block, first_lane: int = 0) -> None:
        """Write the gradient of the state that came in at row ``start`` into ``errors``."""
        for i, (layer, tape) in enumerate(zip(self.layers, self.tapes, strict=True)):
            layer.state_errors(weights.packed[i], tape, self.start)
            for name, error in tape.errors.items():
                to = errors[f"{i}.{name}"][first_lane : first_lane + self.lanes]
                to[...] = error[:, : to.shape[1]]

    def make_room(self, steps: int, keep: int) -> None:
        """Forget all but the newest ``keep`` rows, and see that ``steps`` more fit."""
        self.start = max(self.start, self.stop - keep)
        if self.stop + steps <= self.capacity:
            return
        kept = self.stop - self.start
        for rows, extra in self._timed():
            if kept + extra:
                rows[: kept + extra] = rows[self.start : self.stop + extra]
        self.start, self.stop = 0, kept

    def _timed(self) -> list[tuple[NDArray, int]]:
        """The arrays that move with time, and how many rows each has beyond the steps."""
        timed = [(self.x, 0)]
        for tape in self.tapes:
            timed += [(rows, 1) for rows in tape.states.values()]
            timed += [(rows, 0) for rows, _ in tape.gates.values()]
            if not tape.states and not isinstance(tape.y, Lookup):
                timed.append((tape.y, 0))
        return timed

    def forward(self, weights: ModelWeights, x: NDArray) -> None:
        """Run the next len(x) steps, for which there must be room, on x (T, B) or (T, B, I)."""
        first, last = self.stop, self.stop + len(x)
        self.x[first:last] = x
        for layer, packed, tape in zip(self.layers, weights.packed, self.tapes, strict=True):
            layer.forward(packed, tape, first, last)
        self.stop = last

    def go_back(
        self,
        weights: ModelWeights,
        grads: Sequence[Mapping[str, NDArray]],
        steps: Span,
        want_dx: bool = False,
    ) -> None:
        """Take the error in `dy` back through ``steps``; `grads` is overwritten, layer by layer."""
        for tape in self.tapes:
            for error in tape.errors.values():
                error[...] = 0
        for i in reversed(range(len(self.layers))):
            dx = self._dy[i - 1] if i else self._input_error(want_dx)
            errors_from = self.layers[i].backward(
                weights.packed[i], self.tapes[i], steps, self._dy[i], dx, grads[i], self._scratch
            )
            steps = steps._replace(errors_from=errors_from)

    def _input_error(self, wanted: bool) -> NDArray | None:
        if not wanted or self.layers[0].reads_ids:
            return None
        if self.dx is None:
            width = padded(self.x.shape[2], self._dtype)
            self.dx = zeros((*self.x.shape[:2], width), self._dtype)
        return self.dx
