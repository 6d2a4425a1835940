"""The output of an `Embedding`, not written out: which row of which table stands where.

A product with it is a product with the table, whose rows are then spread over steps and lanes::

    (table[ids]) @ W = (table @ W)[ids]            and back: the errors of equal ids are added first

So with few ids the layer above does its work once an id instead of once a step and lane.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.compile import kernel
from ..kernels.target import empty
from ..kernels.vector import lanes, load, splat, store
from .runs import in_runs

__all__ = ["Lookup"]


class Lookup:
    """Rows of a table.

    Attributes
    ----------
    ids : (K, B) int32.
    table : (V, 1, E), set by the layer that owns it when it goes forward.
    shape : (V, 1, E padded), of the array in which errors come down.
    """

    def __init__(self, ids: NDArray, shape: tuple[int, int, int], dtype: DTypeLike) -> None:
        self.ids, self.shape = ids, shape
        self.table = np.empty((shape[0], 1, 0), dtype)
        self._rows: NDArray | None = None

    def rows(self, columns: int) -> NDArray:
        """(V, 1, columns), room for a value for each id."""
        if self._rows is None:
            self._rows = empty((self.shape[0], 1, columns), self.table.dtype)
        return self._rows

    def spread(self, rows: NDArray, first: int, last: int, out: NDArray) -> None:
        """Write rows[ids] to steps ``first`` to ``last`` of out (K, B, columns)."""
        _spread(self.ids, rows, first, last, out)

    def collect(self, g: NDArray, first: int, last: int, rows: NDArray) -> None:
        """Add up g (K, B, columns) of steps ``first`` to ``last``, by id, to rows (V, 1, N)."""
        in_runs(partial(_collect, self.ids, g), (first, last), self.ids.shape[1], rows)


@kernel
def _spread(ids, rows, first, last, out):
    """ids (K, B) in, rows (V, 1, N) in, out (K, B, N) out; N whole vectors."""
    count, columns = out.shape[1], out.shape[2]
    for t in range(first, last):
        for b in range(count):
            source, to = ids[t, b] * columns, (t * count + b) * columns
            for j in range(0, columns, lanes(rows)):
                store(out, to + j, load(rows, source + j))


@kernel
def _collect(ids, g, first, last, rows):
    """ids (K, B) in, g (K, B, N) in, rows (V, 1, N) out; N whole vectors."""
    count, columns = g.shape[1], g.shape[2]
    for j in range(0, rows.size, lanes(rows)):
        store(rows, j, splat(rows, 0.0))
    for t in range(first, last):
        for b in range(count):
            source, to = (t * count + b) * columns, ids[t, b] * columns
            for j in range(0, columns, lanes(rows)):
                store(rows, to + j, load(rows, to + j) + load(g, source + j))
