"""Weights in the order in which products read them.

A weight matrix W (K, G·N) of G gates is packed once per window into column panels of at most four
vectors, so that a tile reads it in the order in which it lies::

    G = 1   units 0..4L-1 | 4L..8L-1 | ...      of even width: 5 vectors make a panel of 2, one of 3
    G > 1   gate 0, 1, .. of units 0..L-1 | gate 0, 1, .. of units L..2L-1 | ...

where L is the lanes of a vector. All columns of a row, side by side in that order, are called
*interleaved*; units are padded with zeros to whole vectors, Np of them. Every array of gate
values that kernels exchange is interleaved, so one panel holds all that a cell needs of L units.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from .compile import kernel, piece
from .moves import transpose
from .target import lanes_of
from .vector import ask, flat, lanes, load, store

__all__ = [
    "FULL",
    "interleave",
    "pack",
    "pack_transposed",
    "padded_halves",
    "panel_bounds",
    "panels_of",
    "unpadded",
]

FULL = np.int64(4)
"""Vectors of a full panel, and of all four gates of a cell."""
_TOGETHER = 16
"""Rows of which one vector of columns is packed before the next: their lines all stay near."""


def unpadded(gates: int, units: int, dtype: DTypeLike) -> tuple[int, int, int, int]:
    """The interleaved gates of so many units without their padding, as runs that a `tile` knows."""
    total, size = gates * units, lanes_of(dtype)
    tail = units % size
    if not tail:
        return total, total, 0, 0
    return total, total - (gates - 1) * tail, tail, size - tail


def padded_halves(gates: int, units: int, width: int, dtype: DTypeLike) -> int:
    """Vectors of the last panel whose second halves are padding, as far as a `product` can spare
    it: none, the last one, or those of all gates of the last units."""
    tail, size = units % lanes_of(dtype), lanes_of(dtype)
    spared = gates == 1 or gates == width
    return gates if spared and 0 < tail <= size // 2 else 0


@kernel
def panels_of(vectors, width):
    """Panels of at most ``width`` of so many vectors: how many there are, the vectors of a narrow
    one, and how many are narrow; the others, wider by one vector, come last."""
    panels = (vectors + width - 1) // width
    return panels, vectors // panels, panels - vectors % panels


@kernel
def panel_bounds(p, panels):
    """First vector of panel ``p``, and of the next; panels as in `panels_of`."""
    _, width, narrow = panels
    first, end = p * width, (p + 1) * width
    if p >= narrow:
        first, end = first + p - narrow, end + p - narrow + 1
    return first, end


@kernel
def pack(w, b, gates, panels, out, bias):
    """Pack the columns of a matrix, and a bias.

    w : in, (K, G·N).
    b : in, of the last gates; those before have none.
    gates, panels : G, and as in `panels_of`.
    out : out, flat, K·G·Np.
    bias : out, (G·Np,), interleaved; where there is none, and in the padding, it stays as it is.
    """
    rows, units, size = w.shape[0], w.shape[1] // gates, lanes(w)
    for k in range(0, rows, _TOGETHER):
        count = _TOGETHER if rows - k > _TOGETHER else rows - k
        gate, unit = 0, 0
        for p in range(panels[0]):
            first, end = panel_bounds(p, panels)
            panel = (end - first) * size
            at = first * rows * size + k * panel
            for to in range(at, at + panel, size):
                source = k * w.shape[1] + gate * units + unit
                _pack_rows(w, source, count, units - unit, out, to, panel)
                gate += 1
                if gate == gates:
                    gate, unit = 0, unit + size
    interleave(b, gates, units, bias)


@piece
def _pack_rows(w, source, count, real, out, to, panel):
    """A vector of each of ``count`` rows of w (K, N), the first at flat index ``source``.

    real : columns from there on; what has none is zero.
    out : out, flat, rows ``panel`` apart, the first at ``to``.
    """
    if real >= lanes(w):
        for k in range(count):
            store(out, to + k * panel, load(w, source + k * w.shape[1]))
    else:
        numbers = flat(w)
        for k in range(count):
            for lane in range(lanes(w)):
                number = numbers[source + k * w.shape[1] + lane] if lane < real else 0.0
                out[to + k * panel + lane] = number


@kernel
def interleave(b, gates, units, bias):
    """As `pack` does with a bias, of so many units."""
    size, given = lanes(bias), b.size // units
    for gate in range(given):
        for unit in range(0, units, size):
            to, source = unit * gates + (gates - given + gate) * size, gate * units + unit
            if unit + size <= units:
                store(bias, to, load(b, source))
            else:
                for lane in range(units - unit):
                    bias[to + lane] = b[source + lane]


@kernel
def pack_transposed(w, gates, out):
    """Pack the columns of the transposed matrix, its rows interleaved.

    w : in, (N, G·K): the packed matrix is (G·K, N). Padded units have no rows: see `unpadded`.
    gates : G.
    out : out, flat, G·K·Np.
    """
    columns, units = w.shape[0], w.shape[1] // gates
    size = lanes(w)
    groups = (units + size - 1) // size
    panels = panels_of((columns + size - 1) // size, FULL)
    for p in range(panels[0]):
        first, end = panel_bounds(p, panels)
        panel = (end - first) * size
        at = first * size * gates * units
        for group in range(groups):
            for gate in range(gates):
                source = gate * units + group * size
                real = size if (group + 1) * size <= units else units - group * size
                for v in range(end - first):
                    n = (first + v) * size
                    if real == size and n + size <= columns:
                        start = n * w.shape[1] + source
                        for r in range(size):
                            ask(w, start + r * w.shape[1] + size)
                        transpose(w, start, w.shape[1], out, at + v * size, panel)
                    else:
                        _transpose_part(w, n, source, real, out, at + v * size, panel)
                at += real * panel


@piece
def _transpose_part(w, n, column, real, out, at, panel):
    """A square of a vector's size of which some rows are outside ``w`` (N, M): zeros there.

    n, column : its first row and column; only ``real`` of its columns are wanted.
    out : out, flat, rows ``panel`` apart, the first at ``at``.
    """
    for lane in range(real):
        for j in range(lanes(w)):
            inside = n + j < w.shape[0]
            out[at + lane * panel + j] = w[n + j, column + lane] if inside else 0.0
