"""The loops of the LSTM whose products and cell are normalised."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.arithmetic import fma, maximum, total
from ..kernels.compile import kernel
from ..kernels.delta import gather
from ..kernels.exponential import sigmoid, tanh
from ..kernels.moments import gate_errors, gate_moments, moments, standardise
from ..kernels.product import back_product, product, whole_rows, zero_start
from ..kernels.vector import lanes, load, splat, store
from .lstm_plain import LEAST
from .tape import Span

__all__ = ["Arrays", "backward", "forward", "normalise", "product_errors"]


class Arrays(NamedTuple):
    """z : in, out, (K, B, 4·Hp) interleaved; x_t Wx, then gx x̂ + b, and after step t the gates.
    xn, hn : out, in, like z, x̂ and ĥ.
    h, c : in, out, (K+1, B, Hp).
    scales : out, in, (K, B, 4): what x̂, ĥ and ĉ were multiplied by, and the mean of c.
    dz : out, like z, error of the gates' arguments; may be z.
    dxn, dhn : out, like z, error of x_t Wx and of h_{t-1} Wh; may be xn and hn.
    dcell : out, (K, 2, Hp), what each step adds to the gradients of gc and bc.
    side : scratch, (1, B, 4·Hp) interleaved, error of h_{t-1} Wh of one step; after the last loop
        back, that of its first step.
    dcn : scratch, (Hp,), error of ĉ in one lane.
    dh : scratch, (B, Hp), δ_t.
    dc : in, out, (B, Hp), error of the cell: in, from beyond the last step; out, of the first.
    back : in, (K, B), weight of what comes back to each step.
    zero : in, (4·Hp,).
    norms : out, (1, K, B) float64, ‖δ_t‖.
    slopes : out, (1, K, 4) float64, as in `Tape`.

    Kernels also take ``gates`` (3, 4·Hp) interleaved: gx, gh and b; and ``cell`` (3, Hp): gc, bc,
    and 1 for each unit; both zero in the padding.
    """

    z: NDArray
    xn: NDArray
    hn: NDArray
    h: NDArray
    c: NDArray
    scales: NDArray
    dz: NDArray
    dxn: NDArray
    dhn: NDArray
    dcell: NDArray
    side: NDArray
    dcn: NDArray
    dh: NDArray
    dc: NDArray
    back: NDArray
    zero: NDArray
    norms: NDArray
    slopes: NDArray


@kernel
def normalise(values, gates, cell, n, first, last):
    """From x_t Wx in z to x̂ in xn and gx x̂ + b in z. values : `Arrays` as a plain tuple."""
    arrays = Arrays(*values)
    z, xn = arrays.z, arrays.xn
    count, width = z.shape[1], cell.shape[1]
    size, spread = lanes(z), np.int64(4)
    for t in range(first, last):
        for b in range(count):
            at = (t * count + b) * 4 * width
            mean, scale = gate_moments(z, at, spread, size, cell, 2 * width, n)
            arrays.scales[t, b, 0] = scale
            for j in range(0, 4 * width, size):
                here = load(cell, 2 * width + j // (4 * size) * size) * scale
                value = standardise(z, at + j, mean, here)
                store(xn, at + j, value)
                store(z, at + j, load(gates, j) * value + load(gates, 8 * width + j))


@kernel
def _renew(arrays, gates, cell, n, t, b):
    """Gates and c of step t in lane b; hn holds h_{t-1} Wh."""
    z, hn, c = arrays.z, arrays.hn, arrays.c
    count, width = c.shape[1], c.shape[2]
    size, spread = lanes(z), np.int64(4)
    row = t * count + b
    mean, scale = gate_moments(hn, row * 4 * width, spread, size, cell, 2 * width, n)
    arrays.scales[t, b, 1] = scale
    for unit in range(0, width, size):
        at, gain = 4 * (row * width + unit), 4 * (width + unit)
        before = row * width + unit
        here = load(cell, 2 * width + unit) * scale
        in_i, in_f = standardise(hn, at, mean, here), standardise(hn, at + size, mean, here)
        in_g = standardise(hn, at + 2 * size, mean, here)
        in_o = standardise(hn, at + 3 * size, mean, here)
        i = sigmoid(load(z, at) + load(gates, gain) * in_i)
        f = sigmoid(load(z, at + size) + load(gates, gain + size) * in_f)
        g = tanh(load(z, at + 2 * size) + load(gates, gain + 2 * size) * in_g)
        o = sigmoid(load(z, at + 3 * size) + load(gates, gain + 3 * size) * in_o)
        store(c, before + count * width, fma(f, load(c, before), i * g))
        store(z, at, i)
        store(z, at + size, f)
        store(z, at + 2 * size, g)
        store(z, at + 3 * size, o)


@kernel
def _put_out(arrays, cell, n, t, b):
    """h of step t in lane b."""
    z, h, c = arrays.z, arrays.h, arrays.c
    count, width = c.shape[1], c.shape[2]
    size = lanes(z)
    row = t * count + b
    after = (row + count) * width
    mean, scale = moments(c, after, cell, 2 * width, n)
    arrays.scales[t, b, 2], arrays.scales[t, b, 3] = scale, mean
    for unit in range(0, width, size):
        here = load(cell, 2 * width + unit) * scale
        normal = (load(c, after + unit) - mean) * here
        squashed = tanh(load(cell, unit) * normal + load(cell, width + unit))
        store(h, after + unit, load(z, 4 * (row * width + unit) + 3 * size) * squashed)


@kernel
def forward(values, wh, gates, cell, n, first, last):
    """values : `Arrays` as a plain tuple; wh packed (H, 4·Hp)."""
    arrays, nothing = Arrays(*values), np.int64(0)
    h = arrays.h
    count, width = h.shape[1], h.shape[2]
    start = (arrays.zero, nothing, nothing)
    for t in range(first, last):
        row = t * count * width
        out = (arrays.hn, 4 * row, 4 * width)
        product(count, (h, row, width), wh, start, out, t)
        for b in range(count):
            _renew(arrays, gates, cell, n, t, b)
            _put_out(arrays, cell, n, t, b)


@kernel
def _output_errors(arrays, cell, t, b):
    """From dh at step t in lane b to dz of o, to dcn and the step's part of dcell.

    Returns the sums of dcn and of dcn ĉ.
    """
    z, c, dz, dcell, dcn, dh = arrays.z, arrays.c, arrays.dz, arrays.dcell, arrays.dcn, arrays.dh
    least = splat(dh, LEAST)
    count, width = dh.shape
    size = lanes(dh)
    row = t * count + b
    after, of_cell = (row + count) * width, t * 2 * width
    scale, mean = arrays.scales[t, b, 2], arrays.scales[t, b, 3]
    sums = dots = slopes = splat(dh, 0.0)
    for unit in range(0, width, size):
        at = 4 * (row * width + unit) + 3 * size
        o, delta = load(z, at), load(dh, b * width + unit)
        normal = (load(c, after + unit) - mean) * (load(cell, 2 * width + unit) * scale)
        gain = load(cell, unit)
        squashed = load(arrays.h, after + unit) / maximum(o, least)
        slope = o * (1.0 - o)
        error = delta * o * (1.0 - squashed * squashed)
        store(dz, at, delta * squashed * slope)
        for_gain, for_bias = of_cell + unit, of_cell + width + unit
        store(dcell, for_gain, load(dcell, for_gain) + error * normal)
        store(dcell, for_bias, load(dcell, for_bias) + error)
        error = error * gain
        store(dcn, unit, error)
        sums, dots, slopes = sums + error, dots + error * normal, slopes + slope
    arrays.slopes[0, t, 3] += total(slopes)
    return total(sums), total(dots)


@kernel
def _cell_errors(arrays, cell, mean_error, mean_dot, t, b):
    """From dcn and dc at step t in lane b to dz of i, f and g, and to dc at t-1."""
    z, c, dz, dc = arrays.z, arrays.c, arrays.dz, arrays.dc
    count, width = dc.shape
    size = lanes(dc)
    row = t * count + b
    scale, mean = arrays.scales[t, b, 2], arrays.scales[t, b, 3]
    weight = splat(dc, arrays.back[t, b])
    slopes_i = slopes_f = slopes_g = splat(dc, 0.0)
    for unit in range(0, width, size):
        at, before, state = 4 * (row * width + unit), row * width + unit, b * width + unit
        i, f, g = load(z, at), load(z, at + size), load(z, at + 2 * size)
        here = load(cell, 2 * width + unit) * scale
        normal = (load(c, before + count * width) - mean) * here
        error = (load(arrays.dcn, unit) - mean_error - normal * mean_dot) * here
        error = load(dc, state) * weight + error
        slope_i, slope_f, slope_g = i * (1.0 - i), f * (1.0 - f), 1.0 - g * g
        store(dz, at, error * g * slope_i)
        store(dz, at + size, error * load(c, before) * slope_f)
        store(dz, at + 2 * size, error * i * slope_g)
        store(dc, state, error * f)
        slopes_i, slopes_f = slopes_i + slope_i, slopes_f + slope_f
        slopes_g = slopes_g + slope_g
    arrays.slopes[0, t, 0] += total(slopes_i)
    arrays.slopes[0, t, 1] += total(slopes_f)
    arrays.slopes[0, t, 2] += total(slopes_g)


@kernel
def backward(values, wh_transposed, gates, cell, n, dy, span, part):
    """δ down from step ``steps.last`` - 1; wh_transposed packed (4·Hp, H), dy (K, B, Hp) in.

    values, span : `Arrays` and a `Span` as plain tuples.
    part : as in `crew`.
    """
    arrays, steps, nothing = Arrays(*values), Span(*span), np.int64(0)
    dz, dh, dcell, side = arrays.dz, arrays.dh, arrays.dcell, arrays.side
    count, width = dh.shape
    rows, start, out = (side, nothing, 4 * width), zero_start(arrays.zero), whole_rows(dh)
    for t in range(steps.last - 1, steps.first - 1, -1):
        if t < steps.last - 1:
            back_product(count, rows, wh_transposed, start, out, t)
        gather(dh, arrays.back, dy, t, steps, arrays.norms, part)
        for gate in range(4):
            arrays.slopes[0, t, gate] = 0.0
        for j in range(2 * t * width, 2 * (t + 1) * width, lanes(dcell)):
            store(dcell, j, splat(dcell, 0.0))
        for b in range(count):
            error, dot = _output_errors(arrays, cell, t, b)
            _cell_errors(arrays, cell, error / n, dot / n, t, b)
            at, scale = (t * count + b) * 4 * width, arrays.scales[t, b, 1]
            to = b * 4 * width
            gate_errors(dz, gates, 4 * width, arrays.hn, at, scale, n, side, to)


@kernel
def product_errors(values, gates, n, first, last, sums):
    """From dz to dxn and dhn; and the gradients of gx, gh and b.

    values : `Arrays` as a plain tuple.
    sums : out, (3, 4·Hp) interleaved, these gradients.
    """
    arrays, nothing = Arrays(*values), np.int64(0)
    dz, xn, hn, scales = arrays.dz, arrays.xn, arrays.hn, arrays.scales
    count, columns = dz.shape[1], dz.shape[2]
    for j in range(0, sums.size, lanes(dz)):
        store(sums, j, splat(sums, 0.0))
    for t in range(first, last):
        for b in range(count):
            at = (t * count + b) * columns
            for j in range(0, columns, lanes(dz)):
                error = load(dz, at + j)
                store(sums, j, load(sums, j) + error * load(xn, at + j))
                k = columns + j
                store(sums, k, load(sums, k) + error * load(hn, at + j))
                k += columns
                store(sums, k, load(sums, k) + error)
            gate_errors(dz, gates, nothing, xn, at, scales[t, b, 0], n, arrays.dxn, at)
            gate_errors(dz, gates, columns, hn, at, scales[t, b, 1], n, arrays.dhn, at)
