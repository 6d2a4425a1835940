"""What a window knows of its steps besides their input, lane by lane."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .kernels.target import zeros
from .layers.marks import Marked, Marks
from .layers.tape import Kept

__all__ = ["Notes"]


class Notes:
    """Notes on ``capacity`` steps, row by row of the tape; layers read them where they lie.

    Parameters
    ----------
    capacity, lanes : K and B.
    dtype : of ``back`` and ``shares``.
    trains : whether a layer reads keys and shares; if not, there is no room for them.

    Attributes
    ----------
    back : (K, B), by which the error that comes back to a step from the next is multiplied.
    marked : a `Marked` for each of `Marks`.
    shares : (K, B), by which the newest update multiplies the loss of each step.
    said : whether any marks were ever written.
    """

    def __init__(self, capacity: int, lanes: int, dtype: DTypeLike, trains: bool) -> None:
        self.trains = trains
        self.back = np.ones((capacity, lanes), dtype)
        self.marked = Marked.of(capacity, lanes, trains)
        self.shares = zeros(self.marked.keys.rows.shape, dtype)
        self.said = self._weighed = False

    def write(self, first: int, last: int, marks: Marks) -> None:
        """Say ``marks`` of steps ``first`` to ``last``."""
        self.said = True
        for marked, given in zip(self.marked, marks, strict=True):
            marked.write(first, last, given)
        skip = self.marked.skip
        if skip.some and not skip.stops:
            rows = skip.rows[max(0, first - 1) : last]
            skip.stops = bool((rows[:-1] & ~rows[1:]).any())

    def forget(self) -> None:
        """Say nothing of any step."""
        self.said = False
        for marked in self.marked:
            marked.forget()

    def resume(self) -> None:
        """Take what is in the rows for what was said."""
        self.said = True
        for marked in self.marked:
            marked.some = marked.stops = True

    def share(self, start: int, first: int, valid: NDArray, scale: float) -> None:
        """The losses of the steps from ``first`` on are multiplied by ``scale`` where ``valid``.

        Those of earlier steps, from ``start`` on, belong to earlier updates.
        """
        self.shares[start:first] = 0
        self.shares[first : first + len(valid)] = valid * scale

    def weigh(self, start: int, stop: int, weights: NDArray | None) -> None:
        """Multiply what comes back to the last of steps ``start`` to ``stop`` by ``weights``.

        weights : (k, 1); None for 1.
        """
        resets = self.marked.resets
        if weights is None and not self._weighed and not resets.some:
            return
        self._weighed = True
        if weights is None:
            self.back[start:stop] = 1
        else:
            self.back[stop - len(weights) : stop] = weights
        ends = resets.rows[start + 1 : stop]
        if ends.any():
            self.back[start : stop - 1][ends] = 0

    def kept(self) -> dict[str, Kept]:
        """By name, the marks, which go with the steps."""
        named = zip(Marks._fields, self.marked, strict=True)
        return {name: Kept(marked.rows, 0, 0) for name, marked in named if len(marked.rows)}

    def arrays(self) -> list[NDArray]:
        """All arrays."""
        return [self.back, self.shares, *(marked.rows for marked in self.marked)]
