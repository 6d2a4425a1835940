"""What zoneout does to a state and to its error, whatever the layer inside.

    h_t = m h_{t-1} + (1 - m) h~_t          forward, after every step of the layer
    δ~_t = (1 - m) δ_t                      back, before every step of the layer; m δ_t is held,
                                            and added to what the layer sends back to h_{t-1}

The loop over time is that of the layer, one step at a time; so each has a file of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import NDArray

from ..kernels.compile import kernel
from ..kernels.target import padded, zeros
from ..kernels.vector import lanes, load, store
from .draws import uniform
from .tape import Room

__all__ = ["Zone", "copy_row", "draw", "mix", "split"]


class Zone(NamedTuple):
    """h, c : in, (K, B, Hp), m: the share of the old state that a step keeps; c has no rows if the
        layer has no c.
    inner : out, in, (K, B, Hp), an `RNN`'s h~ or an `LSTM`'s c~; no rows for a `GRU`.
    pair, outputs : scratch, (2, B, Hp).
    dh : in, out, (B, Hp), δ_t.
    dc : in, out, (B, Hp), error of c: in, from beyond the last step; out, before the first.
    held, held_c : out, (B, Hp), m times the error of h_t, and of c_t.
    """

    h: NDArray
    c: NDArray
    inner: NDArray
    pair: NDArray
    outputs: NDArray
    dh: NDArray
    dc: NDArray
    held: NDArray
    held_c: NDArray

    @classmethod
    def of(cls, n: int, room: Room, *, c: bool, inner: bool) -> Zone:
        """Arrays for ``n`` units; with rows for ``c`` and ``inner``, or without."""
        shape = room.lanes, padded(n, room.dtype)
        counts = room.rows, room.rows * c, room.rows * inner, 2, 2
        rows = [zeros((count, *shape), room.dtype) for count in counts]
        return cls(*rows, *(zeros(shape, room.dtype) for _ in range(4)))


@kernel
def draw(share, keys, salt, p, unit, n, first, last):
    """m of steps ``first`` to ``last``: 1 with probability p in training, p outside.

    share : out, (K, B, Hp).
    keys : in, (K, B).
    unit : what the first of the n units is to `uniform`.
    """
    for t in range(first, last):
        for b in range(share.shape[1]):
            key = keys[t, b]
            for j in range(n):
                if key == 0:
                    share[t, b, j] = p
                elif uniform(key, salt, unit + j) < p:
                    share[t, b, j] = 1.0
                else:
                    share[t, b, j] = 0.0


@kernel
def copy_row(a, i, b, j):
    """Row j of ``b`` (..., B, Hp), out, = row i of ``a`` (..., B, Hp), in."""
    row = a.shape[1] * a.shape[2]
    for at in range(0, row, lanes(a)):
        store(b, j * row + at, load(a, i * row + at))


@kernel
def mix(share, states, t):
    """Step t of ``states`` (K+1, B, Hp), in, out; share (K, B, Hp) in."""
    row = states.shape[1] * states.shape[2]
    for at in range(t * row, (t + 1) * row, lanes(states)):
        m = load(share, at)
        store(states, at + row, m * load(states, at) + (1.0 - m) * load(states, at + row))


@kernel
def split(share, t, error, held, through):
    """``error`` of step t, in, as m and 1 - m of it, out; (B, Hp) each, share (K, B, Hp) in."""
    for at in range(0, error.size, lanes(error)):
        m, here = load(share, t * error.size + at), load(error, at)
        store(held, at, m * here)
        store(through, at, (1.0 - m) * here)
