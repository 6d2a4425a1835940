"""A learned vector for each id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.calls import Call
from ..kernels.compile import kernel
from ..kernels.target import padded, zeros
from .base import Layer, check_size
from .lookup import Lookup
from .runs import in_runs
from .tape import Room, Span, Tape
from .weights import Scratch

__all__ = ["Embedding"]


@dataclass(frozen=True)
class Embedding(Layer):
    """y_t = W[x_t], for ids x_t from 0 to V - 1.

    Parameters
    ----------
    n_ids : number of ids, V.
    n_out : features of each, E.

    Parameters in the model: ``W`` (V, E), drawn from N(0, 1). Where windows overlap, `Linear` and
    recurrent layers right above read today's W at older steps too.

    Raises
    ------
    ValueError : if a size is not a positive integer.
    """

    n_ids: int
    n_out: int
    reads_ids: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_size(n_ids=self.n_ids, n_out=self.n_out)

    @property
    def sizes(self) -> tuple[int, int]:
        return self.n_ids, self.n_out

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.n_ids, self.n_out)}

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        params["W"][...] = rng.normal(size=(self.n_ids, self.n_out))

    def weights(self, dtype: DTypeLike) -> NDArray:
        return np.empty((self.n_ids, self.n_out), dtype)

    def packing(self, params: Mapping[str, NDArray], weights: NDArray) -> list[Call]:
        return [partial(np.copyto, weights, params["W"])]

    def packing_back(self, params: Mapping[str, NDArray], weights: NDArray) -> list[Call]:
        return []

    def tape(self, x: NDArray, room: Room) -> Tape:
        width = padded(self.n_out, room.dtype)
        if self.n_ids <= room.lookup_ids:
            return Tape(x, Lookup(x, (self.n_ids, 1, width), room.dtype), {}, None)
        return Tape(x, zeros((room.rows, room.lanes, width), room.dtype), {}, None)

    def scratch_sizes(self, dtype: DTypeLike) -> tuple[int, int, int]:
        return 0, 0, 0

    def forward(self, weights: NDArray, tape: Tape, first: int, last: int) -> None:
        if isinstance(tape.y, Lookup):
            tape.y.table = weights[:, np.newaxis]
        else:
            _forward(tape.x, weights, tape.y, first, last)

    def forward_calls(self, weights: NDArray, tape: Tape, first: int, last: int) -> list[Call]:
        if not isinstance(tape.y, Lookup):
            return super().forward_calls(weights, tape, first, last)
        self.forward(weights, tape, first, last)
        return []

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        return params["W"][x]

    def backward_calls(
        self,
        weights: NDArray,
        tape: Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> tuple[list[Call], int]:
        if isinstance(tape.y, Lookup):
            call = partial(np.copyto, grads["W"], dy[:, 0, : self.n_out])
        else:
            add_up, here = partial(_backward, tape.x, dy), (steps.errors_from, steps.last)
            call = partial(in_runs, add_up, here, tape.x.shape[1], grads["W"])
        return [call], steps.last


@kernel
def _forward(ids, table, y, first, last):
    """ids (K, B) in, table (V, E) in, y (K, B, at least E) out."""
    for t in range(first, last):
        for b in range(ids.shape[1]):
            row = table[ids[t, b]]
            for j in range(row.size):
                y[t, b, j] = row[j]


@kernel
def _backward(ids, dy, first, last, dw):
    """ids (K, B) in, dy (K, B, at least E) in, dw (V, E) out."""
    dw[:] = 0
    for t in range(first, last):
        for b in range(ids.shape[1]):
            row = dw[ids[t, b]]
            for j in range(row.size):
                row[j] += dy[t, b, j]
