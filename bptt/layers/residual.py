"""A layer beside a way around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.calls import Call
from ..kernels.target import padded, zeros
from .base import Layer
from .tape import Direction, Kept, Room, Span, Tape
from .weights import Scratch

__all__ = ["Residual"]


@dataclass(frozen=True)
class Residual(Layer):
    """y_t = x_t + layer(x)_t (He et al. 2016).

    Parameters
    ----------
    layer : with as many outputs as inputs.

    Parameters and state in the model are those of ``layer``, under its names.

    Raises
    ------
    TypeError : if ``layer`` is not a layer.
    ValueError : if it reads ids, or has another number of outputs than of inputs.
    """

    layer: Layer

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Layer):
            raise TypeError(f"Residual takes a layer, got {self.layer!r}")
        if self.layer.reads_ids:
            raise ValueError(f"Residual adds to the input, but {self.layer} reads ids")
        n_in, n_out = self.layer.sizes
        if n_in != n_out:
            raise ValueError(
                f"Residual needs a layer with as many outputs as inputs, but {self.layer} has "
                f"{n_out} and {n_in}"
            )

    @property
    def carried(self) -> tuple[str, ...]:
        return self.layer.carried

    @property
    def counters(self) -> tuple[str, ...]:
        return self.layer.counters

    @property
    def trains(self) -> bool:
        return self.layer.trains

    @property
    def whole(self) -> bool:
        return self.layer.whole

    @property
    def at_once(self) -> bool:
        return self.layer.at_once

    @property
    def gate_names(self) -> tuple[str, ...]:
        return self.layer.gate_names

    @property
    def gate_slopes(self) -> tuple[float, ...]:
        return self.layer.gate_slopes

    @property
    def directions(self) -> tuple[tuple[str, Layer], ...]:
        return self.layer.directions

    @property
    def sizes(self) -> tuple[int, int]:
        return self.layer.sizes

    def states(self) -> dict[str, int]:
        return self.layer.states()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self.layer.shapes()

    def buffers(self) -> dict[str, tuple[int, ...]]:
        return self.layer.buffers()

    def borrows(self) -> dict[str, tuple[int, ...]]:
        return self.layer.borrows()

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        self.layer.initialize(params, rng)

    def weights(self, dtype: DTypeLike) -> Any:
        return self.layer.weights(dtype)

    def packing(self, params: Mapping[str, NDArray], weights: Any) -> list[Call]:
        return self.layer.packing(params, weights)

    def packing_back(self, params: Mapping[str, NDArray], weights: Any) -> list[Call]:
        return self.layer.packing_back(params, weights)

    def scratch_sizes(self, dtype: DTypeLike) -> tuple[int, int, int]:
        return self.layer.scratch_sizes(dtype)

    def tape(self, x: NDArray, room: Room) -> Tape:
        inner = self.layer.tape(x, room)
        n = self.sizes[1]
        y = zeros((room.rows, room.lanes, padded(n, room.dtype)), room.dtype)
        return _Tape(
            x, y, inner.states, None, {}, inner.errors, inner.fresh, inner.norms, inner.slopes,
            inner=inner,
        )  # fmt: skip

    def forward(self, weights: Any, tape: _Tape, first: int, last: int) -> None:
        self.layer.forward(weights, tape.inner, first, last)
        x, y, n = tape.x[first:last], tape.inner.y[first:last], self.sizes[1]
        np.add(x[..., :n], y[..., :n], out=tape.y[first:last, :, :n])

    def backward(
        self,
        weights: Any,
        tape: _Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> int:
        first = self.layer.backward(weights, tape.inner, steps, dy, dx, grads, scratch)
        if dx is not None:
            dx[steps.errors_from : steps.last] += dy[steps.errors_from : steps.last]
        return first

    def exact(self) -> Residual:
        return Residual(self.layer.exact())

    def settle(self, buffers: Mapping[str, NDArray], tapes: Sequence[_Tape]) -> None:
        self.layer.settle(buffers, [tape.inner for tape in tapes])

    def state_errors(self, weights: Any, tape: _Tape, first: int) -> None:
        self.layer.state_errors(weights, tape.inner, first)

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        return x + self.layer.step(params, x, before, after, start)

    def __str__(self) -> str:
        return f"Residual({self.layer})"


@dataclass(eq=False)
class _Tape(Tape):
    """The tape of the layer inside, with the sum as its output."""

    inner: Tape | None = None

    def kept(self) -> dict[str, Kept]:
        """What the layer inside keeps, whose output it may need on its way back, and the sum."""
        kept = {
            f"inner.{name}" if name.rpartition(".")[2] == "y" else name: rows
            for name, rows in self.inner.kept().items()
        }
        return kept | {"y": Kept(self.y, 1, 0)}

    def directions(self) -> tuple[Direction, ...]:
        return self.inner.directions()

    def arrays_in_all(self) -> list[NDArray]:
        return super().arrays_in_all() + self.inner.arrays_in_all()
