"""What a layer is: sizes and options, what it keeps on the tape, the way forward and back.

A layer holds no arrays. Its parameters, packed weights and tape are handed to it, so one layer
can be at work in several threads, each with lanes of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..checks import check_count
from ..kernels.calls import Call, perform
from ..options import Options
from .lookup import Lookup
from .tape import Room, Span, Tape
from .weights import Scratch

__all__ = ["Layer", "check_size"]

Arrays = Mapping[str, NDArray]


@dataclass(frozen=True)
class Layer(Options):
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
    def directions(self) -> tuple[tuple[str, Layer], ...]:
        """What the names of each direction end with, and the layer that reads in it: "" and this
        one, but for layers around others."""
        return (("", self),)

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

    def states(self) -> dict[str, int]:
        """Name -> units of the states that a sequence begins and ends with: those that are
        `carried`, but for a layer that reads whole sequences."""
        return dict.fromkeys(self.carried, self.sizes[1])

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
        """What `forward` does, listed: to be done again and again while ``some`` and ``stops`` of
        ``tape.fresh`` and ``tape.skip`` stay as they are."""
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
