"""One weight matrix, packed for the products that go forward and back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.calls import Call, Calls, perform
from ..kernels.crew import ALONE, Member, Part, meet, part_of, whole_part
from ..kernels.narrow import FEW, few_back, pack_few
from ..kernels.outer import accumulate, scratch_sizes
from ..kernels.packing import FULL, pack, pack_transposed, padded_halves, panels_of, unpadded
from ..kernels.product import step_back, step_products
from ..kernels.target import empty, lanes_of, padded, zeros
from .lookup import Lookup

__all__ = ["PackedWeights", "Scratch", "own_steps"]


class Scratch(NamedTuple):
    """Room for `PackedWeights.gradients`, shared by all layers of a window.

    parts : of each member of a crew, what `accumulate` needs. The last array is the same for all.
    """

    parts: list[tuple[NDArray, NDArray, NDArray]]

    @staticmethod
    def sizes(n: int, units: int, gates: int, dtype: DTypeLike) -> tuple[int, int, int]:
        """What weights with ``n`` rows, bias included, need."""
        return scratch_sizes(n, gates * padded(units, dtype), dtype)

    @classmethod
    def of(cls, needs: list[tuple[int, int, int]], dtype: DTypeLike, members: int = 1) -> Scratch:
        """Enough for each of ``needs``, for so many members."""
        panel, rows, sums = (max(sizes) for sizes in zip(*needs, strict=True))
        shared = empty((sums,), dtype)
        own = [(empty((panel,), dtype), empty((rows,), dtype)) for _ in range(members)]
        return cls([(*pair, shared) for pair in own])


class PackedWeights:
    """W (K, G·N) and b (G·N,) as the kernels read them; pack again when they have changed.

    Parameters
    ----------
    width : vectors of a panel; of a cell that takes its gates from one tile, as many as it has.

    Attributes
    ----------
    packed : W for ``x @ W``: its panels, flat; the runs of x, as a `tile` knows them; as in
        `panels_of`; and as in `padded_halves`.
    transposed : W.T for ``g @ W.T``, its rows interleaved, in the same form.
    calls : of the kernels that read them, those of the layer among them.
    """

    def __init__(
        self, n_in: int, units: int, gates: int, dtype: DTypeLike, width: int = FULL
    ) -> None:
        self.n_in, self.units, self.gates = n_in, units, gates
        self.calls = Calls()
        columns, size = gates * padded(units, dtype), lanes_of(dtype)
        panels = panels_of(columns // size, width)
        panels_back = panels_of(padded(n_in, dtype) // size, FULL)
        self.packed = (
            empty((n_in * columns,), dtype),
            unpadded(1, n_in, dtype),
            panels,
            padded_halves(gates, units, width, dtype),
        )
        self.transposed = (
            empty((gates * units * padded(n_in, dtype),), dtype),
            unpadded(gates, units, dtype),
            panels_back,
            padded_halves(1, n_in, FULL, dtype),
        )
        self._vectors = padded(units, dtype) // size
        self._whole, self._whole_back = (0, panels[0]), (0, panels_back[0])
        self._alone = whole_part(self._vectors)
        self._parts: dict[int, Part] = {}
        self.bias = zeros((columns,), dtype)
        self._no_bias = np.zeros(0, dtype)
        self._few = zeros((n_in, columns), dtype) if n_in <= FEW else None
        self._zeros = zeros((padded(n_in, dtype),), dtype)

    def packing(self, w: NDArray, b: NDArray | None = None) -> list[Call]:
        """What packs for going forward; ``b`` may be of the last gates alone."""
        out, _, panels, _ = self.packed
        bias = self._no_bias if b is None else b, self.gates, panels, out, self.bias
        return _reading(w, lambda w: [self.calls.bind(pack, w, *bias)])

    def packing_transposed(self, w: NDArray) -> list[Call]:
        """What packs for going back."""

        def calls(w: NDArray) -> list[Call]:
            both = [(pack_transposed, self.transposed[0])]
            both += [] if self._few is None else [(pack_few, self._few)]
            return [self.calls.bind(kernel, w, self.gates, to) for kernel, to in both]

        return _reading(w, calls)

    def part(self, member: Member) -> Part:
        """What of the units is the member's."""
        number, members, told = member
        if members == 1:
            return self._alone
        part = self._parts.get(number, self._alone)
        if part[2] is not told:
            part = self._parts[number] = part_of(member, self._vectors)
        return part

    def _panels(self, member: Member) -> tuple[int, int]:
        """First and end of the panels of the member's own units."""
        if member[1] == 1:
            return self._whole
        first, end, first_panel, end_panel = self.part(member)[3:]
        return (first_panel, end_panel) if self.gates == 1 else (first, end)

    def meeting(self, member: Member) -> list[Call]:
        """That of all members, if there are others."""
        return [self.calls.bind(meet, *member)] if member[1] > 1 else []

    def products(
        self, x: NDArray | Lookup, first: int, last: int, y: NDArray, member: Member = ALONE
    ) -> list[Call]:
        """Steps ``first`` to ``last`` of y (K, B, G·Np) = x @ W + b, x (K, B, n_in or wider).

        member : whose units are computed; the first's are all, and others wait, if x is a `Lookup`.
        """
        if isinstance(x, Lookup):
            calls: list[Call] = []
            if member[0] == 0:
                rows = x.rows(y.shape[2])
                calls = self.products(x.table, 0, len(rows), rows)
                calls.append(partial(x.spread, rows, first, last, y))
            return calls + self.meeting(member)
        panels = self._panels(member)
        return [self.calls.bind(step_products, x, self.packed, self.bias, y, first, last, *panels)]

    def error_products(self, g: NDArray, first: int, last: int, dx: NDArray) -> Call:
        """Steps ``first`` to ``last`` of dx (K, B, padded n_in) = g @ W.T, for g (K, B, G·Np)."""
        if self._few is not None:
            return self.calls.bind(few_back, g, self._few, dx, first, last)
        w, panels = self.transposed, self._whole_back
        return self.calls.bind(step_products, g, w, self._zeros, dx, first, last, *panels)

    def back_step(self, g: NDArray, step: int, dx: NDArray) -> None:
        """One ``step`` of dx (B, padded n_in) = g @ W.T, bit by bit as in a loop over time."""
        self.calls.bind(step_back, g, step, self.transposed, self._zeros, dx)()

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
        member: Member = ALONE,
    ) -> list[Call]:
        """The gradients of weights, bias and x from errors g of x @ Wx + h @ Wh + b.

        Parameters
        ----------
        first, last : steps.
        x, h : in, (K, B, at least the rows of Wx or Wh).
        g : in, (K, B, G·Np), interleaved.
        out : out, dWx (I, G·N), dWh (H, G·N) and db of the last columns; H may be 0.
        dx : out, (K, B, I padded), or what a `Lookup` calls for; None if nobody wants it.
        member : whose share is computed: the gradients of its own units' weights, and dx at some of
            the steps. What there is to do for each id of a `Lookup` is the first's.
        """
        if not isinstance(x, Lookup):
            calls = [self.outer(accumulate, (x, h, g), (first, last), scratch, out, member)]
            if dx is not None:
                calls.append(self.error_products(g, *own_steps(member, first, last), dx))
            return calls
        (dwx, dwh, db), calls = out, []
        if member[0] == 0:
            rows, table = x.rows(g.shape[2]), x.table
            read, read_out = (table, table, rows), (dwx, dwh[:0], db)
            calls = [
                partial(x.collect, g, first, last, rows),
                self.outer(accumulate, read, (0, len(rows)), scratch, read_out),
            ]
            if dx is not None:
                calls.append(self.error_products(rows, 0, len(rows), dx))
        calls += self.meeting(member)
        if len(dwh):
            rest = dwh, dwh[:0], db
            calls.append(self.outer(accumulate, (h, h, g), (first, last), scratch, rest, member))
        return calls

    def outer(
        self,
        kernel: Callable[..., None],
        arrays: tuple[NDArray, ...],
        steps: tuple[int, int],
        scratch: Scratch,
        out: tuple[Any, ...],
        member: Member = ALONE,
    ) -> Call:
        """A sum of outer products for the member's own units, by `accumulate` or another ``kernel``
        that takes the same after its ``arrays``."""
        wanted = *self.packed[2:], *self._panels(member)
        own = scratch.parts[member[0]], out, wanted
        return self.calls.bind(kernel, *arrays, steps, self.gates, *own)


def _reading(w: NDArray, calls: Callable[[NDArray], list[Call]]) -> list[Call]:
    """``calls`` of kernels that read ``w``, or first copy it if it lies as they do not read it."""
    if w.flags.c_contiguous:
        return calls(w)
    copy = np.empty(w.shape, w.dtype)
    return [partial(perform, [partial(np.copyto, copy, w), *calls(copy)])]


def own_steps(member: Member, first: int, last: int) -> tuple[int, int]:
    """First and end of the member's share of steps, of what is done for each by itself."""
    number, members, _ = member
    if members == 1:
        return first, last
    steps = last - first
    return first + steps * number // members, first + steps * (number + 1) // members
