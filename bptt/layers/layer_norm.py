"""Layer normalisation (Ba, Kiros & Hinton 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..checks import check_bound
from ..kernels.arithmetic import total
from ..kernels.calls import Call
from ..kernels.compile import kernel
from ..kernels.target import padded, zeros
from ..kernels.vector import lanes, load, splat
from .parameterless import Parameterless
from .tape import Room, Span, Tape
from .weights import Scratch

__all__ = ["LayerNorm"]


@dataclass(frozen=True)
class LayerNorm(Parameterless):
    """Mean and variance over the features of each step of each lane become β's and γ's.

    ::

        y_t = γ (x_t - mean(x_t)) / √(var(x_t) + eps) + β        var: the mean square, biased

    It looks at no other step or lane, and does the same in training and outside. (Ba, Kiros &
    Hinton 2016; PyTorch's ``nn.LayerNorm(n)``, whose weight and bias are γ and β.)

    Parameters
    ----------
    n : features.
    eps : added to the variance, so that features that are all equal become β.

    Parameters in the model: ``gamma`` (n,), one, and ``beta`` (n,), zero.

    Raises
    ------
    ValueError : if ``n`` is not a positive integer, or ``eps`` not a positive number.
    """

    eps: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bound("eps", self.eps)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"gamma": (self.n,), "beta": (self.n,)}

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        params["gamma"][...] = 1

    def weights(self, dtype: DTypeLike) -> _Weights:
        return _Weights(zeros((self.n,), dtype), zeros((self.n,), dtype))

    def packing(self, params: Mapping[str, NDArray], weights: _Weights) -> list[Call]:
        pairs = zip(weights, (params["gamma"], params["beta"]), strict=True)
        return [partial(np.copyto, *pair) for pair in pairs]

    def tape(self, x: NDArray, room: Room) -> Tape:
        shape = room.lanes, padded(self.n, room.dtype)
        rows = _Rows(*zeros((2, shape[1]), room.dtype))
        return Tape(x, zeros((room.rows, *shape), room.dtype), {}, rows)

    def forward(self, weights: _Weights, tape: Tape, first: int, last: int) -> None:
        row = tape.arrays.row
        _forward(tape.x, weights.gamma, weights.beta, self.eps, first, last, row, tape.y)

    def backward(
        self,
        weights: _Weights,
        tape: Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> int:
        sums, rows = np.zeros((2, self.n)), tuple(tape.arrays)
        dx = dy[:0] if dx is None else dx
        first, last = steps.errors_from, steps.last
        _backward(tape.x, weights.gamma, self.eps, first, last, rows, dy, sums, dx)
        grads["gamma"][...], grads["beta"][...] = sums
        return steps.errors_from

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        y, row = np.empty((1, *x.shape), x.dtype), zeros((padded(self.n, x.dtype),), x.dtype)
        _forward(x[np.newaxis], params["gamma"], params["beta"], self.eps, 0, 1, row, y)
        return y[0]


class _Weights(NamedTuple):
    """gamma, beta : (n,)."""

    gamma: NDArray
    beta: NDArray


class _Rows(NamedTuple):
    """row, error : scratch, (np,), zero in the padding."""

    row: NDArray
    error: NDArray


@kernel
def _dot(a, b):
    """The sum of a · b, two rows (np,) that are zero in the padding."""
    products = splat(a, 0.0)
    for j in range(0, a.size, lanes(a)):
        products = products + load(a, j) * load(b, j)
    return np.float64(total(products))


@kernel
def _normalised(x, t, b, n, eps, row):
    """x[t, b], normalised, to ``row`` (np,); what it was multiplied by."""
    mean = splat(row, 0.0)
    for j in range(n):
        row[j] = x[t, b, j]
    for j in range(0, row.size, lanes(row)):
        mean = mean + load(row, j)
    shift = row.dtype.type(np.float64(total(mean)) / n)
    for j in range(n):
        row[j] -= shift
    factor = row.dtype.type(1.0 / np.sqrt(_dot(row, row) / n + eps))
    for j in range(n):
        row[j] *= factor
    return factor


@kernel
def _forward(x, gamma, beta, eps, first, last, row, y):
    """x (K, B, n or wider) in; gamma, beta (n,) in; row (np,) scratch; y (K, B, n or wider) out."""
    n = gamma.size
    for t in range(first, last):
        for b in range(y.shape[1]):
            _normalised(x, t, b, n, eps, row)
            for j in range(n):
                y[t, b, j] = gamma[j] * row[j] + beta[j]


@kernel
def _backward(x, gamma, eps, first, last, rows, dy, sums, dx):
    """x, gamma as in `_forward`, dy (K, B, np) in; dx out, the same, or without rows.

    rows : `_Rows` as a plain tuple.
    sums : in, out, (2, n) float64, to which the gradients of gamma and beta are added.
    """
    row, error = rows
    n = gamma.size
    for t in range(first, last):
        for b in range(dy.shape[1]):
            factor = _normalised(x, t, b, n, eps, row)
            for j in range(n):
                error[j] = gamma[j] * dy[t, b, j]
                sums[0, j] += dy[t, b, j] * row[j]
                sums[1, j] += dy[t, b, j]
            if len(dx) == 0:
                continue
            mean = 0.0
            for j in range(n):
                mean += np.float64(error[j])
            shift, along = row.dtype.type(mean / n), row.dtype.type(_dot(error, row) / n)
            for j in range(n):
                dx[t, b, j] = factor * (error[j] - shift - along * row[j])
            dx[t, b, n:] = 0.0
