"""The loops over time of a `GRU` whose reset gate comes after the product; see `gru_after`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.arithmetic import total
from ..kernels.compile import kernel, piece
from ..kernels.crew import meet
from ..kernels.delta import gather
from ..kernels.exponential import sigmoid, tanh
from ..kernels.product import part_back_product, row_product, whole_rows, whole_start
from ..kernels.target import FAR
from ..kernels.tile import half_tile, narrow_height, tile
from ..kernels.vector import ask, ask_row, lanes, load, splat, store
from .tape import Span

__all__ = ["Arrays", "backward", "backward_cell", "forward"]


class Arrays(NamedTuple):
    """z : in, out, (K, B, 3·Hp) interleaved; x_t Wx + b, and after step t the gates r z n.
    m : out, in, (K, B, Hp), h_{t-1} Whn + bh.
    h : in, out, (K+1, B, Hp).
    dz : out, like z, error of x_t Wx + b; may be z.
    dm : out, like m, error of m; may be m.
    side : scratch, (1, B, 3·Hp) interleaved; forward s of one step, back its error; after the last
        loop back, that of its first step.
    direct : scratch, (B, Hp), error of h_{t-1} through z h_{t-1}; as ``side``.
    dh : scratch, (B, Hp), δ_t.
    back : in, (K, B), weight of what comes back to each step.
    norms, slopes : out, (members, K, B) and (members, K, 3) float64: ‖δ_t‖ and as in `Tape`, of
        each member's units.
    """

    z: NDArray
    m: NDArray
    h: NDArray
    dz: NDArray
    dm: NDArray
    side: NDArray
    direct: NDArray
    dh: NDArray
    back: NDArray
    norms: NDArray
    slopes: NDArray


@piece
def _products(h, wh, bias, side, at, t, unit):
    """s_t for a vector of units from ``unit`` on: (B, 3·L), all in ``side`` from ``at`` on."""
    panels, n, panel = wh[0], wh[1][0], 3 * lanes(h)
    count, width = h.shape[1], h.shape[2]
    half = n - unit <= lanes(h) // 2
    b = 0
    while b < count:
        height = narrow_height(count - b)
        before, weights = (h, (t * count + b) * width, width, 1), (panels, 3 * unit * n, 0, panel)
        start, out = (bias, 3 * unit, 0, 0), (side, at + b * panel, panel, 0)
        if half:
            half_tile(height, 3, n, before, weights, start, out)
        else:
            tile(height, 3, n, before, weights, start, out)
        b += height


@kernel
def _cells(z, m, h, side, own, at, state, number, step):
    """The cell's equations for ``number`` vectors of units; their s_t is in ``side`` from ``own``
    on.

    at, state : where the first begins in z, and in m and in h of the step before.
    step : from one to the next in m and h; in z it is three times that.
    """
    size, later = lanes(h), h.shape[1] * h.shape[2]
    for k in range(number):
        gates, s = at + 3 * step * k, own + 3 * size * k
        store(z, gates, sigmoid(load(z, gates) + load(side, s)))
        store(z, gates + size, sigmoid(load(z, gates + size) + load(side, s + size)))
    # In a loop of its own the chain is short, and the CPU works on several at a time.
    for k in range(number):
        gates, before = at + 3 * step * k, state + step * k
        inner = load(side, own + 3 * size * k + 2 * size)
        n = tanh(load(z, gates + 2 * size) + load(z, gates) * inner)
        store(h, before + later, n + load(z, gates + size) * (load(h, before) - n))
        store(z, gates + 2 * size, n)
        store(m, before, inner)
        ask_row(z, gates + 3 * later, 3 * size)
        ask(m, before + later)


@kernel
def forward(z, m, h, side, wh, bias, first, last, part):
    """Arrays as in `Arrays`; wh and its bias packed, (H, 3·Hp) and (3·Hp,); part as in `crew`."""
    count, width, size, nothing = h.shape[1], h.shape[2], lanes(h), np.int64(0)
    number, members, told, begin, stop, _, _ = part
    own = 3 * begin * size * count
    for t in range(first, last):
        at, state = t * count * 3 * width, t * count * width
        if count == 1:
            before, out = (h, state, width), (side, nothing, 3 * width)
            start, unit = (bias, nothing, nothing), begin * size
            row_product(before, wh, start, out, t, begin, stop)
            _cells(z, m, h, side, own, at + 3 * unit, state + unit, stop - begin, size)
        else:
            for unit in range(begin * size, stop * size, size):
                _products(h, wh, bias, side, own, t, unit)
                _cells(z, m, h, side, own, at + 3 * unit, state + unit, count, width)
        meet(number, members, told)


@piece
def backward_cell(arrays, t, number, first, end):
    """Errors of step t, for units ``first`` to ``end``: from dh to dz, dm, side and direct.

    Of a long tape, a quarter of `FAR` with others beside it in the caches, it asks for what step
    t-1 needs, so that it is near when its turn comes.

    number : of the member whose units these are.
    """
    z, m, h, dz, side, dh = arrays.z, arrays.m, arrays.h, arrays.dz, arrays.side, arrays.dh
    count, width = dh.shape
    size = lanes(dh)
    slopes_r = slopes_u = slopes_n = splat(dh, 0.0)
    far = z.size > FAR // 4
    for b in range(count):
        if far:
            row = (t - 1) * count + b
            ask_row(z, row * 3 * width, 3 * width)
            ask_row(m, row * width, width)
            ask_row(h, row * width, width)
        for unit in range(first, end, size):
            here, state = 3 * (b * width + unit), b * width + unit
            at, before = t * count * 3 * width + here, t * count * width + state
            r, u, n = load(z, at), load(z, at + size), load(z, at + 2 * size)
            delta = load(dh, state)
            slope_r, slope_u, slope_n = r * (1.0 - r), u * (1.0 - u), 1.0 - n * n
            error_n = delta * (1.0 - u) * slope_n
            error_r = error_n * load(m, before) * slope_r
            error_u = delta * (load(h, before) - n) * slope_u
            error_m = error_n * r
            store(dz, at, error_r)
            store(dz, at + size, error_u)
            store(dz, at + 2 * size, error_n)
            store(arrays.dm, before, error_m)
            store(side, here, error_r)
            store(side, here + size, error_u)
            store(side, here + 2 * size, error_m)
            store(arrays.direct, state, delta * u)
            slopes_r, slopes_u = slopes_r + slope_r, slopes_u + slope_u
            slopes_n = slopes_n + slope_n
    slopes = arrays.slopes
    slopes[number, t, 0], slopes[number, t, 1] = total(slopes_r), total(slopes_u)
    slopes[number, t, 2] = total(slopes_n)


@kernel
def backward(values, wh_transposed, dy, span, part):
    """δ down from step ``steps.last`` - 1; wh_transposed packed (3·Hp, H), dy (K, B, Hp) in.

    values, span : `Arrays` and a `Span` as plain tuples.
    part : as in `crew`.
    """
    arrays, steps = Arrays(*values), Span(*span)
    dh, nothing = arrays.dh, np.int64(0)
    count, width = dh.shape
    number, members, told, first, end, begin, stop = part
    first, end = first * lanes(dh), end * lanes(dh)
    side, start, out = (arrays.side, nothing, 3 * width), whole_start(arrays.direct), whole_rows(dh)
    for t in range(steps.last - 1, steps.first - 1, -1):
        if t < steps.last - 1:
            part_back_product(count, side, wh_transposed, start, out, t, begin, stop)
            # Then the side of this step may take the place of that of the next.
            meet(number, members, told)
        gather(dh, arrays.back, dy, t, steps, arrays.norms, part)
        backward_cell(arrays, t, number, first, end)
        meet(number, members, told)
