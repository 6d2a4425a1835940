"""Two layers over the same sequence, one from either end (Schuster & Paliwal 1997)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.calls import Call
from ..kernels.target import padded, zeros
from .base import Layer
from .lookup import Lookup
from .marks import Marked
from .reversal import add_turned, reverse_order, turn
from .tape import Room, Span, Tape
from .weights import Scratch

__all__ = ["Bidirectional"]

_REVERSE = "_reverse"
"""At the end of the names of what the reverse direction has."""
_SALT = 1 << 16
"""Added to a layer's salt, which is small, for the draws of its reverse direction."""


@dataclass(frozen=True)
class Bidirectional(Layer):
    """``layer`` in both directions, each with parameters of its own, outputs side by side.

    ::

        y_t = [f_t, r_t]      f: layer(x_1 ... x_T),  r: layer'(x_T ... x_1), turned round again

    (Schuster & Paliwal 1997; PyTorch's ``bidirectional=True``.) Where a lane holds several
    sequences, or padding after them, each direction reads each sequence by itself, from its first
    step to its last or the other way. In padding ``y`` means nothing.

    It reads whole sequences: no state goes in or out, and what would cut a sequence is refused.
    Memory grows with the longest.

    Parameters
    ----------
    layer : any that carries state, such as `RNN`, `LSTM` or `GRU`.

    Parameters in the model: those of ``layer``, and the same with ``_reverse`` at the end of their
    names.

    Raises
    ------
    TypeError : if ``layer`` is not a layer.
    ValueError : if it carries no state.
    """

    layer: Layer
    whole: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Layer):
            raise TypeError(f"Bidirectional takes a layer, got {self.layer!r}")
        if not self.layer.carried:
            raise ValueError(
                f"Bidirectional takes a layer that carries state, but {self.layer} carries none"
            )

    @property
    def reads_lookups(self) -> bool:
        return self.layer.reads_lookups

    @property
    def trains(self) -> bool:
        return self.layer.trains

    @property
    def sizes(self) -> tuple[int, int]:
        n_in, n = self.layer.sizes
        return n_in, 2 * n

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return _both(self.layer.shapes())

    def buffers(self) -> dict[str, tuple[int, ...]]:
        return _both(self.layer.buffers())

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        for part in _apart(params):
            self.layer.initialize(part, rng)

    def weights(self, dtype: DTypeLike) -> tuple[Any, Any]:
        return self.layer.weights(dtype), self.layer.weights(dtype)

    def packing(self, params: Mapping[str, NDArray], weights: tuple[Any, Any]) -> list[Call]:
        ways = zip(_apart(params), weights, strict=True)
        return [call for way in ways for call in self.layer.packing(*way)]

    def packing_back(self, params: Mapping[str, NDArray], weights: tuple[Any, Any]) -> list[Call]:
        ways = zip(_apart(params), weights, strict=True)
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
        order = np.zeros((room.rows, room.lanes), np.int64)
        return _Tape(x, y, {}, None, fresh=room.fresh, ended=room.ended, order=order, ways=ways)

    def forward(self, weights: tuple[Any, Any], tape: _Tape, first: int, last: int) -> None:
        n, order, (ahead, reverse) = self.layer.sizes[1], tape.order, tape.ways
        reverse_order(tape.fresh.rows, tape.ended.rows, first, last, order)
        if isinstance(tape.x, Lookup):
            reverse.x.table = tape.x.table
            reverse.x.ids[first:last] = np.take_along_axis(tape.x.ids, order[first:last], axis=0)
        else:
            turn(tape.x, 0, order, first, last, tape.x.shape[2], reverse.x, 0)
        for packed, way in zip(weights, tape.ways, strict=True):
            self.layer.forward(packed, way, first, last)
        tape.y[first:last, :, :n] = ahead.y[first:last, :, :n]
        turn(reverse.y, 0, order, first, last, n, tape.y, n)

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
        n, down = self.layer.sizes[1], slice(steps.errors_from, last)
        errors = tape.errors_beside(dx)
        errors.ahead[down, :, :n] = dy[down, :, :n]
        turn(dy, n, order, first, last, n, errors.reverse, 0)
        errors.reverse[first:last][order[first:last] < steps.errors_from] = 0
        spans = steps, steps._replace(errors_from=first)
        below = dx, errors.dx
        for i, part in enumerate(_apart(grads)):
            for error in tape.ways[i].errors.values():
                error[...] = 0
            self.layer.backward(
                weights[i], tape.ways[i], spans[i], errors[i], below[i], part, scratch
            )
        if dx is not None and isinstance(tape.x, Lookup):
            dx += errors.dx
        elif dx is not None:
            add_turned(errors.dx, order, first, last, dx)
        return first

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
        for i, part in enumerate(_apart(buffers)):
            self.layer.settle(part, [tape.ways[i] for tape in tapes])

    def __str__(self) -> str:
        return f"Bidirectional({self.layer})"


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

    ended : as in `Room`.
    order : (K, B) int64, which step the reverse direction reads at each row; and the other way.
    ways : the tape of the forward and of the reverse direction, the latter in that order.
    apart : `_Errors`; made when first needed.
    """

    ended: Marked | None = None
    order: NDArray | None = None
    ways: tuple[Tape, ...] = ()

    def errors_beside(self, dx: NDArray | None) -> _Errors:
        """`apart`, with a ``dx`` if one is given."""
        if self.apart is None:
            self.apart = _Errors(*(zeros(way.y.shape, way.y.dtype) for way in self.ways), None)
        if dx is None:
            return self.apart._replace(dx=None)
        if self.apart.dx is None:
            self.apart = self.apart._replace(dx=zeros(dx.shape, dx.dtype))
        return self.apart

    def arrays_in_all(self) -> list[NDArray]:
        arrays = [*super().arrays_in_all(), self.order]
        for way in self.ways:
            arrays += way.arrays_in_all()
        return arrays


def _both(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The names of both directions."""
    return {**shapes, **{name + _REVERSE: shape for name, shape in shapes.items()}}


def _apart(arrays: Mapping[str, NDArray]) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Those of the forward and of the reverse direction, as the layer inside calls them."""
    ahead, reverse = {}, {}
    for name, array in arrays.items():
        if name.endswith(_REVERSE):
            reverse[name.removesuffix(_REVERSE)] = array
        else:
            ahead[name] = array
    return ahead, reverse
