"""Batch normalisation over lanes and time, between layers (Ioffe & Szegedy 2015)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..checks import check_bound, check_share
from ..kernels.calls import Call
from ..kernels.compile import kernel
from ..kernels.target import padded, zeros
from .marks import Marked
from .moments import Moments
from .parameterless import Parameterless
from .tape import Room, Span, Tape
from .weights import Scratch

__all__ = ["BatchNorm"]


@dataclass(frozen=True)
class BatchNorm(Parameterless):
    """Mean and variance of each feature over an update's new steps become β's and γ's.

    ::

        y_t = γ (x_t - mean) / √(var + eps) + β

    In training, mean and var (the mean square, biased) are over the new steps of the update and the
    lanes of the worker, steps that are skipped left out. After the update the running ones,
    which are used outside training, go on by ``momentum`` towards those of all lanes of all
    workers. An older step that a window reaches back into (k1 < k2) keeps the statistics of the
    update in which it was new, as constants. (Ioffe & Szegedy 2015; between recurrent layers:
    Laurent et al. 2016; over shards: Hoffer, Hubara & Soudry 2017. PyTorch's ``nn.BatchNorm1d`` on
    (T·B, n), whose weight and bias are γ and β.)

    Parameters
    ----------
    n : features.
    momentum : how far the running statistics go towards the new ones, in (0, 1].
    eps : added to the variance. Over one single step and lane the variance is 0, and y is β.

    Parameters in the model: ``gamma`` (n,), one, and ``beta`` (n,), zero.  Buffers:
    ``running_mean`` (n,), zero, and ``running_var`` (n,), unbiased, one.

    Raises
    ------
    ValueError : if ``n`` is not a positive integer, ``momentum`` not in (0, 1], or ``eps`` not a
        positive number.
    """

    momentum: float = 0.1
    eps: float = 1e-5
    trains: ClassVar[bool] = True
    at_once: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("momentum", self.momentum)
        check_bound("eps", self.eps)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"gamma": (self.n,), "beta": (self.n,)}

    def buffers(self) -> dict[str, tuple[int, ...]]:
        return {"running_mean": (self.n,), "running_var": (self.n,)}

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        params["gamma"][...] = params["running_var"][...] = 1

    def weights(self, dtype: DTypeLike) -> _Weights:
        return _Weights(*zeros((2, self.n), dtype), *np.zeros((2, self.n)))

    def packing(self, params: Mapping[str, NDArray], weights: _Weights) -> list[Call]:
        return [partial(self._pack, params, weights)]

    def _pack(self, params: Mapping[str, NDArray], weights: _Weights) -> None:
        weights.gamma[...], weights.beta[...] = params["gamma"], params["beta"]
        weights.mean[...], weights.factor[...] = params["running_mean"], self._factor(params)

    def _factor(self, params: Mapping[str, NDArray]) -> NDArray:
        return 1 / np.sqrt(params["running_var"] + np.float64(self.eps))

    def tape(self, x: NDArray, room: Room) -> Tape:
        shape = room.rows, room.lanes, padded(self.n, room.dtype)
        arrays = _Arrays(*(zeros(shape, room.dtype) for _ in range(3)))
        gates = {"normed": (arrays.normed, 1), "factor": (arrays.factor, 1)}
        own = {"keys": room.keys, "skip": room.skip, "batch": Moments.none(self.n)}
        return _Tape(x, arrays.y, {}, arrays, gates, **own)

    def forward(self, weights: _Weights, tape: _Tape, first: int, last: int) -> None:
        mean, factor = weights.mean, weights.factor
        tape.new, tape.batch = first, Moments.none(self.n)
        if tape.keys.rows[first:last].any():
            tape.batch = Moments.of(tape.x, tape.skip.rows, self.n, first, last)
            mean, factor = tape.batch.mean, 1 / np.sqrt(tape.batch.var + self.eps)
        scale = weights.gamma, weights.beta
        _forward(tape.x, mean, factor, *scale, first, last, tuple(tape.arrays))

    def backward(
        self,
        weights: _Weights,
        tape: _Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> int:
        start, last, arrays = steps.errors_from, steps.last, tuple(tape.arrays)
        new = tape.new if tape.batch.count else last
        old_sums, new_sums = np.zeros((2, 2, self.n))
        _add_sums(arrays, dy, start, new, old_sums)
        _add_sums(arrays, dy, max(start, new), last, new_sums)
        grads["gamma"][...], grads["beta"][...] = old_sums + new_sums
        if dx is None:
            return min(start, new)
        shared = new_sums / max(1, tape.batch.count)
        gamma, skip = weights.gamma, tape.skip.rows
        _errors(arrays, gamma, dy, 0 * shared, skip, (start, start, new), dx)
        _errors(arrays, gamma, dy, shared, skip, (start, new, last), dx)
        return min(start, new)

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        normed = (x - params["running_mean"]) * self._factor(params)
        return (params["gamma"] * normed + params["beta"]).astype(x.dtype)

    def settle(self, buffers: Mapping[str, NDArray], tapes: Sequence[_Tape]) -> None:
        """Towards mean and unbiased variance over all lanes; one single step says nothing."""
        count, mean, var = Moments.pooled([tape.batch for tape in tapes])
        if count < 2:
            return
        unbiased = var * count / (count - 1)
        for name, new in (("running_mean", mean), ("running_var", unbiased)):
            buffers[name] += self.momentum * (new - buffers[name])


class _Weights(NamedTuple):
    """gamma, beta : (n,).
    mean, factor : (n,) float64, the running mean, and one over the running deviation.
    """

    gamma: NDArray
    beta: NDArray
    mean: NDArray
    factor: NDArray


class _Arrays(NamedTuple):
    """normed : out, (K, B, np), (x - mean) / √(var + eps).
    factor : out, (K, B, np), 1 / √(var + eps), the same in all lanes.
    y : out, (K, B, np).
    """

    normed: NDArray
    factor: NDArray
    y: NDArray


@dataclass(eq=False)
class _Tape(Tape):
    """keys : as in `Room`.
    new : the first of the newest steps.
    batch : the statistics of these steps, if those normalised them; else of nothing.
    """

    keys: Marked | None = None
    new: int = 0
    batch: Moments | None = None


@kernel
def _forward(x, mean, factor, gamma, beta, first, last, values):
    """x (K, B, n or wider) in; the rest (n,) in.

    values : `_Arrays` as a plain tuple.
    """
    arrays = _Arrays(*values)
    normed, factors, y = arrays.normed, arrays.factor, arrays.y
    for t in range(first, last):
        for b in range(y.shape[1]):
            for j in range(mean.size):
                normed[t, b, j] = (x[t, b, j] - mean[j]) * factor[j]
                factors[t, b, j] = factor[j]
                y[t, b, j] = gamma[j] * normed[t, b, j] + beta[j]


@kernel
def _add_sums(values, dy, first, last, sums):
    """Add the gradients of gamma and beta to sums (2, n) float64; dy (K, B, np) in."""
    normed = _Arrays(*values).normed
    for t in range(first, last):
        for b in range(dy.shape[1]):
            for j in range(sums.shape[1]):
                sums[0, j] += dy[t, b, j] * normed[t, b, j]
                sums[1, j] += dy[t, b, j]


@kernel
def _errors(values, gamma, dy, shared, skip, steps, dx):
    """dx (K, B, np) out.

    values : `_Arrays` as a plain tuple.
    gamma : in, (n,).
    dy : in, (K, B, np), read from the first of ``steps`` on.
    shared : in, (2, n) float64, what goes back through the statistics.
    skip : in, (K, B), whose x did not count in them.
    steps : from which errors come, and the first and the last to write.
    """
    arrays = _Arrays(*values)
    normed, factor = arrays.normed, arrays.factor
    errors_from, first, last = steps
    for t in range(first, last):
        for b in range(skip.shape[1]):
            counts = 0.0 if skip[t, b] else 1.0
            for j in range(gamma.size):
                error = np.float64(dy[t, b, j]) if t >= errors_from else 0.0
                back = shared[1, j] + normed[t, b, j] * shared[0, j]
                dx[t, b, j] = gamma[j] * factor[t, b, j] * (error - counts * back)
            dx[t, b, gamma.size :] = 0.0
