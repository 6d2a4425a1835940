"""Long sums over steps and lanes, run by run: one that has grown large loses the digits of what is
added to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["in_runs"]

_RUN = 3072
"""Steps and lanes of a run, at least."""


def in_runs(
    add_up: Callable[[int, int, NDArray], None], steps: tuple[int, int], lanes: int, out: NDArray
) -> None:
    """Write the sums over ``steps``, of so many lanes, to ``out``.

    add_up : writes the sums over the steps from the first to the second number to its array.
    out : out, (V, ...). A run has more steps and lanes than it has rows, so that these are seldom
        gone over.
    """
    first, last = steps
    run = max(1, max(_RUN, 2 * len(out)) // lanes)
    add_up(first, min(first + run, last), out)
    more = np.empty_like(out) if last > first + run else out
    for start in range(first + run, last, run):
        add_up(start, min(start + run, last), more)
        out += more
