"""What a window is given to do: the steps of an update, and how their error goes back."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy.typing import NDArray

__all__ = ["Reach", "Task"]


class Task(NamedTuple):
    """The new steps of some lanes.

    x : (k, B) ids or (k, B, I).
    targets : (n, B, ...) for the last n <= k steps, as the loss reads them.
    valid : (n, B) bool.
    scale : of the error; one over the number of targets of all lanes makes it that of their mean.
    """

    x: NDArray
    targets: NDArray
    valid: NDArray
    scale: float


class Reach(NamedTuple):
    """How the error goes back, for all lanes alike.

    k2 : steps that it flows back, counted from the newest.
    keep : newest steps that the next window reaches back into. If there are none, the way back may
        write over what the way forward left.
    clip_delta : largest norm of δ_t of a lane; inf for none.
    weights : (k,), by which the error that comes back to each new step is multiplied; None for 1.
    want_dx : whether the gradient of x is wanted.
    segment : steps between two stored states, for a `RecomputedWindow`.
    """

    k2: int
    keep: int = 0
    clip_delta: float = math.inf
    weights: NDArray | None = None
    want_dx: bool = False
    segment: int = 0
