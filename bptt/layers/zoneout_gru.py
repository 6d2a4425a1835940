"""The loops over time of a `GRU`, in both of its forms, in a `Zoneout`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.compile import kernel
from ..kernels.crew import ALONE
from ..kernels.delta import gather
from ..kernels.product import back_product, whole_rows, whole_start, zero_start
from ..kernels.vector import lanes, load, store
from . import gru_after_loops, gru_before
from .gru import GRU
from .tape import Span
from .zone import Zone, mix, split

__all__ = ["run", "run_back"]


def run(layer: GRU, arrays: Any, zone: Zone, weights: Any, first: int, last: int) -> None:
    """As `Recurrent._run`."""
    values, wh = tuple(arrays), weights.wh
    if layer.reset_after:
        part = wh.part(ALONE)
        wh.calls.bind(_forward_after, values, zone.h, wh.packed, wh.bias, first, last, part)()
    else:
        packed = wh.packed, weights.whn.packed
        wh.calls.bind(_forward_before, values, zone.h, *packed, first, last)()


def run_back(layer: GRU, arrays: Any, zone: Zone, weights: Any, dy: NDArray, steps: Span) -> None:
    """As `Recurrent._run_back`."""
    values, wh = (tuple(arrays), tuple(zone)), weights.wh
    span, part = tuple(steps), wh.part(ALONE)
    if layer.reset_after:
        wh.calls.bind(_backward_after, *values, wh.transposed, dy, span, part)()
    else:
        transposed = wh.transposed, weights.whn.transposed
        wh.calls.bind(_backward_before, *values, *transposed, dy, span, part)()


@kernel
def _forward_after(values, share, wh, bias, first, last, part):
    """values : `Arrays` as a plain tuple; share as in `Zone`; wh and its bias packed."""
    arrays = gru_after_loops.Arrays(*values)
    for t in range(first, last):
        gru_after_loops.forward(arrays.z, arrays.m, arrays.h, arrays.side, wh, bias, t, t + 1, part)
        mix(share, arrays.h, t)


@kernel
def _forward_before(values, share, wh, whn, first, last):
    """values : `gru_before._Arrays` as a plain tuple; share as in `Zone`; wh and whn packed."""
    arrays = gru_before._Arrays(*values)
    for t in range(first, last):
        gru_before._forward(values, wh, whn, t, t + 1)
        mix(share, arrays.h, t)


@kernel
def _join(direct, held):
    """Add ``held`` to ``direct``, (B, Hp) each."""
    for at in range(0, direct.size, lanes(direct)):
        store(direct, at, load(direct, at) + load(held, at))


@kernel
def _backward_after(values, zone_values, wh_transposed, dy, span, part):
    """As the loop back in `gru_after_loops`.

    values, zone_values : `_Arrays` and `Zone` as plain tuples.
    """
    arrays, zone, steps = gru_after_loops.Arrays(*values), Zone(*zone_values), Span(*span)
    nothing = np.int64(0)
    count, width = zone.dh.shape
    side, start = (arrays.side, nothing, 3 * width), whole_start(arrays.direct)
    out = whole_rows(zone.dh)
    for t in range(steps.last - 1, steps.first - 1, -1):
        if t < steps.last - 1:
            _join(arrays.direct, zone.held)
            back_product(count, side, wh_transposed, start, out, t)
        gather(zone.dh, arrays.back, dy, t, steps, arrays.norms, part)
        split(zone.h, t, zone.dh, zone.held, arrays.dh)
        gru_after_loops.backward_cell(arrays, t, nothing, nothing, width)


@kernel
def _backward_before(values, zone_values, wh_transposed, whn_transposed, dy, span, part):
    """As the loop back in `gru_before`.

    values, zone_values : `_Arrays` and `Zone` as plain tuples.
    """
    arrays, zone, steps = gru_before._Arrays(*values), Zone(*zone_values), Span(*span)
    count, width = zone.dh.shape
    start, out = whole_start(arrays.direct), whole_rows(zone.dh)
    start_n, out_n = zero_start(arrays.zero), whole_rows(arrays.drh)
    for t in range(steps.last - 1, steps.first - 1, -1):
        row = t * count * width
        if t < steps.last - 1:
            _join(arrays.direct, zone.held)
            after = (arrays.dgates, 2 * (row + count * width), 2 * width)
            back_product(count, after, wh_transposed, start, out, t)
        gather(zone.dh, arrays.back, dy, t, steps, arrays.norms, part)
        split(zone.h, t, zone.dh, zone.held, arrays.dh)
        gru_before._backward_n(arrays, t)
        back_product(count, (arrays.dn, row, width), whn_transposed, start_n, out_n, t)
        gru_before._backward_r(arrays, t)
