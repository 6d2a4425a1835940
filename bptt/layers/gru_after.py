"""Gated recurrent units whose reset gate comes after the product: h_{t-1} Wh is one product.

    s = h_{t-1} Wh + [0 0 bh]                     (B, 3H), in which m is the part of n
    r, z = sigmoid([x_t Wx + b] + s)
    n = tanh([x_t Wx + b] + r m)
    h_t = (1 - z) n + z h_{t-1}

On the way back x_t Wx and s have the same error for r and z, but for n one is r times the other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.calls import Call
from ..kernels.crew import Member
from ..kernels.outer import accumulate_both, put_last
from ..kernels.target import empty, padded, zeros
from .gru_after_loops import Arrays, backward, forward
from .lookup import Lookup
from .recurrent import RecurrentWeights
from .tape import Room, Span, Tape
from .weights import PackedWeights, Scratch, own_steps

__all__ = ["gradients", "make_arrays", "make_weights", "packing", "packing_back", "run", "run_back",
           "state_errors"]  # fmt: skip

_GATES = np.int64(3)


def make_weights(n_in: int, n: int, dtype: DTypeLike) -> RecurrentWeights:
    """Room for Wx with b, and Wh with bh."""
    return RecurrentWeights(
        PackedWeights(n_in, n, int(_GATES), dtype, width=_GATES),
        PackedWeights(n, n, int(_GATES), dtype, width=_GATES),
    )


def packing(params: Mapping[str, NDArray], weights: RecurrentWeights) -> list[Call]:
    """As `Layer.packing`, for the parameters at h_{t-1}."""
    return weights.wh.packing(params["Wh"], params["bh"])


def packing_back(params: Mapping[str, NDArray], weights: RecurrentWeights) -> list[Call]:
    """As `Layer.packing_back`, for the parameters at h_{t-1}."""
    return weights.wh.packing_transposed(params["Wh"])


def make_arrays(n: int, room: Room) -> Arrays:
    """The arrays of a tape, of which the first two are its gates."""
    rows, lane_count, dtype = room.rows, room.lanes, room.dtype
    width = padded(n, dtype)
    z = empty((rows, lane_count, 3 * width), dtype)
    m = empty((rows, lane_count, width), dtype)
    return Arrays(
        z=z,
        m=m,
        h=zeros((rows + 1, lane_count, width), dtype),
        dz=z,
        dm=m,
        side=empty((1, lane_count, 3 * width), dtype),
        direct=empty((lane_count, width), dtype),
        dh=zeros((lane_count, width), dtype),
        back=room.back,
        norms=np.zeros((room.crew.size, rows, lane_count)),
        slopes=np.zeros((room.crew.size, rows, 3)),
    )


def run(
    arrays: Arrays, weights: RecurrentWeights, first: int, last: int, member: Member
) -> list[Call]:
    """As `Recurrent._run`."""
    wh = weights.wh
    states = arrays.z, arrays.m, arrays.h, arrays.side
    part = wh.part(member)
    return [wh.calls.bind(forward, *states, wh.packed, wh.bias, first, last, part)]


def run_back(
    arrays: Arrays, weights: RecurrentWeights, dy: NDArray, steps: Span, member: Member
) -> list[Call]:
    """As `Recurrent._run_back`."""
    wh, span = weights.wh, tuple(steps)
    return [wh.calls.bind(backward, tuple(arrays), wh.transposed, dy, span, wh.part(member))]


def gradients(
    weights: RecurrentWeights,
    tape: Tape,
    arrays: Arrays,
    steps: Span,
    dx: NDArray | None,
    grads: Mapping[str, NDArray],
    scratch: Scratch,
    member: Member,
) -> list[Call]:
    """As `Recurrent._gradients`; turns ``arrays.dz`` into the error of s, when nobody reads it as
    what it was."""
    (wx, wh), x, h, dz, dm = weights, tape.x, arrays.h, arrays.dz, arrays.dm
    given, none = (scratch, steps.first, steps.last), grads["Wh"][:0]
    outs = (grads["Wx"], none, grads["b"]), (grads["Wh"], none, grads["bh"])
    if isinstance(x, Lookup):
        rows = (steps.first * dm.shape[1], (steps.last - steps.first) * dm.shape[1])
        return [
            *wx.gradients(*given, x, h, dz, outs[0], dx, member),
            *wh.meeting(member),
            wh.calls.bind(put_last, dz, dm, *rows, wh.gates, *wh.part(member)[3:5]),
            *wh.gradients(*given, h, h, dz, outs[1], None, member),
        ]
    calls = []
    if dx is not None:
        calls.append(wx.error_products(dz, *own_steps(member, *given[1:]), dx))
    arrays_of_both = x, h, dz, dm
    sums = wx.outer(accumulate_both, arrays_of_both, given[1:], scratch, outs, member)
    return [*calls, *wh.meeting(member), sums]


def state_errors(weights: RecurrentWeights, tape: Tape, first: int) -> None:
    """As `Layer.state_errors`."""
    weights.wh.back_step(tape.arrays.side, 0, tape.errors["h"])
    tape.errors["h"] += tape.arrays.direct
