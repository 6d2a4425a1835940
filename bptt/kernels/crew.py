"""Several threads in one loop over time: each has some of the units, and all meet at every step.

A *member* of a crew is a tuple: its number, how many there are, and what they tell each other. Of
a layer it has a *part*, a tuple for kernels: the member's three, then first and end of its own
units in vectors, and in panels of `FULL` vectors. Only whole panels are a member's own, so that
products going forward and back, and the cell between them, are of the same units.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .atomics import give_way, look, pause, tell
from .compile import kernel
from .packing import FULL, panel_bounds, panels_of

__all__ = ["ALONE", "Member", "Part", "free", "marks", "meet", "part_of", "whole_part"]

Member = tuple[int, int, np.ndarray]
Part = tuple[int, int, np.ndarray, int, int, int, int]

_LINE = 16
"""Numbers between those of two members: a line of the caches is written by one alone, and so is its
neighbour, as some CPUs fetch them in pairs."""
_PATIENCE = 200
"""Looks, of 12 to 50 ns each, before who waits offers its core to others, and then at each: to
those it waits for, if these were put on the same one."""
_GONE = 2**62
"""Mark of a member that no one need wait for any more."""


def marks(members: int) -> np.ndarray:
    """What the members of a crew tell each other, before they have met."""
    return np.zeros(members * _LINE, np.int64)


ALONE: Member = (0, 1, marks(1))
"""The one member of a crew of one."""


def free(member: Member) -> None:
    """Let no one wait for ``member``, which has failed."""
    number, _, told = member
    told[number * _LINE] = _GONE


def part_of(member: Member, vectors: int) -> Part:
    """The member's part of a layer of so many vectors of units."""
    number, members, _ = member
    panels = panels_of(vectors, int(FULL))
    count = panels[0]
    firsts = [panel_bounds(p, panels)[0] for p in range(count + 1)]

    def border(before: int) -> int:
        """The panel that begins nearest to the share of so many members."""
        return min(range(count + 1), key=lambda p: abs(firsts[p] * members - vectors * before))

    first, end = border(number), border(number + 1)
    return *member, firsts[first], firsts[end], first, end


@cache
def whole_part(vectors: int) -> Part:
    """That of a lone member."""
    return part_of(ALONE, vectors)


@kernel
def meet(number, members, told):
    """Go on when all members have come here as often: and then see what they have written."""
    if members > 1:
        now = told[number * _LINE] + 1
        tell(told, number * _LINE, now)
        for other in range(members):
            looks = 0
            while look(told, other * _LINE) < now:
                pause()
                looks += 1
                if looks > _PATIENCE:
                    give_way()
