"""The LSTM whose gates see the cell, unit by unit: its step costs a few products of vectors more.

    i, f = sigmoid([x_t Wx + b] + h_{t-1} Wh + p c_{t-1})
    c_t = f c_{t-1} + i tanh([x_t Wx + b] + h_{t-1} Wh)
    o = sigmoid([x_t Wx + b] + h_{t-1} Wh + p c_t)
    h_t = o tanh(c_t)

So o comes after the cell, and the error at c_t has three parts more: through i and f of the next
step, and through o of this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.arithmetic import fma, total
from ..kernels.calls import Call
from ..kernels.compile import kernel
from ..kernels.crew import Member
from ..kernels.delta import gather
from ..kernels.exponential import sigmoid, tanh
from ..kernels.product import back_product, product, whole_rows, zero_start
from ..kernels.target import empty, padded, zeros
from ..kernels.vector import flat, lanes, load, splat, store
from .lstm_plain import add_products
from .recurrent import RecurrentWeights
from .tape import Room, Span
from .weights import PackedWeights

__all__ = ["gradients", "make_arrays", "make_weights", "packing", "run", "run_back"]


class _Weights(NamedTuple):
    """Wx with b; Wh; p (3, Hp)."""

    wx: PackedWeights
    wh: PackedWeights
    p: NDArray


class _Arrays(NamedTuple):
    """z : in, out, (K, B, 4·Hp) interleaved; x_t Wx + b, and after step t the gates i f g o.
    h, c : in, out, (K+1, B, Hp).
    dz : out, like z, error of the gates' arguments; may be z.
    dp : out, (K, 3, Hp), what each step adds to the gradient of p.
    dh : scratch, (B, Hp), δ_t.
    dc : in, out, (B, Hp), error of the cell: in, from beyond the last step; out, of the first.
    back : in, (K, B), weight of what comes back to each step.
    zero : in, (Hp,).
    norms, slopes : out, (1, K, B) and (1, K, 4) float64: ‖δ_t‖ and as in `Tape`.
    """

    z: NDArray
    h: NDArray
    c: NDArray
    dz: NDArray
    dp: NDArray
    dh: NDArray
    dc: NDArray
    back: NDArray
    zero: NDArray
    norms: NDArray
    slopes: NDArray


def make_weights(packed: RecurrentWeights) -> _Weights:
    """As `Layer.weights`, from room for Wx with b, and Wh."""
    bias = packed.wh.bias
    return _Weights(*packed, zeros((3, len(bias) // 4), bias.dtype))


def packing(params: Mapping[str, NDArray], weights: _Weights) -> list[Call]:
    """As `Layer.packing`."""
    p = params["p"]
    return [
        *weights.wx.packing(params["Wx"], params["b"]),
        *weights.wh.packing(params["Wh"]),
        partial(np.copyto, weights.p[:, : p.shape[1]], p),
    ]


def make_arrays(n: int, room: Room) -> _Arrays:
    """The arrays of a tape, of which z goes with the steps."""
    rows, lane_count, dtype = room.rows, room.lanes, room.dtype
    width = padded(n, dtype)
    z = empty((rows, lane_count, 4 * width), dtype)
    h, c = (zeros((rows + 1, lane_count, width), dtype) for _ in range(2))
    return _Arrays(
        z=z,
        h=h,
        c=c,
        dz=z,
        dp=empty((rows, 3, width), dtype),
        dh=zeros((lane_count, width), dtype),
        dc=zeros((lane_count, width), dtype),
        back=room.back,
        zero=zeros((width,), dtype),
        norms=np.zeros((1, rows, lane_count)),
        slopes=np.zeros((1, rows, 4)),
    )


def run(
    arrays: _Arrays, weights: _Weights, n: int, first: int, last: int, member: Member
) -> list[Call]:
    """As `Recurrent._run`."""
    wh, states = weights.wh, (arrays.z, arrays.h, arrays.c)
    return [wh.calls.bind(_forward, *states, weights.p, wh.packed, first, last)]


def run_back(
    arrays: _Arrays, weights: _Weights, n: int, dy: NDArray, steps: Span, member: Member
) -> list[Call]:
    """As `Recurrent._run_back`."""
    wh, span, part = weights.wh, tuple(steps), weights.wh.part(member)
    return [wh.calls.bind(_backward, tuple(arrays), weights.p, wh.transposed, dy, span, part)]


def gradients(arrays: _Arrays, steps: Span, grads: Mapping[str, NDArray]) -> None:
    """The gradient of p; `Recurrent` has those of Wx, Wh and b."""
    grad = grads["p"]
    grad[...] = arrays.dp[steps.first : steps.last, :, : grad.shape[1]].sum(
        axis=0, dtype=np.float64
    )


@kernel
def _cells(z, h, c, p, t, unit):
    """The cell's equations at step t, for a vector of units from ``unit`` on, while z is near."""
    count, width = h.shape[1], h.shape[2]
    size = lanes(h)
    p_i, p_f, p_o = load(p, unit), load(p, width + unit), load(p, 2 * width + unit)
    for row in range(t * count, (t + 1) * count):
        at, before = row * 4 * width + 4 * unit, row * width + unit
        after = before + count * width
        old = load(c, before)
        i, f = sigmoid(load(z, at) + p_i * old), sigmoid(load(z, at + size) + p_f * old)
        g = tanh(load(z, at + 2 * size))
        cell = fma(f, old, i * g)
        o = sigmoid(load(z, at + 3 * size) + p_o * cell)
        store(c, after, cell)
        store(h, after, o * tanh(cell))
        store(z, at, i)
        store(z, at + size, f)
        store(z, at + 2 * size, g)
        store(z, at + 3 * size, o)


