"""An affine map of the features at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..checks import check_flag
from ..initializers import glorot_uniform
from ..kernels.calls import Call, perform
from ..kernels.compile import kernel
from ..kernels.step import add_products, put_rows
from ..kernels.target import empty, padded
from ..kernels.vector import flat
from .base import check_size
from .feedback import FedBack
from .lookup import Lookup
from .tape import Room, Span, Tape
from .weights import PackedWeights, Scratch

__all__ = ["Linear"]


@dataclass(frozen=True)
class Linear(FedBack):
    """y_t = x_t W + b.

    Parameters
    ----------
    n_in : input features, I.
    n_out : output features, O.
    tied : whether W is the transposed matrix of the `Embedding` at the bottom of the model, which
        must have the sizes (O, I), and not a parameter of its own (Press & Wolf 2017; Inan,
        Khosravi & Socher 2017).
    feedback : what errors go back through: "exact" for the transposed W, "random" for a fixed
        random matrix ``B`` in its place (Lillicrap et al. 2016).

    Parameters in the model: ``W`` (I, O), Glorot uniform, unless ``tied``; and ``b`` (O,), zero. A
    matrix shared with an `Embedding` begins Glorot uniform too.

    Raises
    ------
    ValueError : if a size is not a positive integer, ``tied`` not a bool, or ``feedback``
        neither of the two.
    """

    n_in: int
    n_out: int
    tied: bool = field(default=False, kw_only=True)
    reads_lookups: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(n_in=self.n_in, n_out=self.n_out)
        check_flag("tied", self.tied)

    @property
    def divides(self) -> bool:
        return True

    @property
    def sizes(self) -> tuple[int, int]:
        return self.n_in, self.n_out

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return ({} if self.tied else self.weight_shapes()) | {"b": (self.n_out,)}

    def borrows(self) -> dict[str, tuple[int, ...]]:
        return self.weight_shapes() if self.tied else {}

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.n_in, self.n_out)}

    def draw(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        params["W"][...] = glorot_uniform((self.n_in, self.n_out), rng)

    def weights(self, dtype: DTypeLike) -> PackedWeights:
        return PackedWeights(self.n_in, self.n_out, 1, dtype)

    def packing(self, params: Mapping[str, NDArray], weights: PackedWeights) -> list[Call]:
        return weights.packing(params["W"], params["b"])

    def packing_back(self, params: Mapping[str, NDArray], weights: PackedWeights) -> list[Call]:
        return weights.packing_transposed(self.returning(params)["W"])

    def tape(self, x: NDArray | Lookup, room: Room) -> Tape:
        y = empty((room.rows, room.lanes, padded(self.n_out, room.dtype)), room.dtype)
        return Tape(x, y, {}, None, crew=room.crew)

    def scratch_sizes(self, dtype: DTypeLike) -> tuple[int, int, int]:
        return Scratch.sizes(self.n_in + 1, self.n_out, 1, dtype)

    def forward(self, weights: PackedWeights, tape: Tape, first: int, last: int) -> None:
        perform(self.forward_calls(weights, tape, first, last))

    def forward_calls(
        self, weights: PackedWeights, tape: Tape, first: int, last: int
    ) -> list[Call]:
        return tape.crew.calls(partial(weights.products, tape.x, first, last, tape.y))

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        if self.tied:
            return x @ params["W"] + params["b"]
        y = np.empty((len(x), self.n_out), x.dtype)
        _step(x, params["W"], params["b"], y)
        return y

    def backward_calls(
        self,
        weights: PackedWeights,
        tape: Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> tuple[list[Call], int]:
        out = grads["W"], grads["W"][:0], grads["b"]
        first, last = steps.errors_from, steps.last
        given = scratch, first, last, tape.x, dy, dy, out, dx
        return tape.crew.calls(partial(weights.gradients, *given)), first


@kernel
def _step(x, w, b, y):
    """x (B, I) in, w (I, O) in, b (O,) in, y (B, O) out."""
    nothing, m, wide, numbers = np.int64(0), len(x), b.size, flat(y)
    put_rows(b, m, numbers, nothing)
    add_products(m, (x, nothing, x.shape[1]), w, nothing, wide, (numbers, nothing, wide))
