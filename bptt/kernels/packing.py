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
from .vector import ask, lanes, load, store

__all__ = [
    "FULL",
    "interleave",
    "pack",
    "pack_transposed",
    "padded_halves",
    "panel_bounds",
    "panel_count",
    "unpadded",
]

FULL = np.int64(4)
"""Vectors of a full panel, and of all four gates of a cell."""


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
def panel_count(vectors, width):
    """Panels of at most ``width`` vectors."""
    return (vectors + width - 1) // width


@kernel
def panel_bounds(p, vectors, panels):
    """First vector of panel ``p``, and of the next: the wider panels, by one vector, come last."""
    width, narrow = vectors // panels, panels - vectors % panels
    first, end = p * width, (p + 1) * width
    if p >= narrow:
        first, end = first + p - narrow, end + p - narrow + 1
    return first, end


@kernel
def pack(w, b, gates, width, out, bias):
    """Pack the columns of a matrix, and a bias.

    w : in, (K, G·N).
    b : in, of the last columns; those before have none.
    gates, width : G, and the vectors of a full panel.
    out : out, flat, K·G·Np.
    bias : out, (G·Np,), interleaved; where there is none, and in the padding, it stays as it is.
    """
    rows, units = w.shape[0], w.shape[1] // gates
    lane_count = lanes(w)
    vectors = -(-units // lane_count) * gates
    panels = panel_count(vectors, width)
    for k in range(rows):
        gate, unit = 0, 0
        for p in range(panels):
            first, end = panel_bounds(p, vectors, panels)
            at = (first * rows + k * (end - first)) * lane_count
            for to in range(at, at + (end - first) * lane_count, lane_count):
                source, real = gate * units + unit, units - unit
                if real >= lane_count:
                    store(out, to, load(w, k * w.shape[1] + source))
                else:
                    for lane in range(lane_count):
                        out[to + lane] = w[k, source + lane] if lane < real else 0.0
                gate += 1
                if gate == gates:
                    gate, unit = 0, unit + lane_count
    interleave(b, gates, units, bias)


@kernel
def interleave(b, gates, units, bias):
    """As `pack` does with a bias, of so many units."""
    size, none = lanes(bias), gates * units - b.size
    for i in range(b.size):
        gate, unit = (none + i) // units, (none + i) % units
        bias[(unit // size * gates + gate) * size + unit % size] = b[i]


@kernel
def pack_transposed(w, gates, out):
    """Pack the columns of the transposed matrix, its rows interleaved.

    w : in, (N, G·K): the packed matrix is (G·K, N). Padded units have no rows: see `unpadded`.
    gates : G.
    out : out, flat, G·K·Np.
    """
    columns, units = w.shape[0], w.shape[1] // gates
    size = lanes(w)
    vectors = (columns + size - 1) // size
    groups = (units + size - 1) // size
    panels = panel_count(vectors, FULL)
    for p in range(panels):
        first, end = panel_bounds(p, vectors, panels)
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