@kernel
def _forward(z, h, c, p, wh, first, last):
    """Arrays as in `_Arrays`; p (3, Hp) in; wh packed (H, 4·Hp)."""
    count, width = h.shape[1], h.shape[2]
    numbers = flat(z)
    for t in range(first, last):
        if count == 1:
            before, at = (h, t * width, width), t * 4 * width
            start, out = (numbers, at, 4 * width), (z, at, 4 * width)
            # To Numba `count` is a literal in here, for which it would compile `product` once more.
            product(h.shape[1], before, wh, start, out, t)
        for unit in range(0, width, lanes(h)):
            if count > 1:
                add_products(z, h, wh, t, unit)
            _cells(z, h, c, p, t, unit)


@kernel
def _add(to, at, value):
    """Add the vector ``value`` to those at flat index ``at``."""
    store(to, at, load(to, at) + value)


@kernel
def _backward_cell(arrays, p, t):
    """Errors of step t: dh and dc at t to dz at t and dc at t-1; and the step's part of dp."""
    z, c, dz, dp, dh, dc = arrays.z, arrays.c, arrays.dz, arrays.dp, arrays.dh, arrays.dc
    count, width = dh.shape
    size = lanes(dh)
    slopes_i = slopes_f = slopes_g = slopes_o = zero = splat(dh, 0.0)
    of_p = t * 3 * width
    for j in range(of_p, of_p + 3 * width, size):
        store(dp, j, zero)
    for b in range(count):
        weight = splat(dh, arrays.back[t, b])
        for unit in range(0, width, size):
            at = (t * count + b) * 4 * width + 4 * unit
            state = b * width + unit
            before = t * count * width + state
            i, f = load(z, at), load(z, at + size)
            g, o = load(z, at + 2 * size), load(z, at + 3 * size)
            old, new = load(c, before), load(c, before + count * width)
            squashed = tanh(new)
            delta = load(dh, state)
            slope_i, slope_f = i * (1.0 - i), f * (1.0 - f)
            slope_g, slope_o = 1.0 - g * g, o * (1.0 - o)
            error_o = delta * squashed * slope_o
            cell = load(dc, state) * weight + delta * o * (1.0 - squashed * squashed)
            cell = cell + error_o * load(p, 2 * width + unit)
            error_i, error_f = cell * g * slope_i, cell * old * slope_f
            store(dz, at, error_i)
            store(dz, at + size, error_f)
            store(dz, at + 2 * size, cell * i * slope_g)
            store(dz, at + 3 * size, error_o)
            through = error_i * load(p, unit) + error_f * load(p, width + unit)
            store(dc, state, cell * f + through)
            _add(dp, of_p + unit, error_i * old)
            _add(dp, of_p + width + unit, error_f * old)
            _add(dp, of_p + 2 * width + unit, error_o * new)
            slopes_i, slopes_f = slopes_i + slope_i, slopes_f + slope_f
            slopes_g, slopes_o = slopes_g + slope_g, slopes_o + slope_o
    arrays.slopes[0, t, 0], arrays.slopes[0, t, 1] = total(slopes_i), total(slopes_f)
    arrays.slopes[0, t, 2], arrays.slopes[0, t, 3] = total(slopes_g), total(slopes_o)


@kernel
def _backward(values, p, wh_transposed, dy, span, part):
    """δ down from step ``steps.last`` - 1; wh_transposed packed (4·Hp, H), dy (K, B, Hp) in.

    values, span : `_Arrays` and a `Span` as plain tuples; p (3, Hp) in; part as in `crew`.
    """
    arrays, steps = _Arrays(*values), Span(*span)
    dz, dh = arrays.dz, arrays.dh
    count, width = dh.shape
    start, out = zero_start(arrays.zero), whole_rows(dh)
    for t in range(steps.last - 1, steps.first - 1, -1):
        if t < steps.last - 1:
            after = (dz, (t + 1) * count * 4 * width, 4 * width)
            back_product(count, after, wh_transposed, start, out, t)
        gather(dh, arrays.back, dy, t, steps, arrays.norms, part)
        _backward_cell(arrays, p, t)
