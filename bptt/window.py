"""A window: the tapes of all layers for some lanes, and the way forward and back through them.

    rows      0 ... start ........... stop ... capacity
                    `-- on the tape --´
              state row `stop` is the state after the newest step

A sliding window runs on to the right, and moves the rows it still needs to the front when the
room is used up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .kernels.target import zeros
from .layers import Layer
from .layers.crew import Crew
from .layers.marks import NOTHING, Marks
from .layers.tape import Kept, Room, Span
from .losses import Loss
from .notes import Notes
from .packed import ModelWeights
from .stack import Grads, Stack
from .task import Batch, Reach

__all__ = ["Window", "worthwhile_ids"]

_STEPS_PER_ID = 4
"""Steps and lanes for each id from which on it pays not to write embeddings out."""


def worthwhile_ids(steps: int, lanes: int) -> int:
    """The most ids whose embeddings are better not written out, over so many steps and lanes."""
    return steps * lanes // _STEPS_PER_ID


class Window:
    """Tapes of ``capacity`` rows for ``lanes`` lanes.

    Parameters
    ----------
    layers : of the model, from the input up.
    lanes : B.
    capacity : rows of the tape.
    dtype : of all arrays but ids.
    backward : whether there is a way back; if not, no memory is kept for it.
    lookup_ids : the most ids for which the output of an `Embedding` is not written out.
    crew : the threads that go through it together; the caller's alone if None.

    Attributes
    ----------
    start, stop : the rows that hold steps of the current sequence.
    tapes : one per layer.
    x : (K, B) int32 ids or (K, B, I), the input.
    y : (K, B, O padded), the output.
    dy : (K, B, O padded), in: the gradient of the output.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        lanes: int,
        capacity: int,
        dtype: DTypeLike,
        *,
        backward: bool,
        lookup_ids: int = 0,
        crew: Crew | None = None,
    ) -> None:
        self.layers, self.lanes, self.capacity = layers, lanes, capacity
        self.start = self.stop = self._kept = 0
        bottom = layers[0]
        if bottom.reads_ids:
            self.x = np.zeros((capacity, lanes), np.int32)
        else:
            self.x = zeros((capacity, lanes, bottom.sizes[0]), dtype)
        trains = any(layer.trains for layer in layers)
        self._notes = notes = Notes(capacity, lanes, dtype, trains)
        room = Room(capacity, lanes, dtype, 0, notes.back, *notes.marked, 0, notes.shares, Crew())
        self._stack = Stack(
            layers, self.x, room, backward=backward, lookup_ids=lookup_ids, crew=crew or Crew()
        )
        self.tapes, self.y, self.dy = self._stack.tapes, self._stack.y, self._stack.dy
        self._directions = [tape.directions() for tape in self.tapes]
        self._outputs = layers[-1].sizes[1]
        self._span = Span(0, 0, 0)
        self._before = {
            f"{i}.{name}": rows[0]
            for i, tape in enumerate(self.tapes)
            for name, rows in tape.states.items()
        }

    @property
    def dx(self) -> NDArray | None:
        """(K, B, I padded), the gradient of float input, after ``go_back(..., want_dx=True)``."""
        return self._stack.dx

    def begin(self, state: Mapping[str, NDArray] | None = None, first_lane: int = 0) -> None:
        """Empty the tape, and start from ``state`` or from zeros.

        state : "1.h" -> (lanes of all windows, H); this one's begin at ``first_lane``.
        """
        self.start = self.stop = self._kept = 0
        if self._notes.said:
            self._notes.forget()
        for name, before in self._before.items():
            before.fill(0)
            if state is not None:
                given = state[name][first_lane : first_lane + self.lanes]
                before[:, : given.shape[1]] = given

    def read_state(
        self, state: Mapping[str, NDArray], first_lane: int = 0, row: int | None = None
    ) -> None:
        """Write the state into ``state``, as laid out for `begin`.

        row : of the step after it; the state after the newest step if None.
        """
        row = self.stop if row is None else row
        for i, tape in enumerate(self.tapes):
            for name, rows in tape.states.items():
                to = state[f"{i}.{name}"][first_lane : first_lane + self.lanes]
                to[...] = rows[row, :, : to.shape[1]]

    def read_state_errors(
        self,
        weights: ModelWeights,
        errors: Mapping[str, NDArray],
        first_lane: int = 0,
        row: int | None = None,
    ) -> None:
        """Write the gradient of the state that came in at the row to which `go_back` went into
        ``errors``; ``start`` if ``row`` is None."""
        row = self.start if row is None else row
        for i, (layer, tape) in enumerate(zip(self.layers, self.tapes, strict=True)):
            layer.state_errors(weights.packed[i], tape, row)
            for name, error in tape.errors.items():
                to = errors[f"{i}.{name}"][first_lane : first_lane + self.lanes]
                to[...] = error[:, : to.shape[1]]
                if self._notes.marked.resets.some:
                    to[self._notes.marked.resets.rows[row]] = 0

    def norms(self, i: int, way: int = 0) -> NDArray:
        """(K, B) float64, ‖δ_t‖ of layer ``i`` before it is bounded, row by row of the tape.

        way : which of `Layer.directions`.
        """
        read = self._directions[i][way]
        return read.in_time(read.tape.norms)

    def slopes(self, i: int) -> NDArray:
        """(K, G), the slopes of the gates of layer ``i`` as in `Tape`, row by row of the tape."""
        return self.tapes[i].slopes

    def views(self, keep: int) -> dict[str, Kept]:
        """By name, the newest ``keep`` steps of all that goes with them."""
        first = max(self.start, self.stop - keep)
        return {
            name: kept._replace(rows=kept.rows[first : self.stop + kept.beyond])
            for name, kept in self.kept().items()
        }

    def resume(self, steps: int) -> None:
        """Take the first ``steps`` rows for those of earlier updates; `views` writes them."""
        self.start, self.stop, self._kept = 0, steps, steps
        self._notes.resume()

    def kept(self) -> dict[str, Kept]:
        """By name, all that goes with the steps."""
        kept = {"x": Kept(self.x, 0, 0), **self._notes.kept()}
        for i, tape in enumerate(self.tapes):
            kept |= {f"{i}.{name}": rows for name, rows in tape.kept().items()}
        return kept

    @cached_property
    def _moving(self) -> list[Kept]:
        """What goes with the steps, listed once for all updates."""
        return list(self.kept().values())

    def make_room(self, steps: int) -> None:
        """Forget the rows that the newest update was not told to keep, over which its way back may
        have written, and see that ``steps`` more fit."""
        oldest = self.stop - self._kept
        self.start = oldest if oldest > self.start else self.start
        if self.stop + steps <= self.capacity:
            return
        kept = self.stop - self.start
        for rows, _, beyond in self._moving:
            if kept + beyond:
                rows[: kept + beyond] = rows[self.start : self.stop + beyond]
        self._notes.back[:kept] = self._notes.back[self.start : self.stop]
        self.start, self.stop = 0, kept

    def forward(
        self,
        weights: ModelWeights,
        x: NDArray,
        marks: Marks = NOTHING,
        count: int | None = None,
    ) -> None:
        """Run the next len(x) steps, for which there must be room, on x (T, B) or (T, B, I).

        marks : of these steps.
        count : how many layers are run, from the input up; all if None.
        """
        first, last = self.stop, self.stop + len(x)
        self.x[first:last] = x
        if self._notes.said or marks is not NOTHING:
            self._notes.write(first, last, marks)
            skip = self._notes.marked.skip
            if skip.some:
                self.x[first:last][skip.rows[first:last]] = 0
        self._stack.forward(weights, first, last, count)
        self.stop = last

    def add_losses(self, loss: Loss, batch: Batch, scale: float = 1.0) -> float:
        """The sum of the losses of the newest steps; their error, times ``scale``, goes to `dy`."""
        targets, valid = _contiguous(batch.targets), _contiguous(batch.valid)
        first = self.stop - len(targets)
        if self._notes.trains:
            self._notes.share(self.start, first, valid, scale)
        return loss.run(self.y, first, self._outputs, targets, valid, scale, self.dy)

    def evaluate(self, weights: ModelWeights, batch: Batch, loss: Loss) -> float:
        """Run the steps of ``batch``, and add up its losses."""
        self.make_room(len(batch.x))
        self.forward(weights, batch.x, batch.marks)
        return self.add_losses(loss, batch)

    def update(
        self,
        weights: ModelWeights,
        batch: Batch,
        scale: float,
        loss: Loss,
        grads: Grads,
        reach: Reach,
    ) -> float:
        """Run the steps of ``batch``, add up its losses, and take their error back.

        scale : of the error; one over the valid targets of all lanes makes it that of their mean.
        grads : out, layer by layer.
        """
        self.make_room(len(batch.x))
        self._kept = reach.keep
        if self.start < self.stop:
            self._stack.renew(weights, self.start, self.stop)
        self.forward(weights, batch.x, batch.marks)
        total = self.add_losses(loss, batch, scale)
        returning = None if reach.weights is None else reach.weights[:, np.newaxis]
        self._notes.weigh(self.start, self.stop, returning)
        first = max(self.start, self.stop - reach.k2)
        errors_from = max(first, self.stop - len(batch.targets))
        span = first, self.stop, errors_from, reach.clip_delta, not reach.keep, scale
        if span != self._span:  # To make one takes twice as long as to look.
            self._span = Span(*span)
        self.go_back(weights, grads, self._span, reach.want_dx)
        return total

    def weigh(self, weights: NDArray | None) -> None:
        """Multiply what comes back to the newest steps by ``weights``, (k, 1).

        Nothing comes back to the last step of a sequence.
        """
        self._notes.weigh(self.start, self.stop, weights)

    def go_back(
        self,
        weights: ModelWeights,
        grads: Grads,
        steps: Span,
        want_dx: bool = False,
        errors: Mapping[str, NDArray] | None = None,
    ) -> int:
        """Take the error in `dy` back through ``steps``; `grads` is overwritten, layer by layer.

        The gradient of what a layer borrows is added to that of its owner.

        errors : "1.h" -> (B, H), of the state after the last step; zero if None.

        Returns
        -------
        The first step for which `dx` was written.
        """
        return self._stack.backward(weights, grads, steps, want_dx, errors)

    def outputs(self, weights: ModelWeights) -> Iterator[tuple[int, NDArray]]:
        """Each layer, and what it put out in the newest steps: (k, B, n_out) or the like."""
        return self._stack.outputs(self.stop)

    def nbytes(self) -> int:
        """Bytes that all arrays of this window take, but for the gradient of x."""
        arrays = [self.x, *self._notes.arrays(), *self._stack.arrays()]
        return sum({id(owner): owner.nbytes for owner in map(_owner, arrays)}.values())


def _contiguous(array: NDArray) -> NDArray:
    """``array``, copied if need be: quicker than to have NumPy look."""
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _owner(array: NDArray) -> NDArray:
    """The array whose memory ``array`` is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
