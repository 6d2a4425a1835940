"""A window that stores states once in a while, and runs the steps between them again to go back.

    steps    |-- segment --|-- segment --|-- segment --|
    forward  S             S             S             S     states are kept, the tape is not
    back                                 `- run again, ´     newest first: forward, then back,
                           `- run again, ´                   with the error of the state handed on

(Chen et al. 2016; Gruslys et al. 2016.) With segments of √k2 steps a window takes about 2·√k2 rows
of memory instead of k2, and runs forward twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .layers import Layer
from .layers.crew import Crew
from .layers.marks import Marks
from .layers.tape import Kept, Span
from .losses import Loss
from .packed import ModelWeights
from .stack import Grads
from .task import Batch, Reach
from .window import Window

__all__ = ["AnyWindow", "RecomputedWindow"]

State: TypeAlias = dict[str, NDArray]


class RecomputedWindow:
    """A `Window` of ``capacity`` steps whose tape holds only ``segment`` of them at a time.

    Where a window reaches back beyond its new steps, the older steps are run again from the state
    before them, with the parameters of today; a `Window` keeps what older parameters made of them,
    and has only what is looked up in an `Embedding` by those of today.

    Parameters and attributes are those of `Window`, but for the output and its error, which are
    only there for the segment at hand.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        lanes: int,
        capacity: int,
        dtype: DTypeLike,
        segment: int,
        *,
        lookup_ids: int = 0,
        crew: Crew | None = None,
    ) -> None:
        self.layers, self.lanes, self.capacity = layers, lanes, capacity
        self.start = self.stop = 0
        self._crew = crew
        self._dtype, self._lookup_ids, self._keep = dtype, lookup_ids, 0
        self._inner = self._window(segment)
        self._older = self._inner.x[:0].copy()
        self._trains = any(layer.trains for layer in layers)
        self._marks = self._no_marks(capacity)
        self._old_marks = self._marks.steps(0, 0)
        self.dx: NDArray | None = None
        self._x = self._older
        self._norms: dict[int, NDArray] = {}
        self._slopes: dict[int, NDArray] = {}
        self._states: list[State] = []
        self._measure(capacity, segment)
        self._errors = self._zero_state()
        self._edges = {name: np.stack([rows, rows]) for name, rows in self._errors.items()}
        self._sums: list[State] = [
            {
                name: np.zeros(shape, dtype)
                for name, shape in (layer.shapes() | layer.borrows()).items()
            }
            for layer in layers
        ]
        self._carries = 1 + max((i for i, layer in enumerate(layers) if layer.carried), default=-1)

    def _measure(self, steps: int, segment: int) -> None:
        """Make what grows with the steps of a window and of a stretch as large as they are."""
        layers = list(enumerate(self.layers))
        self._norms = {i: np.zeros((steps, self.lanes)) for i, layer in layers if layer.flowing}
        self._slopes = {
            i: np.zeros((steps, len(layer.gate_names))) for i, layer in layers if layer.gate_names
        }
        count = -(-steps // segment) + 1
        del self._states[count:]
        self._states += [self._zero_state() for _ in range(count - len(self._states))]

    def _window(self, segment: int) -> Window:
        return Window(self.layers, self.lanes, segment, self._dtype, backward=True,
                      lookup_ids=self._lookup_ids, crew=self._crew)  # fmt: skip

    def _no_marks(self, steps: int) -> Marks:
        keys = np.zeros((steps, self.lanes), np.uint64) if self._trains else None
        return Marks(keys=keys).filled(steps, self.lanes)

    def _zero_state(self) -> State:
        return {
            f"{i}.{name}": np.zeros((self.lanes, units), self._dtype)
            for i, layer in enumerate(self.layers)
            for name, units in layer.states().items()
        }

    @property
    def tapes(self) -> list:
        """Of the segment at hand."""
        return self._inner.tapes

    def begin(self, state: Mapping[str, NDArray] | None = None, first_lane: int = 0) -> None:
        """As `Window.begin`."""
        self.start = self.stop = self._keep = 0
        self._older, self._old_marks = self._older[:0], self._old_marks.steps(0, 0)
        for name, rows in self._edges.items():
            rows[...] = 0 if state is None else state[name][first_lane : first_lane + self.lanes]

    def read_state(self, state: Mapping[str, NDArray], first_lane: int = 0) -> None:
        """As `Window.read_state`, after the newest step."""
        for name, (_, newest) in self._edges.items():
            state[name][first_lane : first_lane + self.lanes] = newest

    def read_state_errors(
        self, weights: ModelWeights, errors: Mapping[str, NDArray], first_lane: int = 0
    ) -> None:
        """As `Window.read_state_errors`."""
        self._inner.read_state_errors(weights, self._errors)
        for name, rows in self._errors.items():
            errors[name][first_lane : first_lane + self.lanes] = rows

    def norms(self, i: int, way: int = 0) -> NDArray:
        """As `Window.norms`."""
        return self._norms[i]

    def slopes(self, i: int) -> NDArray:
        """As `Window.slopes`."""
        return self._slopes[i]

    def views(self, keep: int) -> dict[str, Kept]:
        """As `Window.views`; of states, those before and after these steps."""
        views = {"x": Kept(self._older, 0, 0)}
        for name, rows in self._old_marks._asdict().items():
            if rows is not None:
                views[name] = Kept(rows, 0, 0)
        return views | {name: Kept(rows, 0, 0) for name, rows in self._edges.items()}

    def resume(self, steps: int) -> None:
        """As `Window.resume`."""
        self.start, self.stop, self._keep = 0, steps, steps
        self._older = np.zeros((steps, *self._inner.x.shape[1:]), self._inner.x.dtype)
        self._old_marks = self._no_marks(steps)

    def update(
        self,
        weights: ModelWeights,
        batch: Batch,
        scale: float,
        loss: Loss,
        grads: Grads,
        reach: Reach,
    ) -> float:
        """As `Window.update`."""
        x = np.concatenate([self._older, batch.x]) if len(self._older) else batch.x
        self.stop, self._keep = len(x), min(reach.keep, len(x))
        self._older, self._x = x[self.stop - self._keep :].copy(), x
        self._marks = batch.marks.filled(*batch.x.shape[:2]).after(self._old_marks)
        self._old_marks = self._marks.steps(self.stop - self._keep, self.stop)
        self._fit(reach.segment)
        self._run_ahead(weights)
        return self._run_back(weights, batch, scale, loss, grads, reach)

    def _fit(self, segment: int) -> None:
        """Make room for stretches of ``segment`` steps."""
        if segment != self._inner.capacity:
            del self._inner
            self._inner = self._window(segment)
        self._measure(self.stop, segment)

    def _stretches(self) -> list[tuple[int, int]]:
        """First and last steps of each."""
        length = self._inner.capacity
        return [(i, min(i + length, self.stop)) for i in range(0, self.stop, length)]

    def _run(
        self, weights: ModelWeights, j: int, first: int, last: int, count: int | None = None
    ) -> None:
        """Run stretch ``j``, steps ``first`` to ``last``, from the state that is kept before it."""
        self._inner.begin(self._states[j])
        x, marks = self._x[first:last], self._marks.steps(first, last)
        self._inner.forward(weights, x, marks, count)

    def _run_ahead(self, weights: ModelWeights) -> None:
        """Run all steps, and keep the states between stretches."""
        oldest, newest = ({n: rows[i] for n, rows in self._edges.items()} for i in (0, 1))
        for name, rows in oldest.items():
            self._states[0][name][...] = rows
        before_next = self.stop - self._keep
        for j, (first, last) in enumerate(self._stretches()):
            self._run(weights, j, first, last, None if last == self.stop else self._carries)
            self._inner.read_state(self._states[j + 1])
            if first <= before_next <= last:
                self._inner.read_state(oldest, row=before_next - first)
        self._inner.read_state(newest)

    def _run_back(
        self,
        weights: ModelWeights,
        batch: Batch,
        scale: float,
        loss: Loss,
        grads: Grads,
        reach: Reach,
    ) -> float:
        """Run stretch after stretch again, newest first, and take the error back through each."""
        total, oldest = 0.0, max(0, self.stop - reach.k2)
        returning = None
        if reach.weights is not None:
            returning = np.ones((self.stop, 1))
            returning[self.stop - len(reach.weights) :, 0] = reach.weights
        for j, (first, last) in reversed(list(enumerate(self._stretches()))):
            if last <= oldest:
                break
            if last < self.stop:
                self._run(weights, j, first, last)
            part = _part(batch, self.stop - len(batch.targets) - first, last - first)
            total += self._inner.add_losses(loss, part, scale)
            self._inner.weigh(None if returning is None else returning[first:last])
            skipped = max(oldest - first, 0)
            errors_from = max(skipped, last - first - len(part.targets))
            span = Span(skipped, last - first, errors_from, reach.clip_delta, scale=scale)
            dx_from = self._go_back(weights, grads, span, reach.want_dx, last == self.stop)
            if j and not skipped:
                self._inner.read_state_errors(weights, self._errors)
            self._write_back(first, last, first + dx_from if reach.want_dx else last)
        return total

    def _go_back(
        self, weights: ModelWeights, grads: Grads, span: Span, want_dx: bool, newest: bool
    ) -> int:
        """Through the stretch at hand: the newest writes its gradients, and others add theirs."""
        if newest:
            return self._inner.go_back(weights, grads, span, want_dx)
        dx_from = self._inner.go_back(weights, self._sums, span, want_dx, self._errors)
        for found, sums in zip(self._sums, grads, strict=True):
            for name, part in found.items():
                sums[name] += part
        return dx_from

    def _write_back(self, first: int, last: int, dx_from: int) -> None:
        """Take what the segment at hand leaves of its steps, and dx from step ``dx_from`` on."""
        for i, norms in self._norms.items():
            norms[first:last] = self._inner.norms(i)[: last - first]
        for i, slopes in self._slopes.items():
            slopes[first:last] = self._inner.slopes(i)[: last - first]
        found = self._inner.dx
        if found is not None and dx_from < last:
            if self.dx is None or len(self.dx) != self.stop:
                self.dx = np.zeros((self.stop, *found.shape[1:]), self._dtype)
            self.dx[dx_from:last] = found[dx_from - first : last - first]

    def outputs(self, weights: ModelWeights) -> Iterator[tuple[int, NDArray]]:
        """As `Window.outputs`, stretch by stretch, which are run once more."""
        for j, (first, last) in enumerate(self._stretches()):
            self._run(weights, j, first, last)
            yield from self._inner.outputs(weights)

    def nbytes(self) -> int:
        """As `Window.nbytes`; but for the input, of which it has a copy only where it must."""
        states = [*self._states, self._edges, self._errors, *self._sums]
        arrays = [array for state in states for array in state.values()]
        arrays += [
            self._older,
            *(rows for rows in self._marks if rows is not None),
            *self._norms.values(),
            *self._slopes.values(),
        ]
        return self._inner.nbytes() + sum(array.nbytes for array in arrays)


AnyWindow: TypeAlias = Window | RecomputedWindow


def _part(batch: Batch, first_target: int, steps: int) -> Batch:
    """The targets of ``batch`` that a segment has; the first of all is at ``first_target``."""
    begin = min(max(0, -first_target), len(batch.targets))
    end = min(max(begin, steps - first_target), len(batch.targets))
    return batch._replace(targets=batch.targets[begin:end], valid=batch.valid[begin:end])
