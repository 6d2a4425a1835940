"""One weight matrix, packed for the products that go forward and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.calls import Calls
from ..kernels.outer import accumulate, scratch_sizes
from ..kernels.packing import FULL, pack, pack_transposed, padded_halves, unpadded
from ..kernels.product import product
from ..kernels.target import empty, padded, zeros
from .lookup import Lookup

__all__ = ["PackedWeights", "Scratch"]


class Scratch(NamedTuple):
    """Room for `PackedWeights.gradients`, shared by all layers of a window."""

    panel: NDArray
    rows: NDArray
    sums: NDArray

    @staticmethod
    def sizes(n: int, units: int, gates: int, dtype: DTypeLike) -> tuple[int, int, int]:
        """What weights with ``n`` rows, bias included, need."""
        return scratch_sizes(n, gates * padded(units, dtype), dtype)

    @classmethod
    def of(cls, needs: list[tuple[int, int, int]], dtype: DTypeLike) -> Scratch:
        """Enough for each of ``needs``."""
        return cls(*(empty((max(sizes),), dtype) for sizes in zip(*needs, strict=True)))


class PackedWeights:
    """W (K, G·N) and b (G·N,) as the kernels read them; pack again when they have changed.

    Parameters
    ----------
    width : vectors of a panel; of a cell that takes its gates from one tile, as many as it has.

    Attributes
    ----------
    packed : W for ``x @ W``: its panels, flat; the runs of x, as a `tile` knows them; the vectors
        of a panel; and as in `padded_halves`.
    transposed : W.T for ``g @ W.T``, its rows interleaved, in the same form.
    calls : of the kernels that read them, those of the layer among them.
    """

    def __init__(
        self, n_in: int, units: int, gates: int, dtype: DTypeLike, width: int = FULL
    ) -> None:
        self.n_in, self.gates, width = n_in, gates, np.int64(width)
        self.calls = Calls()
        columns = gates * padded(units, dtype)
        self.packed = (
            empty((n_in * columns,), dtype),
            unpadded(1, n_in, dtype),
            width,
            padded_halves(gates, units, width, dtype),
        )
        self.transposed = (
            empty((gates * units * padded(n_in, dtype),), dtype),
            unpadded(gates, units, dtype),
            FULL,
            padded_halves(1, n_in, FULL, dtype),
        )
        self.bias = zeros((columns,), dtype)
        self._bias = (self.bias, 0, 0)
        self._no_bias = (zeros((padded(n_in, dtype),), dtype), 0, 0)

    def pack(self, w: NDArray, b: NDArray | None = None) -> None:
        """Pack for going forward."""
        panels, _, width, _ = self.packed
        self.calls[pack](w, self.gates, width, panels)
        if b is not None:
            self.calls[pack](b[None], self.gates, width, self.bias)

    def pack_transposed(self, w: NDArray) -> None:
        """Pack for going back."""
        self.calls[pack_transposed](w, self.gates, self.transposed[0])

    def forward(self, x: NDArray | Lookup, first: int, last: int, y: NDArray) -> None:
        """Steps ``first`` to ``last`` of y (K, B, G·Np) = x @ W + b, x (K, B, n_in or wider)."""
        if isinstance(x, Lookup):
            rows = x.rows(y.shape[2])
            self.forward(x.table, 0, len(rows), rows)
            x.spread(rows, first, last, y)
            return
        lanes = y.shape[1]
        rows = (last - first) * lanes
        start, out = self._bias, _steps(y, first)
        self.calls[product](rows, _steps(x, first), self.packed, start, out, 0)

    def back(self, g: NDArray, first: int, last: int, dx: NDArray) -> None:
        """Steps ``first`` to ``last`` of dx (K, B, padded n_in) = g @ W.T, for g (K, B, G·Np)."""
        rows = (last - first) * g.shape[1]
        start, out = self._no_bias, _steps(dx, first)
        self.calls[product](rows, _steps(g, first), self.transposed, start, out, 0)

    def gradients(
        self,
        scratch: Scratch,
        first: int,
        last: int,
        x: NDArray | Lookup,
        h: NDArray,
        g: NDArray,
        out: tuple[NDArray, NDArray, NDArray],
        dx: NDArray | None,
    ) -> None:
        """The gradients of weights, bias and x from errors g of x @ Wx + h @ Wh + b.

        Parameters
        ----------
        first, last : steps.
        x, h : in, (K, B, at least the rows of Wx or Wh).
        g : in, (K, B, G·Np), interleaved.
        out : out, dWx (I, G·N), dWh (H, G·N) and db (G·N,); H may be 0.
        dx : out, (K, B, I padded), or what a `Lookup` calls for; None if nobody wants it.
        """
        if isinstance(x, Lookup):
            dwx, dwh, db = out
            rows = x.collect(g, first, last)
            self._outer(scratch, 0, len(rows), x.table, x.table, rows, (dwx, dwh[:0], db))
            if len(dwh):
                self._outer(scratch, first, last, h, h, g, (dwh, dwh[:0], db))
            g, first, last = rows, 0, len(rows)
        else:
            self._outer(scratch, first, last, x, h, g, out)
        if dx is not None:
            self.back(g, first, last, dx)

    def _outer(
        self,
        scratch: Scratch,
        first: int,
        last: int,
        x: NDArray,
        h: NDArray,
        g: NDArray,
        out: tuple[NDArray, NDArray, NDArray],
    ) -> None:
        """``out`` = [x h 1].T @ g."""
        dwx, dwh, db = out
        self.calls[accumulate](
            (last - first) * g.shape[1],
            _steps(x, first),
            _steps(h, first),
            _steps(g, first),
            self.gates,
            tuple(scratch),
            (dwx, dwh, db[np.newaxis]),
        )


def _steps(array: NDArray, first: int) -> tuple[NDArray, int, int]:
    """The rows of ``array`` (K, B, N) from step ``first`` on, as kernels take them.

    A plain tuple: for a named one Numba looks up its type in Python, at every call.
    """
    _, lanes, columns = array.shape
    return array, first * lanes * columns, columns
