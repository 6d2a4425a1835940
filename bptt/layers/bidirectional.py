"""Two layers over the same sequence, one from either end (Schuster & Paliwal 1997)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.calls import Call
from ..kernels.target import padded, zeros
from .base import Layer
from .both_ways import REVERSE, apart, both, joined
from .lookup import Lookup
from .merge import CONCAT, MERGES, check_merge
from .reversal import add_turned, reverse_order, turn
from .tape import Direction, Kept, Room, Span, Tape
from .weights import Scratch

__all__ = ["Bidirectional"]

_SALT = 1 << 16
"""Added to a layer's salt, which is small, for the draws of its reverse direction."""


@dataclass(frozen=True)
class Bidirectional(Layer):
    """``layer`` in both directions, each with parameters of its own, outputs side by side.

    ::

        y_t = [f_t, r_t]      f: layer(x_1 ... x_T),  r: layer'(x_T ... x_1), turned round again

    (Schuster & Paliwal 1997; PyTorch's ``bidirectional=True``.) Where a lane holds several
    sequences, each direction reads each by itself, from its first step to its last or the other
    way, and passes over what is skipped, such as padding, where ``y`` means nothing.

    It reads whole sequences, and what would cut a sequence is refused. Memory grows with the
    longest.

    Parameters
    ----------
    layer : any that carries state, such as `RNN`, `LSTM` or `GRU`.
    merge : what y_t is of both: "concat" for [f_t, r_t], 2n features; "sum", "mean" or "product",
        unit by unit, for n.

    Parameters in the model: those of ``layer``, and the same with ``_reverse`` at the end of their
    names.

    State: that of ``layer``, and the same with ``_reverse``. What comes in is where each direction
    begins, and what goes out is where it ends: ``h`` at the last step, ``h_reverse`` at the first.
    Where a lane holds several sequences it is the first that begins, and the last that ends there.

    Raises
    ------
    TypeError : if ``layer`` is not a layer.
    ValueError : if it carries no state, or ``merge`` is none of the four.
    """

    layer: Layer
    merge: str = field(default=CONCAT, kw_only=True)
    whole: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Layer):
            raise TypeError(f"Bidirectional takes a layer, got {self.layer!r}")
        if not self.layer.carried:
            raise ValueError(
                f"Bidirectional takes a layer that carries state, but {self.layer} carries none"
            )
        check_merge(self.merge)

    @property
    def reads_lookups(self) -> bool:
        return self.layer.reads_lookups

    @property
    def trains(self) -> bool:
        return self.layer.trains

    @property
    def directions(self) -> tuple[tuple[str, Layer], ...]:
        inside = self.layer.directions
        return (*inside, *((REVERSE, layer) for _, layer in inside))

    @property
    def sizes(self) -> tuple[int, int]:
        n_in, n = self.layer.sizes
        return n_in, 2 * n if self.merge == CONCAT else n

    def states(self) -> dict[str, int]:
        return both(self.layer.states())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return both(self.layer.shapes())

    def buffers(self) -> dict[str, tuple[int, ...]]:
        return both(self.layer.buffers())

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        for part in apart(params):
            self.layer.initialize(part, rng)

    def weights(self, dtype: DTypeLike) -> tuple[Any, Any]:
        return self.layer.weights(dtype), self.layer.weights(dtype)

    def packing(self, params: Mapping[str, NDArray], weights: tuple[Any, Any]) -> list[Call]:
        ways = zip(apart(params), weights, strict=True)
        return [call for way in ways for call in self.layer.packing(*way)]

    def packing_back(self, params: Mapping[str, NDArray], weights: tuple[Any, Any]) -> list[Call]:
        ways = zip(apart(params), weights, strict=True)
        return [call for way in ways for call in self.layer.packing_back(*way)]

    def scratch_sizes(self, dtype: DTypeLike) -> tuple[int, int, int]:
        return self.layer.scratch_sizes(dtype)

    def tape(self, x: NDArray | Lookup, room: Room) -> Tape:
        if isinstance(x, Lookup):
            turned = Lookup(np.zeros_like(x.ids), x.shape, room.dtype)
        else:
            turned = zeros(x.shape, room.dtype)
        y = zeros((room.rows, room.lanes, padded(self.sizes[1], room.dtype)), room.dtype)
        ways = (
            self.layer.tape(x, room),
            self.layer.tape(turned, room._replace(salt=room.salt + _SALT)),
        )
        states, errors = (joined(*(getattr(w, of) for w in ways)) for of in ("states", "errors"))
        order = np.zeros((room.rows, room.lanes), np.int64)
        read = zeros((0 if self.merge == CONCAT else room.rows, *y.shape[1:]), room.dtype)
        return _Tape(
            x, y, states, None, errors=errors, fresh=room.fresh, skip=room.skip, order=order,
            ways=ways, turned=read,
        )  # fmt: skip

    def forward(self, weights: tuple[Any, Any], tape: _Tape, first: int, last: int) -> None:
        n, order, (ahead, reverse) = self.layer.sizes[1], tape.order, tape.ways
        reverse_order(tape.fresh.rows, tape.skip.rows, first, last, order)
        if isinstance(tape.x, Lookup):
            reverse.x.table = tape.x.table
            reverse.x.ids[first:last] = np.take_along_axis(tape.x.ids, order[first:last], axis=0)
        else:
            turn(tape.x, 0, order, first, last, tape.x.shape[2], reverse.x, 0)
        for packed, way in zip(weights, tape.ways, strict=True):
            self.layer.forward(packed, way, first, last)
        y, f = tape.y[first:last, :, :n], ahead.y[first:last, :, :n]
        if self.merge == CONCAT:
            y[...] = f
            turn(reverse.y, 0, order, first, last, n, tape.y, n)
        else:
            turn(reverse.y, 0, order, first, last, n, tape.turned, 0)
            y[...] = MERGES[self.merge].y(f, tape.turned[first:last, :, :n])

    def backward(
        self,
        weights: tuple[Any, Any],
        tape: _Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> int:
        first, last, order = steps.first, steps.last, tape.order
        errors = tape.errors_beside(dx)
        self._part(tape, steps, dy, errors)
        spans = steps, steps._replace(errors_from=first)
        below = dx, errors.dx
        for i, part in enumerate(apart(grads)):
            self.layer.backward(
                weights[i], tape.ways[i], spans[i], errors[i], below[i], part, scratch
            )
        if dx is not None and isinstance(tape.x, Lookup):
            dx += errors.dx
        elif dx is not None:
            add_turned(errors.dx, order, first, last, dx)
        return first

    def _part(self, tape: _Tape, steps: Span, dy: NDArray, errors: _Errors) -> None:
        """The error of what each direction put out, from that of the output."""
        (first, last), order, n = steps[:2], tape.order, self.layer.sizes[1]
        down = slice(steps.errors_from, last), slice(None), slice(n)
        if self.merge == CONCAT:
            errors.ahead[down] = dy[down]
            turn(dy, n, order, first, last, n, errors.reverse, 0)
        else:
            f, r = tape.ways[0].y[down], tape.turned[down]
            by_f, by_r = MERGES[self.merge].slopes(f, r)
            # The reverse direction's share is turned by way of the forward one's room.
            errors.ahead[down] = by_r * dy[down]
            turn(errors.ahead, 0, order, first, last, n, errors.reverse, 0)
            errors.ahead[down] = by_f * dy[down]
        errors.reverse[first:last][order[first:last] < steps.errors_from] = 0

    def exact(self) -> Bidirectional:
        return Bidirectional(self.layer.exact(), merge=self.merge)

    def state_errors(self, weights: tuple[Any, Any], tape: _Tape, first: int) -> None:
        for packed, way in zip(weights, tape.ways, strict=True):
            self.layer.state_errors(packed, way, first)

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NoReturn:
        raise ValueError(f"{self} reads whole sequences, so it cannot run step by step")

    def settle(self, buffers: Mapping[str, NDArray], tapes: Sequence[_Tape]) -> None:
        for i, part in enumerate(apart(buffers)):
            self.layer.settle(part, [tape.ways[i] for tape in tapes])

    def __str__(self) -> str:
        merge = "" if self.merge == CONCAT else f", merge={self.merge!r}"
        return f"Bidirectional({self.layer}{merge})"


class _Errors(NamedTuple):
    """ahead, reverse : (K, B, n padded), the error of what each direction put out.
    dx : of the shape of ``dx``, what the reverse direction has for it; None if nobody wants it.
    """

    ahead: NDArray
    reverse: NDArray
    dx: NDArray | None


@dataclass(eq=False)
class _Tape(Tape):
    """The tapes of both directions, with their outputs side by side.

    order : (K, B) int64, which step the reverse direction reads at each row; and the other way.
    ways : the tape of the forward and of the reverse direction, the latter in that order.
    turned : (K, B, n padded), what the reverse direction put out, in the order of the steps; no
        rows if it lies in y.
    apart : `_Errors`; made when first needed.
    """

    order: NDArray | None = None
    ways: tuple[Tape, ...] = ()
    turned: NDArray | None = None

    def kept(self) -> dict[str, Kept]:
        """The output alone: no update goes on from what another left."""
        return {"y": Kept(self.y, 1, 0)}

    def errors_beside(self, dx: NDArray | None) -> _Errors:
        """`apart`, with a ``dx`` if one is given."""
        if self.apart is None:
            self.apart = _Errors(*(zeros(way.y.shape, way.y.dtype) for way in self.ways), None)
        if dx is None:
            return self.apart._replace(dx=None)
        if self.apart.dx is None:
            self.apart = self.apart._replace(dx=zeros(dx.shape, dx.dtype))
        return self.apart

    def directions(self) -> tuple[Direction, ...]:
        ahead, reverse = (way.directions() for way in self.ways)
        return (*ahead, *(way._replace(order=self.order) for way in reverse))

    def arrays_in_all(self) -> list[NDArray]:
        arrays = [*super().arrays_in_all(), self.order, self.turned]
        for way in self.ways:
            arrays += way.arrays_in_all()
        return arrays
