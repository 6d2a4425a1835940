"""What a layer is: sizes and options, what it keeps on the tape, the way forward and back.

A layer holds no arrays. Its parameters, packed weights and tape are handed to it, so one layer
can be at work in several threads, each with lanes of its own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..checks import check_count
from ..kernels.calls import Call, perform
from .crew import Crew
from .lookup import Lookup
from .marks import Marked
from .weights import Scratch

__all__ = ["Layer", "Room", "Span", "Tape", "check_size"]

Arrays = Mapping[str, NDArray]


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
    ended : the steps that are padding, after the last of a lane's sequence.
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
    ended: Marked
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
    fresh : as in `Room`; None for layers without state.
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

    def kept(self) -> dict[str, Kept]:
        """By name, what later updates need of steps that an earlier one ran."""
        kept = {name: Kept(rows, 1, 1) for name, rows in self.states.items()}
        kept |= {name: Kept(rows, gates, 0) for name, (rows, gates) in self.gates.items()}
        if not self.states and not isinstance(self.y, Lookup):
            kept["y"] = Kept(self.y, 1, 0)
        return kept

    def arrays_in_all(self) -> list[NDArray]:
        """Every array that this tape holds, views of others among them."""
        groups = (self.states.values(), self.errors.values(), self.arrays or (), self.apart or ())
        found = [array for group in groups for array in group]
        return [array for array in (self.x, self.y, *found) if isinstance(array, np.ndarray)]


@dataclass(frozen=True)
class Layer(ABC):
    """One layer of a `Model`; frozen."""

    reads_ids: ClassVar[bool] = False
    """Whether the input is (T, B) integers below ``n_in``."""
    reads_lookups: ClassVar[bool] = False
    """Whether the input may be a `Lookup`."""
    trains: ClassVar[bool] = False
    """Whether it works otherwise in training, where `Room.keys` are not zero."""
    whole: ClassVar[bool] = False
    """Whether it reads whole sequences: each `forward` then goes from row 0, where all lanes begin,
    to where all end."""
    at_once: ClassVar[bool] = False
    """Whether in training `forward` must see all new steps of an update in one call, so that they
    cannot be run again stretch by stretch."""
    carried: ClassVar[tuple[str, ...]] = ()
    """Names of the states that go from step to step, each (B, n_out). The first of those that are
    not `counters` is the output, or what the output differs from by the input; δ is its error."""
    counters: ClassVar[tuple[str, ...]] = ()
    """Those of `carried` that count steps, hold what was drawn, or what a penalty compares with: no
    part of the dynamics. None of the loss's error flows through them. The tape's ``errors`` lacks
    them, but for those that a penalty goes back through, and the gradient of an incoming one that
    it lacks is zero."""
    gate_names: ClassVar[tuple[str, ...]] = ()
    """Names of the gates that the tape keeps side by side as "z", each (B, n_out)."""
    gate_slopes: ClassVar[tuple[float, ...]] = ()
    """The largest slope of each gate's activation, which is that at zero."""

    @property
    def divides(self) -> bool:
        """Whether several threads can go through its tape together, each with some of the units."""
        return False

    @property
    def flowing(self) -> tuple[str, ...]:
        """Those of `carried` through which the loss's error flows."""
        return tuple(name for name in self.carried if name not in self.counters)

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, int]:
        """n_in and n_out."""

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Parameter name -> shape."""

    def buffers(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of what goes with the parameters and is saved, but not learned."""
        return {}

    def borrows(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of what is the transpose of a parameter of the bottom `Embedding`, which
        has the same name there."""
        return {}

    @abstractmethod
    def initialize(self, params: Arrays, rng: np.random.Generator) -> None:
        """Fill fresh parameters and buffers, which are zero.

        Here, in `packing`, `packing_back` and `step`, ``params`` holds the buffers too, and what is
        borrowed, which is not C-contiguous.
        """

    @abstractmethod
    def weights(self, dtype: DTypeLike) -> Any:
        """Room for the packed parameters, shared by all workers."""

    @abstractmethod
    def packing(self, params: Arrays, weights: Any) -> list[Call]:
        """What packs the parameters for `forward`."""

    @abstractmethod
    def packing_back(self, params: Arrays, weights: Any) -> list[Call]:
        """What packs the parameters for `backward`."""

    @abstractmethod
    def tape(self, x: NDArray | Lookup, room: Room) -> Tape:
        """A new tape for the input ``x``, the ``y`` of the tape below."""

    @abstractmethod
    def scratch_sizes(self, dtype: DTypeLike) -> tuple[int, int, int]:
        """What `backward` needs of a `Scratch`."""

    @abstractmethod
    def forward(self, weights: Any, tape: Tape, first: int, last: int) -> None:
        """Run steps ``first`` to ``last``."""

    def forward_calls(self, weights: Any, tape: Tape, first: int, last: int) -> list[Call]:
        """What `forward` does, listed: to be done again and again while ``tape.fresh.some`` stays
        as it is."""
        return [partial(self.forward, weights, tape, first, last)]

    def backward(
        self,
        weights: Any,
        tape: Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Arrays,
        scratch: Scratch,
    ) -> int:
        """Go back through ``steps``: by default, make the `backward_calls`.

        Parameters
        ----------
        dy : in, (K, B, n_out padded), zero in the padding; read from ``steps.errors_from`` on.
        dx : out, (K, B, n_in padded), or of the shape of a `Lookup`; None if nobody wants it.
        grads : out, parameter name -> gradient, borrowed ones too; overwritten.

        Returns
        -------
        The first step for which ``dx`` was written.
        """
        listed = self.backward_calls(weights, tape, steps, dy, dx, grads, scratch)
        if listed is None:
            raise NotImplementedError(f"{type(self).__name__} must say how it goes back")
        perform(listed[0])
        return listed[1]

    def backward_calls(
        self,
        weights: Any,
        tape: Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Arrays,
        scratch: Scratch,
    ) -> tuple[list[Call], int] | None:
        """What `backward` does, listed like `forward_calls`, and what it returns; None if that is
        not known before it has done it."""
        return None

    @abstractmethod
    def step(
        self, params: Arrays, x: NDArray, before: NDArray, after: NDArray, start: int
    ) -> NDArray:
        """One time step straight from the parameters, for calls too short to repay packing.

        x : in, (B,) ids or (B, n_in).
        before, after : in, and out: flat states of the model. This layer's, (B, n_out) each in the
            order of `carried`, lie side by side from ``start`` on.

        Returns
        -------
        y : (B, n_out).
        """

    def settle(self, buffers: Arrays, tapes: Sequence[Tape]) -> None:
        """After an update, bring the buffers up to date from the tapes of all workers."""
        if buffers:
            raise NotImplementedError(f"{type(self).__name__} has buffers, so it must say how")

    def exact(self) -> Layer:
        """The same layer, but surely going back by the derivative of what it does forward."""
        return self

    def state_errors(self, weights: Any, tape: Tape, first: int) -> None:
        """Turn ``tape.errors`` into the gradient of the state that came in at step ``first``."""
        if self.flowing:
            raise NotImplementedError(f"{type(self).__name__} carries state, so it must say how")

    def __str__(self) -> str:
        given = [str(size) for size in self.sizes]
        for option in fields(self):
            value = getattr(self, option.name)
            if option.kw_only and value != option.default:
                given.append(f"{option.name}={value!r}")
        return f"{type(self).__name__}({', '.join(given)})"


def check_size(**sizes: int) -> None:
    """Refuse sizes that are not positive integers.

    Raises
    ------
    ValueError : naming the size.
    """
    for name, size in sizes.items():
        check_count(name, size)
