"""The loops over time of an `RNN` in a `Zoneout`."""

from __future__ import annotations

from numpy.typing import NDArray

from ..kernels.activations import ACTIVATIONS, slope
from ..kernels.compile import kernel
from ..kernels.crew import ALONE
from ..kernels.delta import gather
from ..kernels.product import back_product, whole_rows, whole_start
from ..kernels.vector import lanes, load, store
from . import rnn
from .recurrent import RecurrentWeights
from .tape import Span
from .zone import Zone, copy_row, mix, split

__all__ = ["run", "run_back"]


def run(
    layer: rnn.RNN, arrays: rnn._Arrays, zone: Zone, weights: RecurrentWeights, first: int,
    last: int,
) -> None:  # fmt: skip
    """As `Recurrent._run`."""
    wh, number = weights.wh, ACTIVATIONS[layer.activation]
    wh.calls.bind(
        _forward, arrays.h, zone.h, zone.inner, wh.packed, number, first, last, wh.part(ALONE)
    )()


def run_back(
    layer: rnn.RNN, arrays: rnn._Arrays, zone: Zone, weights: RecurrentWeights, dy: NDArray,
    steps: Span,
) -> None:  # fmt: skip
    """As `Recurrent._run_back`."""
    wh, number, values = weights.wh, ACTIVATIONS[layer.activation], (tuple(arrays), tuple(zone))
    part = wh.part(ALONE)
    wh.calls.bind(_backward, *values, wh.transposed, dy, number, tuple(steps), part)()


@kernel
def _forward(h, share, inner, wh, activation, first, last, part):
    """h, share and inner as in `_Arrays` and `Zone`; wh packed (H, Hp)."""
    for t in range(first, last):
        rnn._forward(h, wh, activation, t, t + 1, part)
        copy_row(h, t + 1, inner, t)
        mix(share, h, t)


@kernel
def _backward(values, zone_values, wh_transposed, dy, activation, span, part):
    """As the loop back of an `RNN`; values, zone_values : `_Arrays` and `Zone` as plain tuples."""
    arrays, zone, steps = rnn._Arrays(*values), Zone(*zone_values), Span(*span)
    dz, through = arrays.dz, arrays.dh
    count, width = through.shape
    start, out = whole_start(zone.held), whole_rows(zone.dh)
    for t in range(steps.last - 1, steps.first - 1, -1):
        at = t * count * width
        if t < steps.last - 1:
            after = (dz, at + count * width, width)
            back_product(count, after, wh_transposed, start, out, t)
        gather(zone.dh, arrays.back, dy, t, steps, arrays.norms, part)
        split(zone.h, t, zone.dh, zone.held, through)
        for j in range(0, count * width, lanes(through)):
            store(dz, at + j, load(through, j) * slope(activation, load(zone.inner, at + j)))
