"""The loops over time of an `LSTM` in a `Zoneout`: h~_t comes from c~_t, before c_t is mixed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..kernels.compile import kernel
from ..kernels.crew import ALONE
from ..kernels.delta import gather
from ..kernels.exponential import tanh
from ..kernels.product import back_product, whole_rows, whole_start
from ..kernels.vector import lanes, load, splat, store
from . import lstm_plain
from .lstm import LSTM
from .recurrent import RecurrentWeights
from .tape import Span
from .zone import Zone, copy_row, mix, split

__all__ = ["run", "run_back"]


def run(
    layer: LSTM, arrays: lstm_plain._Arrays, zone: Zone, weights: RecurrentWeights, first: int,
    last: int,
) -> None:  # fmt: skip
    """As `Recurrent._run`."""
    wh, states = weights.wh, (arrays.z, arrays.h, arrays.c)
    zones = zone.h, zone.c, zone.inner
    wh.calls.bind(_forward, *states, *zones, wh.packed, first, last, wh.part(ALONE))()


def run_back(
    layer: LSTM, arrays: lstm_plain._Arrays, zone: Zone, weights: RecurrentWeights, dy: NDArray,
    steps: Span,
) -> None:  # fmt: skip
    """As `Recurrent._run_back`."""
    wh, values = weights.wh, (tuple(arrays), tuple(zone))
    wh.calls.bind(_backward, *values, wh.transposed, dy, tuple(steps), wh.part(ALONE))()


@kernel
def _forward(z, h, c, share, share_c, inner, wh, first, last, part):
    """Arrays as in `_Arrays` and `Zone`; wh packed (H, 4·Hp)."""
    for t in range(first, last):
        lstm_plain._forward(z, h, c, wh, t, t + 1, part)
        copy_row(c, t + 1, inner, t)
        mix(share, h, t)
        mix(share_c, c, t)


@kernel
def _outputs(z, inner, t, outputs):
    """h~_t into the second row of outputs (2, B, Hp); z (K, B, 4·Hp) and inner (K, B, Hp) in."""
    count, width = outputs.shape[1:]
    size = lanes(outputs)
    for b in range(count):
        for unit in range(0, width, size):
            o = load(z, (t * count + b) * 4 * width + 4 * unit + 3 * size)
            cell = load(inner, (t * count + b) * width + unit)
            store(outputs, (count + b) * width + unit, o * tanh(cell))


@kernel
def _backward_cell(arrays, zone, t):
    """Errors of step t: dh and dc of `Zone` at t to dz at t and dc at t-1."""
    split(zone.h, t, zone.dh, zone.held, arrays.dh)
    split(zone.c, t, zone.dc, zone.held_c, arrays.dc)
    copy_row(arrays.c, t, zone.pair, np.int64(0))
    copy_row(zone.inner, t, zone.pair, np.int64(1))
    _outputs(arrays.z, zone.inner, t, zone.outputs)
    one_step = lstm_plain._Arrays(
        z=arrays.z[t : t + 1],
        h=zone.outputs,
        c=zone.pair,
        dz=arrays.dz[t : t + 1],
        dh=arrays.dh,
        dc=arrays.dc,
        back=arrays.back[t : t + 1],
        zero=arrays.zero,
        norms=arrays.norms,
        slopes=arrays.slopes[:, t : t + 1],
    )
    nothing = np.int64(0)
    lstm_plain.backward_cell(one_step, nothing, nothing, nothing, arrays.dh.shape[1])
    count, width = zone.dc.shape
    for b in range(count):
        weight = splat(zone.dc, arrays.back[t, b])
        for j in range(b * width, (b + 1) * width, lanes(zone.dc)):
            store(zone.dc, j, load(arrays.dc, j) + load(zone.held_c, j) * weight)


@kernel
def _backward(values, zone_values, wh_transposed, dy, span, part):
    """As the loop back of an `LSTM`; values, zone_values : `_Arrays` and `Zone` as plain tuples."""
    arrays, zone, steps = lstm_plain._Arrays(*values), Zone(*zone_values), Span(*span)
    count, width = zone.dh.shape
    start, out = whole_start(zone.held), whole_rows(zone.dh)
    for t in range(steps.last - 1, steps.first - 1, -1):
        if t < steps.last - 1:
            after = (arrays.dz, (t + 1) * count * 4 * width, 4 * width)
            back_product(count, after, wh_transposed, start, out, t)
        gather(zone.dh, arrays.back, dy, t, steps, arrays.norms, part)
        _backward_cell(arrays, zone, t)
