"""New sequences in the middle of a window.

A row of a state is the output of one step and the input of the next. Where a new sequence begins
the next step must see zeros, and the output must stay. So the loops run stretch by stretch, from
one beginning to the next, and the row before a stretch is zero just while it runs::

    row      0 ... a ............. b ......... last
             `-----´`-------------´`-----------´      stretches
                   zero in the lanes that begin at step a
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .tape import Tape

__all__ = ["cleared", "stretches"]

Changes: TypeAlias = Callable[[Tape, int, int], NDArray[np.bool_]]


def stretches(tape: Tape, first: int, last: int, changes: Changes) -> list[tuple[int, int]]:
    """The steps ``first`` to ``last``, cut before each at which some lane begins anew.

    changes : of `skips`, where else to cut if some steps are skipped.
    """
    inside = tape.fresh.rows[first + 1 : last]
    if tape.skip.stops:
        inside = inside | changes(tape, first, last)
    if not inside.any():
        return [(first, last)]
    cuts = first + 1 + np.flatnonzero(inside.any(axis=1))
    edges = [first, *cuts.tolist(), last]
    return list(pairwise(edges))


@contextmanager
def cleared(tape: Tape, steps: Iterable[int]) -> Iterator[None]:
    """For a while, the state before each of ``steps`` is zero in the lanes that begin there."""
    saved = []
    for step in steps:
        lanes = np.flatnonzero(tape.fresh.rows[step])
        if lanes.size:
            for rows in tape.states.values():
                saved.append((rows[step], lanes, rows[step, lanes]))
                rows[step, lanes] = 0
    yield
    for row, lanes, values in saved:
        row[lanes] = values
