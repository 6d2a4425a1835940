"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.arithmetic import total
from ..kernels.compile import kernel
from ..kernels.delta import gather
from ..kernels.exponential import sigmoid, tanh
from ..kernels.packing import FULL
from ..kernels.product import from_zero, product
from ..kernels.step import add_gate_products
from ..kernels.target import empty, padded, zeros
from ..kernels.tile import ahead_of, line_of, tile, tile_ahead, tile_height
from ..kernels.vector import lanes, load, splat, store
from .base import Room, Span, Tape
from .lookup import Lookup
from .recurrent import Recurrent, RecurrentWeights

__all__ = ["LSTM"]


@dataclass(frozen=True)
class LSTM(Recurrent):
    """Long short-term memory with a forget gate, PyTorch's `nn.LSTM` in one layer.

    ::

        [i f g o] = x_t Wx + h_{t-1} Wh + b,   then sigmoid of i, f, o and tanh of g
        c_t = f c_{t-1} + i g
        h_t = o tanh(c_t)

    (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000.)

    Parameters
    ----------
    n_in : input features, I.
    n : units, H.
    forget_bias : what the bias of the forget gate begins with (Jozefowicz et al. 2015).

    Parameters in the model: ``Wx`` (I, 4H), ``Wh`` (H, 4H), ``b`` (4H,), gates in the order
    i f g o.  State: ``h`` and ``c``, (B, H) each.

    Raises
    ------
    ValueError : if a size is not a positive integer, or ``forget_bias`` not a finite number.
    """

    forget_bias: float = 1.0
    gates: ClassVar[int] = 4
    carried: ClassVar[tuple[str, ...]] = ("h", "c")
    gate_names: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
    gate_slopes: ClassVar[tuple[float, ...]] = (0.25, 0.25, 1.0, 0.25)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.forget_bias, Real) or not math.isfinite(self.forget_bias):
            raise ValueError(f"forget_bias must be a finite number, got {self.forget_bias!r}")

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        super().initialize(params, rng)
        params["b"][self.n : 2 * self.n] = self.forget_bias

    def tape(self, x: NDArray | Lookup, room: Room) -> Tape:
        rows, lane_count, dtype = room.rows, room.lanes, room.dtype
        width = padded(self.n, dtype)
        z = empty((rows, lane_count, 4 * width), dtype)
        h, c = (zeros((rows + 1, lane_count, width), dtype) for _ in range(2))
        arrays = _Arrays(
            z=z,
            h=h,
            c=c,
            dz=z,
            dh=zeros((lane_count, width), dtype),
            dc=zeros((lane_count, width), dtype),
            back=room.back,
            zero=zeros((width,), dtype),
            norms=np.zeros((rows, lane_count)),
            slopes=np.zeros((rows, self.gates)),
        )
        errors = {"h": arrays.dh, "c": arrays.dc}
        states, gates = {"h": h, "c": c}, {"z": (z, self.gates)}
        return Tape(
            x, h[1:], states, arrays, gates, errors, room.fresh, arrays.norms, arrays.slopes
        )

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        _step(x, params["Wx"], params["Wh"], params["b"], before, after, start)
        return after[start : start + len(x) * self.n].reshape(len(x), self.n)

    def _run(self, arrays: _Arrays, weights: RecurrentWeights, first: int, last: int) -> None:
        _forward(arrays.z, arrays.h, arrays.c, weights.wh.panels, self.n, first, last)

    def _run_back(
        self, arrays: _Arrays, weights: RecurrentWeights, dy: NDArray, steps: Span
    ) -> None:
        _backward(tuple(arrays), weights.wh.transposed, dy, tuple(steps))


class _Arrays(NamedTuple):
    """z : in, out, (K, B, 4·Hp) interleaved; x_t Wx + b, and after step t the gates i f g o.
    h, c : in, out, (K+1, B, Hp).
    dz : out, like z, error of the gates' arguments; may be z.
    dh : scratch, (B, Hp), δ_t.
    dc : in, out, (B, Hp), error of the cell: in, from beyond the last step; out, of the first.
    back : in, (K, B), weight of what comes back to each step.
    zero : in, (Hp,).
    norms : out, (K, B) float64, ‖δ_t‖.
    slopes : out, (K, 4) float64, as in `Tape`.
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


@kernel
def _gates(z, h, wh, n, t, unit):
    """Add h_{t-1} Wh to z_t, for the gates of a vector of units from ``unit`` on."""
    count, width = h.shape[1], h.shape[2]
    panel = 4 * lanes(h)
    after = unit + lanes(h) if unit + lanes(h) < width else 0
    ahead, end = ahead_of(wh, 4 * after * n, panel * n)
    b = 0
    while b < count:
        height = tile_height(count - b)
        row = t * count + b
        before, here = (h, row * width, width, 1), (z, row * 4 * width + 4 * unit, 4 * width, 0)
        panel_here = (wh, 4 * unit * n, 0, panel)
        if ahead < end:
            tile_ahead(height, 4, n, before, panel_here, here, here, ahead)
            ahead += n * line_of(wh)
        else:
            tile(height, 4, n, before, panel_here, here, here)
        b += height


@kernel
def _cells(z, h, c, t, unit):
    """The cell's equations at step t, for a vector of units from ``unit`` on, while z is near."""
    count, width = h.shape[1], h.shape[2]
    size = lanes(h)
    for row in range(t * count, (t + 1) * count):
        at, before = row * 4 * width + 4 * unit, row * width + unit
        i, f = sigmoid(load(z, at)), sigmoid(load(z, at + size))
        g, o = tanh(load(z, at + 2 * size)), sigmoid(load(z, at + 3 * size))
        store(c, before + count * width, f * load(c, before) + i * g)
        store(z, at, i)
        store(z, at + size, f)
        store(z, at + 2 * size, g)
        store(z, at + 3 * size, o)
    # In a loop of their own the chains are short, and the CPU works on several at a time.
    for row in range(t * count, (t + 1) * count):
        at, after = row * 4 * width + 4 * unit, (row + count) * width + unit
        store(h, after, load(z, at + 3 * size) * tanh(load(c, after)))


