"""The only place that reaches inside bptt: one layer, forward and back, from a given dy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bptt
from bptt.forward import Forward
from bptt.pool import cpu_count
from bptt.task import Reach
from bptt.workers import Batch, Workers

from .cases import Case

__all__ = ["BpttForward", "BpttLayer", "Problem", "find_cell", "thread_counts"]


def find_cell(name: str) -> type | None:
    """The layer class of a cell, None while the library has none."""
    return getattr(bptt, name.upper(), None)


def thread_counts() -> list[int]:
    """One thread and all: how PyTorch is measured."""
    return sorted({1, cpu_count()})


@dataclass(frozen=True)
class Problem:
    """What every system gets.

    x : (T, B, I).
    dy : (T, B, H), the gradient that comes down to the outputs.
    params : Wx (I, G·H), Wh (H, G·H), b (G·H,); of a GRU bh (H,).
    """

    cell: str
    case: Case
    x: NDArray
    dy: NDArray
    params: dict[str, NDArray]

    @classmethod
    def of(cls, cell: str, case: Case, seed: int = 0) -> Problem:
        """Random arrays, and the parameters that bptt begins with."""
        rng = np.random.default_rng(seed)
        lanes, steps, n_in, n = case
        x, dy = (rng.normal(size=(steps, lanes, size)).astype(np.float32) for size in (n_in, n))
        model = bptt.Model([find_cell(cell)(n_in, n)], seed=seed)
        params = {name.removeprefix("0."): p.copy() for name, p in model.params.items()}
        for name in params.keys() - {"Wx", "Wh"}:
            params[name] += rng.normal(scale=0.1, size=params[name].shape).astype(np.float32)
        return cls(cell, case, x, dy, params)


@dataclass(frozen=True, eq=False)
class _GivenError(bptt.Loss):
    """Whatever the outputs are, their gradient is ``upstream`` (T, B, H).

    Targets are lane numbers, so that a worker knows which lanes it has.
    """

    upstream: NDArray
    takes_ids = True

    def targets(self, given: ArrayLike, lanes: int, outputs: int, dtype: np.dtype) -> NDArray:
        return np.asarray(given, np.int32)

    def valid(self, targets: NDArray, mask: NDArray | None) -> NDArray[np.bool_]:
        return np.ones(targets.shape, np.bool_)

    def run(self, y: NDArray, first: int, outputs: int, targets: NDArray,
            valid: NDArray, scale: float, dy: NDArray) -> float:  # fmt: skip
        lane, lanes = targets[0, 0], targets.shape[1]
        dy[first:, :, :outputs] = self.upstream[:, lane : lane + lanes]
        return 0.0


class _SameError(_GivenError):
    """The same once more: it still lies in ``dy``, as that of the peers lies in their arrays."""

    def run(self, y: NDArray, first: int, outputs: int, targets: NDArray,
            valid: NDArray, scale: float, dy: NDArray) -> float:  # fmt: skip
        return 0.0


def _model(problem: Problem) -> bptt.Model:
    """One layer with the parameters of the problem."""
    model = bptt.Model([find_cell(problem.cell)(problem.case.n_in, problem.case.n)])
    for name, value in problem.params.items():
        model.params[f"0.{name}"] = value
    return model


class BpttForward:
    """A call of a model of one layer; ``workers`` is how many threads it takes."""

    def __init__(self, problem: Problem) -> None:
        self._model, self._x = _model(problem), problem.x
        model = self._model
        self.workers = Forward(model.layers, model.params, model.buffers).threads(*problem.case[:2])

    def forward(self) -> NDArray:
        """y (T, B, H)."""
        return self._model(self._x)[0]


class BpttLayer:
    """One layer of bptt with its workers, ready to run the problem again and again.

    ``workers`` is how many, None for as many as bptt takes by itself.
    """

    def __init__(self, problem: Problem, workers: int | None = None) -> None:
        lanes, steps = problem.case[:2]
        self._case = problem.case
        model = _model(problem)
        targets = np.tile(np.arange(lanes, dtype=np.int32), (steps, 1))
        self._names = list(problem.params)
        self._loss: bptt.Loss = _GivenError(problem.dy)
        self._batch = Batch(problem.x, targets, np.ones((steps, lanes), np.bool_), steps * lanes)
        self._team = Workers(model, lanes, workers, steps)
        self.workers = self._team.count
        self._team.reserve(steps)
        self._reach = Reach(steps, want_dx=True)
        self.run()
        self._loss = _SameError(problem.dy)

    def run(self) -> None:
        """One window: y, and the gradients of x and the parameters."""
        self._team.begin()
        self._team.forward_and_back(self._batch, self._loss, self._reach)

    def results(self) -> dict[str, Any]:
        """y (T, B, H), dx (T, B, I) and the gradients of the parameters."""
        self.run()
        n = self._case.n
        y = np.concatenate([window.y for window in self._team.windows], axis=1)[..., :n]
        gradient = self._team.gradient
        params = {name: gradient[f"0.{name}"].copy() for name in self._names}
        return {"y": y, "x": self._team.input_gradient(), **params}
