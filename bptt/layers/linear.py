"""An affine map of the features at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..initializers import glorot_uniform
from ..kernels.compile import kernel
from ..kernels.step import add_row_product
from ..kernels.target import empty, padded
from .base import Layer, Room, Span, Tape, check_size
from .lookup import Lookup
from .weights import PackedWeights, Scratch

__all__ = ["Linear"]


@dataclass(frozen=True)
class Linear(Layer):
    """y_t = x_t W + b.

    Parameters
    ----------
    n_in : input features, I.
    n_out : output features, O.

    Parameters in the model: ``W`` (I, O), Glorot uniform, and ``b`` (O,), zero.

    Raises
    ------
    ValueError : if a size is not a positive integer.
    """

    n_in: int
    n_out: int
    reads_lookups: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_size(n_in=self.n_in, n_out=self.n_out)

    @property
    def sizes(self) -> tuple[int, int]:
        return self.n_in, self.n_out

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.n_in, self.n_out), "b": (self.n_out,)}

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        params["W"][...] = glorot_uniform((self.n_in, self.n_out), rng)

    def weights(self, dtype: DTypeLike) -> PackedWeights:
        return PackedWeights(self.n_in, self.n_out, 1, dtype)

    def pack(self, params: Mapping[str, NDArray], weights: PackedWeights) -> None:
        weights.pack(params["W"], params["b"])

    def pack_back(self, params: Mapping[str, NDArray], weights: PackedWeights) -> None:
        weights.pack_transposed(params["W"])

    def tape(self, x: NDArray | Lookup, room: Room) -> Tape:
        y = empty((room.rows, room.lanes, padded(self.n_out, room.dtype)), room.dtype)
        return Tape(x, y, {}, None)

    def scratch_sizes(self, dtype: DTypeLike) -> tuple[int, int, int]:
        return Scratch.sizes(self.n_in + 1, self.n_out, 1, dtype)

    def forward(self, weights: PackedWeights, tape: Tape, first: int, last: int) -> None:
        weights.forward(tape.x, first, last, tape.y)

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        y = np.empty((len(x), self.n_out), x.dtype)
        _step(x, params["W"], params["b"], y)
        return y

    def backward(
        self,
        weights: PackedWeights,
        tape: Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> int:
        w, b = grads["W"], grads["b"]
        first, last = steps.errors_from, steps.last
        weights.gradients(scratch, first, last, tape.x, dy, dy, (w, w[:0], b), dx)
        return first


@kernel
def _step(x, w, b, y):
    """x (B, I) in, w (I, O) in, b (O,) in, y (B, O) out."""
    flat = y.reshape(y.size)
    for lane in range(len(x)):
        y[lane] = b
        add_row_product(x[lane], w, 0, b.size, flat, lane * b.size)
