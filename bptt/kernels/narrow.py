"""The way back to few features: a tile would spend a whole vector on them.

Here each is a sum along the row::

    dx[r, i] = sum over j of g[r, j] * W[i, j]
"""

from __future__ import annotations

from .arithmetic import total
from .compile import kernel
from .packing import interleave
from .vector import lanes, load, splat, store

__all__ = ["FEW", "few_back", "pack_few"]

FEW = 4
"""The most features for which this is quicker."""


@kernel
def pack_few(w, gates, out):
    """Pack for `few_back`.

    w : in, (I, G·N).
    gates : G.
    out : out, (I, G·Np), interleaved; zero in the padding, which stays so.
    """
    for i in range(len(w)):
        interleave(w[i], gates, w.shape[1] // gates, out[i])


@kernel
def few_back(g, w, dx, first, last):
    """Steps ``first`` to ``last`` of dx = g @ W.T.

    g : in, (K, B, G·Np), interleaved.
    w : in, (I, G·Np), of `pack_few`.
    dx : out, (K, B, I padded); zero in the padding.
    """
    count, columns, width, size = g.shape[1], g.shape[2], dx.shape[2], lanes(g)
    for t in range(first, last):
        for b in range(count):
            row = t * count + b
            for j in range(0, width, size):
                store(dx, row * width + j, splat(dx, 0.0))
            for i in range(len(w)):
                sums = splat(dx, 0.0)
                for j in range(0, columns, size):
                    sums = sums + load(g, row * columns + j) * load(w, i * columns + j)
                dx[t, b, i] = total(sums)
