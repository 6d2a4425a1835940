"""The LSTM whose products and cell are normalised: a step needs whole rows, so it is three passes.

    x̂, ĥ = x_t Wx and h_{t-1} Wh of mean 0 and variance 1      over 4H, see `kernels.moments`
    [i f g o] = [gx x̂ + b] + gh ĥ,   then sigmoid of i, f, o and tanh of g
    c_t = f c_{t-1} + i g
    h_t = o tanh(gc ĉ + bc)                                     ĉ is c_t, over H

x̂ is parallel in time, and on the way back all but the error at ĥ and ĉ is: the loop leaves the
error of the gates' arguments, from which those of both products, of gains and of b follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.calls import Call, perform
from ..kernels.crew import Member
from ..kernels.packing import interleave
from ..kernels.target import empty, lanes_of, padded, zeros
from .lstm_norm_loops import Arrays, backward, forward, normalise, product_errors
from .recurrent import RecurrentWeights
from .runs import in_runs
from .tape import Room, Span, Tape
from .weights import PackedWeights, Scratch

__all__ = ["gradients", "kept", "make_arrays", "make_weights", "packing", "run", "run_back",
           "state_errors"]  # fmt: skip


class _Weights(NamedTuple):
    """Wx without b; Wh; and what `Arrays` calls ``gates`` and ``cell``."""

    wx: PackedWeights
    wh: PackedWeights
    gates: NDArray
    cell: NDArray


def make_weights(packed: RecurrentWeights) -> _Weights:
    """As `Layer.weights`, from room for Wx, and Wh."""
    n, bias = packed.wh.n_in, packed.wh.bias
    cell = zeros((3, len(bias) // 4), bias.dtype)
    cell[2, :n] = 1
    return _Weights(*packed, zeros((3, len(bias)), bias.dtype), cell)


def packing(params: Mapping[str, NDArray], weights: _Weights) -> list[Call]:
    """As `Layer.packing`."""
    return [
        *weights.wx.packing(params["Wx"]),
        *weights.wh.packing(params["Wh"]),
        partial(_pack, params, weights),
    ]


def _pack(params: Mapping[str, NDArray], weights: _Weights) -> None:
    """What is no matrix."""
    for name, to in zip(("gx", "gh", "b"), weights.gates, strict=True):
        interleave(params[name], weights.wh.gates, weights.wh.units, to)
    for name, to in zip(("gc", "bc"), weights.cell, strict=False):
        to[: len(params[name])] = params[name]


def make_arrays(n: int, room: Room) -> Arrays:
    """The arrays of a tape, of which `kept` and z go with the steps."""
    rows, lane_count, dtype = room.rows, room.lanes, room.dtype
    width = padded(n, dtype)
    z, xn, hn = (empty((rows, lane_count, 4 * width), dtype) for _ in range(3))
    h, c = (zeros((rows + 1, lane_count, width), dtype) for _ in range(2))
    return Arrays(
        z=z,
        xn=xn,
        hn=hn,
        h=h,
        c=c,
        scales=np.zeros((rows, lane_count, 4), dtype),
        dz=z,
        dxn=xn,
        dhn=hn,
        dcell=empty((rows, 2, width), dtype),
        side=empty((1, lane_count, 4 * width), dtype),
        dcn=empty((width,), dtype),
        dh=zeros((lane_count, width), dtype),
        dc=zeros((lane_count, width), dtype),
        back=room.back,
        zero=zeros((4 * width,), dtype),
        norms=np.zeros((1, rows, lane_count)),
        slopes=np.zeros((1, rows, 4)),
    )


def kept(arrays: Arrays) -> dict[str, tuple[NDArray, int]]:
    """What goes with the steps besides z, as in `Tape.gates`."""
    return {"xn": (arrays.xn, 4), "hn": (arrays.hn, 4), "scales": (arrays.scales, 0)}


def run(
    arrays: Arrays, weights: _Weights, n: int, first: int, last: int, member: Member
) -> list[Call]:
    """As `Recurrent._run`, but that z holds x_t Wx alone."""
    values, own, calls = tuple(arrays), (weights.gates, weights.cell), weights.wh.calls
    return [
        calls.bind(normalise, values, *own, n, first, last),
        calls.bind(forward, values, weights.wh.packed, *own, n, first, last),
    ]


def run_back(
    arrays: Arrays, weights: _Weights, n: int, dy: NDArray, steps: Span, member: Member
) -> list[Call]:
    """As `Recurrent._run_back`."""
    wh, own = weights.wh, (weights.gates, weights.cell)
    span, part = tuple(steps), wh.part(member)
    return [wh.calls.bind(backward, tuple(arrays), wh.transposed, *own, n, dy, span, part)]


def gradients(
    weights: _Weights,
    tape: Tape,
    arrays: Arrays,
    steps: Span,
    dx: NDArray | None,
    grads: Mapping[str, NDArray],
    scratch: Scratch,
) -> None:
    """What `Recurrent._gradients` lists; the errors of products go to ``arrays.dxn``, ``dhn``."""
    first, last = steps.first, steps.last
    n, h, none = weights.wh.n_in, tape.states["h"], grads["Wh"][:0]
    sums = empty(weights.gates.shape, weights.gates.dtype)

    def add_up(start: int, stop: int, out: NDArray) -> None:
        own = tuple(arrays), weights.gates, n, start, stop, out
        weights.wh.calls.bind(product_errors, *own)()

    in_runs(add_up, (first, last), h.shape[1], sums)
    for name, found in zip(("gx", "gh", "b"), sums, strict=True):
        grads[name][...] = _natural(found, n)
    of_cell = arrays.dcell[first:last, :, :n].sum(axis=0, dtype=np.float64)
    grads["gc"][...], grads["bc"][...] = of_cell
    out = (grads["Wx"], none, np.empty_like(grads["b"]))
    perform(weights.wx.gradients(scratch, first, last, tape.x, h, arrays.dxn, out, dx))
    out = (grads["Wh"], none, out[2])
    perform(weights.wh.gradients(scratch, first, last, h, h, arrays.dhn, out, None))


def state_errors(weights: _Weights, tape: Tape) -> None:
    """As `Layer.state_errors`."""
    weights.wh.back_step(tape.arrays.side, 0, tape.errors["h"])


def _natural(row: NDArray, n: int) -> NDArray:
    """(4H,), an interleaved row of gates as one gate after another."""
    vectors = row.reshape(-1, 4, lanes_of(row.dtype))
    return vectors.swapaxes(0, 1).reshape(4, -1)[:, :n].reshape(-1)
