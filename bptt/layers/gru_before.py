"""Gated recurrent units whose reset gate comes before the product: two products at every step.

r, z = sigmoid(x_t Wx + h_{t-1} Wh + b)       (B, 2H)
n = tanh(x_t Wxn + bn + (r h_{t-1}) Whn)
h_t = (1 - z) n + z h_{t-1}
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.arithmetic import total
from ..kernels.calls import Call, perform
from ..kernels.compile import kernel
from ..kernels.crew import Member
from ..kernels.delta import gather
from ..kernels.exponential import sigmoid, tanh
from ..kernels.product import back_product, product, whole_rows, whole_start, zero_start
from ..kernels.target import empty, padded, zeros
from ..kernels.vector import lanes, load, splat, store
from .tape import Room, Span, Tape
from .weights import PackedWeights, Scratch

__all__ = ["gradients", "make_arrays", "make_weights", "packing", "packing_back", "run", "run_back",
           "state_errors"]  # fmt: skip


class _Weights(NamedTuple):
    """Wx with b; of Wh the columns of r and z, and those of n."""

    wx: PackedWeights
    wh: PackedWeights
    whn: PackedWeights


class _Arrays(NamedTuple):
    """z : in, out, (K, B, 3·Hp) interleaved; x_t Wx + b, and after step t the gates r z n.
    rh : out, in, (K, B, Hp), r h_{t-1}.
    h : in, out, (K+1, B, Hp).
    dz : out, like z, error of x_t Wx + b; may be z.
    gates : scratch, (1, B, 2·Hp) interleaved, h_{t-1} Wh of r and z.
    dgates : out, (K, B, 2·Hp) interleaved, error of the arguments of r and z.
    dn : out, (K, B, Hp), error of the argument of n.
    drh : scratch, (B, Hp), error of r h_{t-1}.
    direct : scratch, (B, Hp), error of h_{t-1} but for what comes through r and z; after the last
        loop back, that of its first step.
    dh : scratch, (B, Hp), δ_t.
    back : in, (K, B), weight of what comes back to each step.
    zero : in, (2·Hp,).
    norms, slopes : out, (1, K, B) and (1, K, 3) float64: ‖δ_t‖ and as in `Tape`.
    """

    z: NDArray
    rh: NDArray
    h: NDArray
    dz: NDArray
    gates: NDArray
    dgates: NDArray
    dn: NDArray
    drh: NDArray
    direct: NDArray
    dh: NDArray
    back: NDArray
    zero: NDArray
    norms: NDArray
    slopes: NDArray


def make_weights(n_in: int, n: int, dtype: DTypeLike) -> _Weights:
    """As `Layer.weights`."""
    return _Weights(
        PackedWeights(n_in, n, 3, dtype, width=3),
        PackedWeights(n, n, 2, dtype),
        PackedWeights(n, n, 1, dtype),
    )


def _halves(wh: NDArray) -> tuple[NDArray, NDArray]:
    """The columns of r and z, and those of n."""
    columns = 2 * len(wh)
    return wh[:, :columns], wh[:, columns:]


def packing(params: Mapping[str, NDArray], weights: _Weights) -> list[Call]:
    """As `Layer.packing`, for the parameters at h_{t-1}."""
    gates, n = _halves(params["Wh"])
    return weights.wh.packing(gates) + weights.whn.packing(n)


def packing_back(params: Mapping[str, NDArray], weights: _Weights) -> list[Call]:
    """As `Layer.packing_back`, for the parameters at h_{t-1}."""
    gates, n = _halves(params["Wh"])
    return weights.wh.packing_transposed(gates) + weights.whn.packing_transposed(n)


def make_arrays(n: int, room: Room) -> _Arrays:
    """The arrays of a tape, of which the first two are its gates."""
    rows, lane_count, dtype = room.rows, room.lanes, room.dtype
    width = padded(n, dtype)
    z = empty((rows, lane_count, 3 * width), dtype)
    return _Arrays(
        z=z,
        rh=empty((rows, lane_count, width), dtype),
        h=zeros((rows + 1, lane_count, width), dtype),
        dz=z,
        gates=empty((1, lane_count, 2 * width), dtype),
        dgates=empty((rows, lane_count, 2 * width), dtype),
        dn=empty((rows, lane_count, width), dtype),
        drh=empty((lane_count, width), dtype),
        direct=empty((lane_count, width), dtype),
        dh=zeros((lane_count, width), dtype),
        back=room.back,
        zero=zeros((2 * width,), dtype),
        norms=np.zeros((1, rows, lane_count)),
        slopes=np.zeros((1, rows, 3)),
    )


def run(arrays: _Arrays, weights: _Weights, first: int, last: int, member: Member) -> list[Call]:
    """As `Recurrent._run`."""
    wh, whn = weights.wh, weights.whn
    return [wh.calls.bind(_forward, tuple(arrays), wh.packed, whn.packed, first, last)]


def run_back(
    arrays: _Arrays, weights: _Weights, dy: NDArray, steps: Span, member: Member
) -> list[Call]:
    """As `Recurrent._run_back`."""
    wh, whn = weights.wh, weights.whn
    both, span, part = (wh.transposed, whn.transposed), tuple(steps), wh.part(member)
    return [wh.calls.bind(_backward, tuple(arrays), *both, dy, span, part)]


def gradients(
    weights: _Weights,
    tape: Tape,
    arrays: _Arrays,
    steps: Span,
    dx: NDArray | None,
    grads: Mapping[str, NDArray],
    scratch: Scratch,
    member: Member,
) -> list[Call]:
    """As `Recurrent._gradients`."""
    first, last, out = steps.first, steps.last, (grads["Wx"], grads["Wh"][:0], grads["b"])
    calls = weights.wx.gradients(scratch, first, last, tape.x, arrays.h, arrays.dz, out, dx)
    return [*calls, partial(_state_gradients, weights, arrays, steps, grads, scratch)]


def _state_gradients(
    weights: _Weights,
    arrays: _Arrays,
    steps: Span,
    grads: Mapping[str, NDArray],
    scratch: Scratch,
) -> None:
    at, dwh = 0, grads["Wh"]
    for packed, a, g in (
        (weights.wh, arrays.h, arrays.dgates),
        (weights.whn, arrays.rh, arrays.dn),
    ):
        part = np.empty((len(dwh), packed.gates * len(dwh)), dwh.dtype)
        out = (part, part[:0], np.empty_like(part[0]))
        perform(packed.gradients(scratch, steps.first, steps.last, a, a, g, out, None))
        dwh[:, at : at + part.shape[1]] = part
        at += part.shape[1]


def state_errors(weights: _Weights, tape: Tape, first: int) -> None:
    """As `Layer.state_errors`."""
    weights.wh.back_step(tape.used.dgates, first, tape.errors["h"])
    tape.errors["h"] += tape.arrays.direct


@kernel
def _reset(arrays, t):
    """The gates r and z of step t, and r h_{t-1}."""
    z, h, gates = arrays.z, arrays.h, arrays.gates
    count, width = h.shape[1], h.shape[2]
    size = lanes(h)
    for j in range(0, count * width, size):
        before = t * count * width + j
        at = 3 * before
        r = sigmoid(load(z, at) + load(gates, 2 * j))
        store(z, at, r)
        store(z, at + size, sigmoid(load(z, at + size) + load(gates, 2 * j + size)))
        store(arrays.rh, before, r * load(h, before))


@kernel
def _renew(z, h, t):
    """n and h of step t; h_t holds (r h_{t-1}) Whn."""
    count, width = h.shape[1], h.shape[2]
    size = lanes(h)
    for before in range(t * count * width, (t + 1) * count * width, size):
        after, at = before + count * width, 3 * before
        n = tanh(load(z, at + 2 * size) + load(h, after))
        store(h, after, n + load(z, at + size) * (load(h, before) - n))
        store(z, at + 2 * size, n)


@kernel
def _forward(values, wh, whn, first, last):
    """values : `_Arrays` as a plain tuple; wh and whn packed, (H, 2·Hp) and (H, Hp)."""
    arrays, nothing = _Arrays(*values), np.int64(0)
    h, zero = arrays.h, (arrays.zero, nothing, nothing)
    count, width = h.shape[1], h.shape[2]
    for t in range(first, last):
        row = t * count * width
        gates, after = (arrays.gates, nothing, 2 * width), (h, row + count * width, width)
        product(count, (h, row, width), wh, zero, gates, t)
        _reset(arrays, t)
        product(count, (arrays.rh, row, width), whn, zero, after, t)
        _renew(arrays.z, h, t)


@kernel
def _backward_n(arrays, t):
    """Errors of step t: from dh to n and z, and to h_{t-1} through z h_{t-1}."""
    z, h, dz, dh = arrays.z, arrays.h, arrays.dz, arrays.dh
    count, width = dh.shape
    size = lanes(dh)
    slopes_u = slopes_n = splat(dh, 0.0)
    for state in range(0, count * width, size):
        before = t * count * width + state
        at = 3 * before
        u, n, delta = load(z, at + size), load(z, at + 2 * size), load(dh, state)
        slope_u, slope_n = u * (1.0 - u), 1.0 - n * n
        error_u = delta * (load(h, before) - n) * slope_u
        error_n = delta * (1.0 - u) * slope_n
        store(dz, at + size, error_u)
        store(dz, at + 2 * size, error_n)
        store(arrays.dgates, 2 * before + size, error_u)
        store(arrays.dn, before, error_n)
        store(arrays.direct, state, delta * u)
        slopes_u, slopes_n = slopes_u + slope_u, slopes_n + slope_n
    arrays.slopes[0, t, 1], arrays.slopes[0, t, 2] = total(slopes_u), total(slopes_n)


@kernel
def _backward_r(arrays, t):
    """Errors of step t: from drh to r, and to h_{t-1} through r h_{t-1}."""
    z, dz, drh, direct = arrays.z, arrays.dz, arrays.drh, arrays.direct
    count, width = drh.shape
    size = lanes(drh)
    slopes_r = splat(drh, 0.0)
    for state in range(0, count * width, size):
        before = t * count * width + state
        r, delta = load(z, 3 * before), load(drh, state)
        slope_r = r * (1.0 - r)
        error_r = delta * load(arrays.h, before) * slope_r
        store(dz, 3 * before, error_r)
        store(arrays.dgates, 2 * before, error_r)
        store(direct, state, load(direct, state) + delta * r)
        slopes_r = slopes_r + slope_r
    arrays.slopes[0, t, 0] = total(slopes_r)


@kernel
def _backward(values, wh_transposed, whn_transposed, dy, span, part):
    """δ down from step ``steps.last`` - 1; dy (K, B, Hp) in.

    values, span : `_Arrays` and a `Span` as plain tuples.
    wh_transposed, whn_transposed : packed, (2·Hp, H) and (Hp, H).
    part : as in `crew`.
    """
    arrays, steps = _Arrays(*values), Span(*span)
    dh, dgates, dn = arrays.dh, arrays.dgates, arrays.dn
    count, width = dh.shape
    start, out = whole_start(arrays.direct), whole_rows(dh)
    start_n, out_n = zero_start(arrays.zero), whole_rows(arrays.drh)
    for t in range(steps.last - 1, steps.first - 1, -1):
        row = t * count * width
        if t < steps.last - 1:
            after = (dgates, 2 * (row + count * width), 2 * width)
            back_product(count, after, wh_transposed, start, out, t)
        gather(dh, arrays.back, dy, t, steps, arrays.norms, part)
        _backward_n(arrays, t)
        back_product(count, (dn, row, width), whn_transposed, start_n, out_n, t)
        _backward_r(arrays, t)
