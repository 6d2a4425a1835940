"""What a trainer reads: lanes of steps, from where all begin to where all end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .column import whole
from .names import Entry

__all__ = ["Chunk", "Reader", "Source"]


class Chunk(NamedTuple):
    """The next k time steps of every lane, C-contiguous.

    x : (k, B) int32 ids, or (k, B, F) floats.
    targets : (k, B) int32 ids, -1 = ignore, or (k, B, O) floats.
    mask : (k, B) bool, False where a target does not count: where a lane has ended (x is 0 there,
        the target -1 or 0.0), where a step is skipped, and in a burn-in; None if all count.
    resets : (k, B) bool, True where a new sequence begins; None if none does.
    ended : (k, B) bool, True where a lane has ended; None if none has.
    skip : (k, B) bool, True where a step is skipped though its lane has not ended; None if none is.
    source, start : what they were read from, and the first of its time steps.
    """

    x: NDArray
    targets: NDArray
    mask: NDArray[np.bool_] | None
    resets: NDArray[np.bool_] | None = None
    ended: NDArray[np.bool_] | None = None
    skip: NDArray[np.bool_] | None = None
    source: Source | None = None
    start: int = 0

    def located(self, error: DataError, left_out: int = 0) -> DataError:
        """``error`` about x or targets, said of the arrays that the source was given.

        left_out : how many of the targets were left out before the first.
        """
        if self.source is None or error.place is None:
            return error
        step, lane, *features = error.place
        step += self.start + (left_out if error.name == "targets" else 0)
        return DataError.at(*self.source.entry(error.name, step, lane, *features), error.said)


class Source(ABC):
    """Sequences in lanes.

    Attributes
    ----------
    batch : lanes, B.
    steps : time steps of a pass.
    longest : the most steps without a beginning of all lanes.
    features, outputs : F and O; None for ids.
    data_are_ids, targets_are_ids : whether they are ids rather than floats.
    id_limit, target_limit : the largest id plus one; None for floats, and where it is not known.
    """

    batch: int
    steps: int
    longest: int
    features: int | None
    outputs: int | None
    data_are_ids: bool
    targets_are_ids: bool
    id_limit: int | None
    target_limit: int | None

    @property
    def endless(self) -> bool:
        """Whether ``steps`` is not known, but larger than any number of them."""
        return False

    def arranged(self, epoch: int) -> Source:
        """The source as the pass number ``epoch`` reads it."""
        return self

    def begins(self, position: int) -> bool:
        """Whether all lanes begin anew at time step ``position``."""
        return position == 0

    def left(self, position: int) -> int:
        """Time steps from ``position`` to where all lanes begin anew, or to the end."""
        return self.steps - position

    def reader(self, start: int = 0) -> Reader:
        """A reader that stands at time step ``start``.

        Raises
        ------
        DataError : if ``start`` is not from 0 to ``steps``.
        """
        start = whole("start", start, at_least=0)
        if start > self.steps:
            raise DataError(f"start is {start}, but the stream has {self.steps} time steps")
        return Reader(self, start)

    @abstractmethod
    def signature(self) -> dict[str, int]:
        """What two sources must share for a position in one to mean the same in the other; among
        it ``batch`` and ``longest``."""

    @abstractmethod
    def places(self, start: int, stop: int) -> NDArray[np.intp]:
        """(k, B), where in the data the inputs of time steps ``start`` to ``stop`` lie."""

    @abstractmethod
    def chunk(self, start: int, stop: int) -> Chunk:
        """Time steps ``start`` to ``stop``, between which not all lanes begin anew; fewer where the
        end was not known."""

    @abstractmethod
    def entry(self, name: str, step: int, lane: int, *features: int) -> Entry:
        """Where in the arrays that were given an entry of ``name``, "x" or "targets", is."""


class Reader:
    """Reads a source chunk by chunk; ``position`` is the time step that comes next."""

    __slots__ = ("position", "source")

    def __init__(self, source: Source, position: int) -> None:
        self.source = source
        self.position = position

    @property
    def begins(self) -> bool:
        """Whether all lanes begin anew with the next step."""
        return self.source.begins(self.position)

    def take(self, k: int) -> Chunk | None:
        """The next ``k`` time steps, fewer before all lanes begin anew, None at the end.

        Raises
        ------
        DataError : if ``k`` is not a positive integer, or a memory map turns out to hold an id or a
            float that cannot be used; the position stays as it was.
        """
        k = whole("k", k, at_least=1)
        if self.position >= self.source.steps:
            return None
        stop = self.position + min(k, self.source.left(self.position))
        chunk = self.source.chunk(self.position, stop)
        self.position += len(chunk.x)
        return chunk