@kernel
def _forward(z, h, c, wh, n, first, last):
    """Arrays as in `_Arrays`; wh packed (n, 4·Hp)."""
    count, width = h.shape[1], h.shape[2]
    flat = z.reshape(z.size)
    for t in range(first, last):
        if count == 1:
            before, at = (h, t * width, width), t * 4 * width
            start, out = (flat, at, 4 * width), (z, at, 4 * width)
            # To Numba `count` is a literal in here, for which it would compile `product` once more.
            product(h.shape[1], n, before, wh, FULL, start, out)
        for unit in range(0, width, lanes(h)):
            if count > 1:
                _gates(z, h, wh, n, t, unit)
            _cells(z, h, c, t, unit)


@kernel
def _step(x, wx, wh, b, before, after, start):
    """x (B, I) in; parameters in; before, after flat, in and out: h, c (B, H) from ``start`` on."""
    n, size = b.size // 4, lanes(b)
    width = (n + size - 1) // size * size
    z, h, c = np.zeros(4 * width, b.dtype), np.zeros(width, b.dtype), np.zeros(width, b.dtype)
    for lane in range(len(x)):
        of_h = slice(start + lane * n, start + (lane + 1) * n)
        of_c = slice(of_h.start + len(x) * n, of_h.stop + len(x) * n)
        for j in range(4 * n):
            z[j // n * width + j % n] = b[j]
        add_gate_products(x[lane], wx, 4, z)
        add_gate_products(before[of_h], wh, 4, z)
        for j in range(n):
            c[j] = before[of_c.start + j]
        for j in range(0, width, size):
            i, f = sigmoid(load(z, j)), sigmoid(load(z, width + j))
            g, o = tanh(load(z, 2 * width + j)), sigmoid(load(z, 3 * width + j))
            cell = f * load(c, j) + i * g
            store(c, j, cell)
            store(h, j, o * tanh(cell))
        for j in range(n):
            after[of_h.start + j], after[of_c.start + j] = h[j], c[j]


@kernel
def _backward_cell(arrays, t):
    """Errors of step t: dh and dc at t to dz at t and dc at t-1."""
    z, h, c, dz, dh, dc = arrays.z, arrays.h, arrays.c, arrays.dz, arrays.dh, arrays.dc
    count, width = dh.shape
    size = lanes(dh)
    slopes_i = slopes_f = slopes_g = slopes_o = splat(dh, 0.0)
    for b in range(count):
        weight = splat(dh, arrays.back[t, b])
        for unit in range(0, width, size):
            at = (t * count + b) * 4 * width + 4 * unit
            state = b * width + unit
            before = t * count * width + state
            i, f = load(z, at), load(z, at + size)
            g, o = load(z, at + 2 * size), load(z, at + 3 * size)
            # tanh(c): quicker than taking it anew; o is a sigmoid of this library, never zero.
            squashed = load(h, before + count * width) / o
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
    arrays.slopes[t, 0], arrays.slopes[t, 1] = total(slopes_i), total(slopes_f)
    arrays.slopes[t, 2], arrays.slopes[t, 3] = total(slopes_g), total(slopes_o)


@kernel
def _backward(values, wh_transposed, dy, span):
    """δ down from step ``steps.last`` - 1; wh_transposed packed (4·Hp, H), dy (K, B, Hp) in.

    values, span : `_Arrays` and a `Span` as plain tuples.
    """
    arrays, steps = _Arrays(*values), Span(*span)
    dz, dh, norms = arrays.dz, arrays.dh, arrays.norms
    count, width = dh.shape
    for t in range(steps.last - 1, steps.first - 1, -1):
        if t < steps.last - 1:
            after = (t + 1) * count * 4 * width
            z_after = (dz, after, 4 * width)
            from_zero(count, 4 * width, z_after, wh_transposed, arrays.zero, dh)
        gather(dh, arrays.back, dy, t, steps, norms)
        _backward_cell(arrays, t)
