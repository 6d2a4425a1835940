"""Products with packed weights, and the gradient of the weights.

A weight matrix W (K, G·N) of G gates is packed once per window into column panels of at most four
vectors, so that a tile reads it in the order in which it lies::

    G = 1   units 0..4L-1 | 4L..8L-1 | ...      the last panel may be 1 to 3 vectors wide
    G > 1   gate 0, 1, .. of units 0..L-1 | gate 0, 1, .. of units L..2L-1 | ...

where L is the lanes of a vector. All columns of a row, side by side in that order, are called
*interleaved*; units are padded with zeros to whole vectors, Np of them. Every array of gate
values that kernels exchange is interleaved, so one panel holds all that a cell needs of L units.
"""

from __future__ import annotations

from numpy.typing import DTypeLike

from .compile import kernel
from .target import lanes_of
from .tile import TILE_ROWS, tile, tile_count, tile_height
from .vector import copier, lanes, load, splat, store

__all__ = ["accumulate", "pack", "pack_transposed", "panel_vectors", "product", "scratch_sizes"]

_BLOCK = 192
"""Rows of the sum over time and lanes that are gathered at a time: they fit the nearer caches."""
_ROW = -(-TILE_ROWS // 4) * 4
"""Places that a tile's share of a gathered row takes, so that it is copied in whole vectors."""
_copy_row = copier(_ROW)


def panel_vectors(gates: int) -> int:
    """Vectors in a full panel."""
    return 4 if gates == 1 else gates


def scratch_sizes(n: int, g_row: int, dtype: DTypeLike) -> tuple[int, int, int]:
    """Elements of `accumulate`'s scratch ``panel``, ``rows`` and ``sums``.

    n : rows of the weights and the bias together.
    g_row : interleaved columns, G·Np.
    """
    tiles = -(-n // TILE_ROWS) + 2
    return _BLOCK * 4 * lanes_of(dtype) + 1, _BLOCK * tiles * _ROW, n * g_row


@kernel
def pack(w, gates, width, out):
    """Pack the columns of a matrix.

    w : in, (K, G·N).
    gates, width : G, and the vectors of a full panel.
    out : out, flat, K·G·Np.
    """
    rows, units = w.shape[0], w.shape[1] // gates
    lane_count = lanes(w)
    vectors = -(-units // lane_count) * gates
    for first in range(0, vectors, width):
        panel = min(width, vectors - first) * lane_count
        for v in range(first, min(first + width, vectors)):
            unit = v // gates * lane_count
            source = v % gates * units + unit
            real = min(lane_count, units - unit)
            at = first * lane_count * rows + (v - first) * lane_count
            for k in range(rows):
                if real == lane_count:
                    store(out, at, load(w, source + k * w.shape[1]))
                else:
                    for lane in range(lane_count):
                        out[at + lane] = w[k, source + lane] if lane < real else 0.0
                at += panel


@kernel
def pack_transposed(w, gates, out):
    """Pack the columns of the transposed matrix, its rows interleaved.

    w : in, (N, G·K): the packed matrix is (G·Kp, N), with zeros in the rows of padded units.
    gates : G.
    out : out, flat, G·Kp·Np.
    """
    columns, units = w.shape[0], w.shape[1] // gates
    flat_w = w.reshape(w.size)
    lane_count = lanes(w)
    vectors = -(-columns // lane_count)
    groups = -(-units // lane_count)
    rows = groups * gates * lane_count
    for first in range(0, vectors, 4):
        panel = min(4, vectors - first) * lane_count
        start = first * lane_count * rows
        real_columns = min(panel, columns - first * lane_count)
        for group in range(groups):
            unit = group * lane_count
            real = min(lane_count, units - unit)
            for gate in range(gates):
                at = start + (group * gates + gate) * lane_count * panel
                source = gate * units + unit
                if real < lane_count or real_columns < panel:
                    for i in range(lane_count * panel):
                        out[at + i] = 0
                for n in range(real_columns):
                    row = flat_w[(first * lane_count + n) * w.shape[1] + source :]
                    for lane in range(real):
                        out[at + lane * panel + n] = row[lane]


@kernel
def product(m, k, a, a_first, a_row, b, width, d, d_first, d_row, c, c_first, c_row):
    """C = D + A B with packed B.

    m, k : rows of A, and its columns.
    a : in, any shape, its element (r, i) at flat index a_first + r·a_row + i.
    b : in, packed, in panels of ``width`` vectors.
    d : in, rows of padded numbers at d_first + r·d_row; a row stride of 0 repeats one row.
    c : out, likewise; all its c_row columns are written. May be D.
    """
    lane_count = lanes(c)
    vectors = c_row // lane_count
    for first in range(0, vectors, width):
        w = min(width, vectors - first)
        column = first * lane_count
        r = 0
        while r < m:
            height = tile_height(m - r)
            tile(
                height,
                w,
                k,
                (a, a_first + r * a_row, a_row, 1),
                (b, column * k, 0, w * lane_count),
                (d, d_first + r * d_row + column, d_row, 0),
                (c, c_first + r * c_row + column, c_row, 0),
            )
            r += height


@kernel
def _gather_panel(g, first, row, count, columns, panel):
    """Copy ``count`` rows of a panel of the error to where they lie side by side."""
    for k in range(count):
        for v in range(0, columns, lanes(g)):
            store(panel, k * columns + v, load(g, first + k * row + v))


@kernel
def _gather_rows(a, first, row, count, n, to, rows):
    """Copy ``count`` rows of n numbers to ``rows``, tile by tile, each as its product reads it.

    A tile's numbers of a row take `_ROW` places, of which the last may hold anything.
    """
    source = a.reshape(a.size)
    whole = (n - _ROW) // TILE_ROWS * TILE_ROWS if n > _ROW else 0
    for k in range(count):
        start = first + k * row
        at = to + k * _ROW
        for i in range(start, start + whole, TILE_ROWS):
            _copy_row(a, i, rows, at)
            at += _ROW * count
        i = whole
        while i < n:
            height = tile_height(n - i)
            for j in range(height):
                rows[at + j] = source[start + i + j]
            at += _ROW * count
            i += height


@kernel
def _add_outer(n, count, rows, start, step, columns, w, panel, sums, at):
    """Add A.T @ panel to the ``n`` rows of ``sums`` that start at ``at``.

    rows, start : A (count, n) as `_gather_rows` left it.
    step : `_ROW`; or 0 where A is one number, at ``start``, repeated.
    """
    i = 0
    while i < n:
        height = tile_height(n - i)
        tile(
            height,
            w,
            count,
            (rows, start, 1, step),
            (panel, 0, 0, columns),
            (sums, at + i * columns, columns, 0),
            (sums, at + i * columns, columns, 0),
        )
        start += step * count
        i += height


@kernel
def _scatter_panel(n, sums, at, columns, first, gates, units, out):
    """Write ``n`` rows of a finished panel where they belong in ``out`` (n, G·N)."""
    lane_count = lanes(sums)
    for i in range(n):
        for v in range(columns // lane_count):
            unit = (first + v) // gates * lane_count
            real = min(lane_count, units - unit)
            source, to = at + i * columns + v * lane_count, (first + v) % gates * units + unit
            if real == lane_count:
                store(out, to + i * out.shape[1], load(sums, source))
            else:
                for lane in range(real):
                    out[i, to + lane] = sums[source + lane]


@kernel
def accumulate(m, x, x_first, x_row, h, h_first, h_row, g, g_first, g_row, gates, width,
               panel, rows, sums, dwx, dwh, db):  # fmt: skip
    """The gradient of weights and bias: [x h 1].T @ g, over all rows (steps and lanes).

    m : rows.
    x, h : in, element (r, i) at flat index x_first + r·x_row + i.
    g : in, error at the gates, interleaved, (r, j) at g_first + r·g_row + j.
    gates, width : G, and the vectors of a full panel.
    panel, rows, sums : scratch, of `scratch_sizes`.
    dwx, dwh, db : out, (I, G·N), (H, G·N) and (1, G·N); H may be 0.
    """
    lane_count = lanes(g)
    n_x, n_h, units = dwx.shape[0], dwh.shape[0], db.shape[1] // gates
    n = n_x + n_h + 1
    vectors = g_row // lane_count
    one = panel.size - 1
    panel[one] = 1
    for i in range(0, n * g_row, lane_count):
        store(sums, i, splat(g, 0.0))
    for r in range(0, m, _BLOCK):
        count = min(_BLOCK, m - r)
        after_x = tile_count(n_x) * _ROW * count
        _gather_rows(x, x_first + r * x_row, x_row, count, n_x, 0, rows)
        _gather_rows(h, h_first + r * h_row, h_row, count, n_h, after_x, rows)
        for first in range(0, vectors, width):
            w = min(width, vectors - first)
            columns = w * lane_count
            at = first * lane_count * n
            error = g_first + r * g_row + first * lane_count
            _gather_panel(g, error, g_row, count, columns, panel)
            _add_outer(n_x, count, rows, 0, _ROW, columns, w, panel, sums, at)
            at += n_x * columns
            _add_outer(n_h, count, rows, after_x, _ROW, columns, w, panel, sums, at)
            at += n_h * columns
            _add_outer(1, count, panel, one, 0, columns, w, panel, sums, at)
    for first in range(0, vectors, width):
        columns = min(width, vectors - first) * lane_count
        at = first * lane_count * n
        _scatter_panel(n_x, sums, at, columns, first, gates, units, dwx)
        _scatter_panel(n_h, sums, at + n_x * columns, columns, first, gates, units, dwh)
        _scatter_panel(1, sums, at + (n - 1) * columns, columns, first, gates, units, db)
