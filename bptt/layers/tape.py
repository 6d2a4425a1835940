"""A tape: what a layer leaves of each step on its way forward, for its way back.

Truncation is where the tape ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy import ndarray, take_along_axis
from numpy.typing import DTypeLike, NDArray

from .crew import Crew
from .lookup import Lookup
from .marks import Marked

__all__ = ["Direction", "Kept", "Room", "Span", "Tape"]


class Span(NamedTuple):
    """The steps of the tape that a backward pass covers.

    first, last : δ flows back from step ``last`` - 1 to step ``first``.
    errors_from : first step at which an error comes down from the layer above.
    clip_delta : largest norm of δ_t of a lane; inf for none.
    consume : whether no later pass needs these steps, so that `Layer.backward` may write its errors
        over what `Layer.forward` left.
    scale : by which losses were multiplied, for terms that a layer adds to them.
    """

    first: int
    last: int
    errors_from: int
    clip_delta: float = math.inf
    consume: bool = True
    scale: float = 0.0


class Room(NamedTuple):
    """What a tape is made for.

    rows, lanes : K and B.
    dtype : of its arrays.
    lookup_ids : the most ids for which the layer above wants a `Lookup`; 0 if it reads none.
    back : (K, B), by which the error that comes back to a step from the next is multiplied.
    fresh : the steps before which the state is zero, whatever the row before says.
    skip : the steps that state and loss pass over, such as padding: the state after one is that
        before it, its input is zero, and no error comes down to it.
    keys : of each step and lane, from which a layer draws that is random in training; zero outside.
    salt : of the layer, so that no two draw the same.
    shares : (K, B), by which the newest update multiplies the loss of each step: zero without a
        target, and for the steps of earlier updates. No rows if no layer `trains`.
    crew : the threads that go through it together; more than one if the layer `divides` alone.
    """

    rows: int
    lanes: int
    dtype: DTypeLike
    lookup_ids: int
    back: NDArray
    fresh: Marked
    skip: Marked
    keys: Marked
    salt: int
    shares: NDArray
    crew: Crew


class Kept(NamedTuple):
    """An array whose rows go with the steps.

    rows : (K + beyond, B, gates · padded), interleaved.
    gates : G, 1 for none.
    beyond : 1 for states, which have one row more than there are steps.
    """

    rows: NDArray
    gates: int
    beyond: int


@dataclass(eq=False)
class Tape:
    """The arrays of one layer for the lanes of one worker, time on axis 0.

    x : in, (K, B) ids, or the output of the layer below.
    y : out, (K, B, n_out padded to whole vectors); or a `Lookup`, if `Room.lookup_ids` allows.
    states : name -> (K+1, B, padded): row 0 is the state that came in, row t+1 that after step t.
    arrays : what the layer's own kernels need besides.
    gates : name -> ((K, B, G·padded) interleaved, G): besides x, y and the states, what `backward`
        needs of steps that an earlier update ran.
    apart : ``arrays`` with room of their own for errors; made when first needed.
    used : ``arrays`` or ``apart``, to which the newest way back wrote.
    errors : state name -> (B, padded): in, the error that arrives from beyond the last step; out,
        after `Layer.backward`, in the first of them δ of the first step; and after
        `Layer.state_errors`, the error of the state that came in.
    fresh, skip : as in `Room`; None for layers without state.
    norms : (K, B) float64, ‖δ_t‖ before clipping; None for layers without state.
    slopes : (K, G) float64, the slope of each gate's activation, added up over lanes and units,
        padding included, as `Layer.backward` met it; None for layers without gates.
    crew : as in `Room`.
    """

    x: NDArray | Lookup
    y: NDArray | Lookup
    states: dict[str, NDArray]
    arrays: Any
    gates: dict[str, tuple[NDArray, int]] = field(default_factory=dict)
    errors: dict[str, NDArray] = field(default_factory=dict)
    fresh: Marked | None = None
    norms: NDArray | None = None
    slopes: NDArray | None = None
    apart: Any = None
    used: Any = None
    crew: Crew = field(default_factory=Crew)
    skip: Marked | None = None

    @property
    def stops(self) -> bool:
        """Whether loops over time may have to stop: where a sequence begins, where a lane goes on
        after skipped steps, or where an error arrives at some."""
        return self.fresh.some or self.skip.stops

    def kept(self) -> dict[str, Kept]:
        """By name, what later updates need of steps that an earlier one ran."""
        kept = {name: Kept(rows, 1, 1) for name, rows in self.states.items()}
        kept |= {name: Kept(rows, gates, 0) for name, (rows, gates) in self.gates.items()}
        if not self.states and not isinstance(self.y, Lookup):
            kept["y"] = Kept(self.y, 1, 0)
        return kept

    def directions(self) -> tuple[Direction, ...]:
        """The tapes on which states lie, for each of `Layer.directions`."""
        return (Direction(self),)

    def arrays_in_all(self) -> list[NDArray]:
        """Every array that this tape holds, views of others among them."""
        groups = (self.states.values(), self.errors.values(), self.arrays or (), self.apart or ())
        found = [array for group in groups for array in group]
        return [array for array in (self.x, self.y, *found) if isinstance(array, ndarray)]


class Direction(NamedTuple):
    """A tape, and the order in which it has the steps.

    order : (K, B), the step of each row, and the row of each step; None if they are the same.
    """

    tape: Tape
    order: NDArray | None = None

    def in_time(self, rows: NDArray) -> NDArray:
        """``rows`` (k, B, ...) of the tape from row 0 on, step by step."""
        if self.order is None:
            return rows
        order = self.order[: len(rows)]
        return take_along_axis(rows, order.reshape(order.shape + (1,) * (rows.ndim - 2)), 0)
