"""What is said of steps besides their input, lane by lane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOTHING", "Marked", "Marks"]


class Marks(NamedTuple):
    """What is said of k steps of B lanes; None where there is nothing to say.

    resets : (k, B) bool, True where a new sequence begins, before which the state is zero.
    skip : (k, B) bool, True where state and loss pass over a step: padding, or a gap.
    keys : (k, B) uint64, from which layers draw that are random in training; None outside it.
    """

    resets: NDArray | None = None
    skip: NDArray | None = None
    keys: NDArray | None = None

    def or_nothing(self) -> Marks:
        """`NOTHING` itself, if that is what they say."""
        return NOTHING if all(marks is None for marks in self) else self

    def settled(self) -> Marks:
        """With a reset also where a lane goes on, if one lies among the skipped steps before."""
        if self.resets is None or self.skip is None or not (self.resets & self.skip).any():
            return self
        resets, begins = self.resets.copy(), np.zeros(self.resets.shape[1], np.bool_)
        for t, skipped in enumerate(self.skip):
            begins |= resets[t]
            resets[t] |= begins & ~skipped
            begins &= skipped
        return self._replace(resets=resets)

    def steps(self, first: int, last: int) -> Marks:
        """Those of steps ``first`` to ``last``."""
        if self is NOTHING:
            return self
        return Marks(*(None if marks is None else marks[first:last] for marks in self))

    def lanes(self, first: int, last: int) -> Marks:
        """Those of lanes ``first`` to ``last``."""
        if self is NOTHING:
            return self
        return Marks(*(None if marks is None else marks[:, first:last] for marks in self))

    def filled(self, steps: int, lanes: int) -> Marks:
        """With zeros, which say nothing, instead of None, but for the keys."""
        resets, skip = (
            np.zeros((steps, lanes), np.bool_) if marks is None else marks
            for marks in (self.resets, self.skip)
        )
        return Marks(resets, skip, self.keys)

    def after(self, older: Marks) -> Marks:
        """Those of the steps that ``older`` is said of, and then these."""
        return Marks(
            *(
                None if old is None or new is None else np.concatenate([old, new])
                for old, new in zip(older, self, strict=True)
            )
        )


NOTHING = Marks()


@dataclass(eq=False)
class Marked:
    """One kind of marks on a tape.

    rows : (K, B), zero where there is nothing to say.
    some : whether there may be anything else; where there is not, nothing need be looked up.
    stops : of skipped steps, whether loops over time have to stop there.
    """

    rows: NDArray
    some: bool = False
    stops: bool = False

    @classmethod
    def of(cls, rows: int, lanes: int, trains: bool) -> Marks:
        """One for each of `Marks`, for a tape of so many rows and lanes.

        trains : whether a layer looks at the keys; if not, there is no room for them.
        """
        resets, skip = (cls(np.zeros((rows, lanes), np.bool_)) for _ in range(2))
        return Marks(resets, skip, cls(np.zeros((rows if trains else 0, lanes), np.uint64)))

    def write(self, first: int, last: int, given: NDArray | None) -> None:
        """Say ``given`` of steps ``first`` to ``last``."""
        if given is not None:
            self.rows[first:last] = given
            self.some = self.some or bool(given.any())
        elif self.some:
            self.rows[first:last] = 0

    def forget(self) -> None:
        """Say nothing of any step."""
        if self.some:
            self.rows.fill(0)
            self.some = self.stops = False
