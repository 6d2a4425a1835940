"""The LSTM without options: a step is one pass, a vector of units at a time.

[i f g o] = [x_t Wx + b] + h_{t-1} Wh,   then sigmoid of i, f, o and tanh of g
c_t = f c_{t-1} + i g
h_t = o tanh(c_t)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.arithmetic import fma, maximum, total
from ..kernels.calls import Call
from ..kernels.compile import kernel, piece
from ..kernels.crew import Member, meet
from ..kernels.delta import gather
from ..kernels.exponential import sigmoid, tanh
from ..kernels.product import part_back_product, row_product, whole_rows, zero_start
from ..kernels.target import FAR, empty, padded, zeros
from ..kernels.tile import half_tile, tile, tile_height
from ..kernels.vector import ask_row, flat, lanes, load, splat, store
from .recurrent import RecurrentWeights
from .tape import Room, Span

__all__ = ["LEAST", "add_products", "backward_cell", "make_arrays", "make_weights", "packing",
           "run", "run_back"]  # fmt: skip


LEAST = 1e-18
"""What an output gate counts for at least where h is divided by it, so that the square of that is
finite in float32. A gate below it lets nothing through that could be seen."""


class _Arrays(NamedTuple):
    """z : in, out, (K, B, 4·Hp) interleaved; x_t Wx + b, and after step t the gates i f g o.
    h, c : in, out, (K+1, B, Hp).
    dz : out, like z, error of the gates' arguments; may be z.
    dh : scratch, (B, Hp), δ_t.
    dc : in, out, (B, Hp), error of the cell: in, from beyond the last step; out, of the first.
    back : in, (K, B), weight of what comes back to each step.
    zero : in, (Hp,).
    norms, slopes : out, (members, K, B) and (members, K, 4) float64: ‖δ_t‖ and as in `Tape`, of
        each member's units.
    """

    z: NDArray
    h: NDArray
    c: NDArray
    dz: NDArray
    dh: NDArray
    dc: NDArray
    back: NDArray
    zero: NDArray
    norms: NDArray
    slopes: NDArray


def make_weights(packed: RecurrentWeights) -> RecurrentWeights:
    """As `Layer.weights`, from room for Wx with b, and Wh: there is nothing else."""
    return packed


def packing(params: Mapping[str, NDArray], weights: RecurrentWeights) -> list[Call]:
    """As `Layer.packing`."""
    return weights.wx.packing(params["Wx"], params["b"]) + weights.wh.packing(params["Wh"])


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
        dh=zeros((lane_count, width), dtype),
        dc=zeros((lane_count, width), dtype),
        back=room.back,
        zero=zeros((width,), dtype),
        norms=np.zeros((room.crew.size, rows, lane_count)),
        slopes=np.zeros((room.crew.size, rows, 4)),
    )


def run(
    arrays: _Arrays, weights: RecurrentWeights, n: int, first: int, last: int,
    member: Member,
) -> list[Call]:  # fmt: skip
    """As `Recurrent._run`."""
    wh, states = weights.wh, (arrays.z, arrays.h, arrays.c)
    return [wh.calls.bind(_forward, *states, wh.packed, first, last, wh.part(member))]


def run_back(
    arrays: _Arrays, weights: RecurrentWeights, n: int, dy: NDArray, steps: Span,
    member: Member,
) -> list[Call]:  # fmt: skip
    """As `Recurrent._run_back`."""
    wh, span = weights.wh, tuple(steps)
    return [wh.calls.bind(_backward, tuple(arrays), wh.transposed, dy, span, wh.part(member))]


@piece
def add_products(z, h, wh, t, unit):
    """Add h_{t-1} Wh to z_t, for the gates of a vector of units from ``unit`` on; wh packed."""
    panels, n, panel = wh[0], wh[1][0], 4 * lanes(h)
    count, width = h.shape[1], h.shape[2]
    half = n - unit <= lanes(h) // 2
    b = 0
    while b < count:
        height = tile_height(count - b)
        row = t * count + b
        here = (z, row * 4 * width + 4 * unit, 4 * width, 0)
        before, weights = (h, row * width, width, 1), (panels, 4 * unit * n, 0, panel)
        if half:
            half_tile(height, 4, n, before, weights, here, here)
        else:
            tile(height, 4, n, before, weights, here, here)
        b += height


@kernel
def _cells(z, h, c, at, state, number, step):
    """The cell's equations for ``number`` vectors of units, while their z is near.

    at, state : where the first begins in z, and in h and c of the step before.
    step : from one to the next in h and c; in z it is four times that.
    """
    size, later = lanes(h), h.shape[1] * h.shape[2]
    for k in range(number):
        gates, before = at + 4 * step * k, state + step * k
        i, f = sigmoid(load(z, gates)), sigmoid(load(z, gates + size))
        g, o = tanh(load(z, gates + 2 * size)), sigmoid(load(z, gates + 3 * size))
        store(c, before + later, fma(f, load(c, before), i * g))
        store(z, gates, i)
        store(z, gates + size, f)
        store(z, gates + 2 * size, g)
        store(z, gates + 3 * size, o)
    # In a loop of its own the chain is short, and the CPU works on several at a time.
    for k in range(number):
        gates, after = at + 4 * step * k, state + step * k + later
        store(h, after, load(z, gates + 3 * size) * tanh(load(c, after)))
        ask_row(z, gates + 4 * later, 4 * size)


@kernel
def _forward(z, h, c, wh, first, last, part):
    """Arrays as in `_Arrays`; wh packed (H, 4·Hp); part as in `crew`."""
    count, width, size = h.shape[1], h.shape[2], lanes(h)
    numbers = flat(z)
    number, members, told, begin, stop, _, _ = part
    for t in range(first, last):
        at, state = t * count * 4 * width, t * count * width
        if count == 1:
            before, start, out = (h, state, width), (numbers, at, 4 * width), (z, at, 4 * width)
            row_product(before, wh, start, out, t, begin, stop)
            unit = begin * size
            _cells(z, h, c, at + 4 * unit, state + unit, stop - begin, size)
        else:
            for unit in range(begin * size, stop * size, size):
                add_products(z, h, wh, t, unit)
                _cells(z, h, c, at + 4 * unit, state + unit, count, width)
        meet(number, members, told)


@piece
def backward_cell(arrays, t, number, first, end):
    """Errors of step t, for units ``first`` to ``end``: dh and dc at t to dz at t and dc at t-1.

    Of a long tape, a quarter of `FAR` with others beside it in the caches, it asks for what step
    t-1 needs, so that it is near when its turn comes.

    number : of the member whose units these are.
    """
    z, h, c, dz, dh, dc = arrays.z, arrays.h, arrays.c, arrays.dz, arrays.dh, arrays.dc
    count, width = dh.shape
    size = lanes(dh)
    slopes_i = slopes_f = slopes_g = slopes_o = splat(dh, 0.0)
    least, far = splat(dh, LEAST), z.size > FAR // 4
    for b in range(count):
        weight = splat(dh, arrays.back[t, b])
        if far:
            row = (t - 1) * count + b
            ask_row(z, row * 4 * width, 4 * width)
            ask_row(h, (row + count) * width, width)
            ask_row(c, row * width, width)
        for unit in range(first, end, size):
            at = (t * count + b) * 4 * width + 4 * unit
            state = b * width + unit
            before = t * count * width + state
            i, f = load(z, at), load(z, at + size)
            g, o = load(z, at + 2 * size), load(z, at + 3 * size)
            # tanh(c), quicker than anew. A sigmoid is never zero, but what a file filled in may be.
            squashed = load(h, before + count * width) / maximum(o, least)
            delta = load(dh, state)
            cell = load(dc, state) * weight + delta * o * (1.0 - squashed * squashed)
            slope_i, slope_f = i * (1.0 - i), f * (1.0 - f)
            slope_g, slope_o = 1.0 - g * g, o * (1.0 - o)
            store(dz, at, cell * g * slope_i)
            store(dz, at + size, cell * load(c, before) * slope_f)
            store(dz, at + 2 * size, cell * i * slope_g)
            store(dz, at + 3 * size, delta * squashed * slope_o)
            store(dc, state, cell * f)
            slopes_i, slopes_f = slopes_i + slope_i, slopes_f + slope_f
            slopes_g, slopes_o = slopes_g + slope_g, slopes_o + slope_o
    slopes = arrays.slopes
    slopes[number, t, 0], slopes[number, t, 1] = total(slopes_i), total(slopes_f)
    slopes[number, t, 2], slopes[number, t, 3] = total(slopes_g), total(slopes_o)


@kernel
def _backward(values, wh_transposed, dy, span, part):
    """δ down from step ``steps.last`` - 1; wh_transposed packed (4·Hp, H), dy (K, B, Hp) in.

    values, span : `_Arrays` and a `Span` as plain tuples.
    part : as in `crew`.
    """
    arrays, steps = _Arrays(*values), Span(*span)
    dz, dh = arrays.dz, arrays.dh
    count, width = dh.shape
    number, members, told, first, end, begin, stop = part
    first, end = first * lanes(dh), end * lanes(dh)
    start, out = zero_start(arrays.zero), whole_rows(dh)
    for t in range(steps.last - 1, steps.first - 1, -1):
        if t < steps.last - 1:
            after = (dz, (t + 1) * count * 4 * width, 4 * width)
            part_back_product(count, after, wh_transposed, start, out, t, begin, stop)
        gather(dh, arrays.back, dy, t, steps, arrays.norms, part)
        backward_cell(arrays, t, number, first, end)
        meet(number, members, told)
