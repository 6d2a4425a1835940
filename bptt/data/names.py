"""What callers call the entries of their arrays, whose rows lie in a `Column`.

Each has ``name`` and ``entry(row, *features)``: the array's own name, and the index in it of an
entry in row ``row`` of the column. It has as many axes as the array.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Entry", "Labels", "Laned", "Names", "Parts", "Rows"]

Entry: TypeAlias = tuple[str, tuple[int, ...]]
"""An array's name, and an index."""


class Rows(NamedTuple):
    """Of one array of ``ndim`` axes, a row for each step."""

    name: str
    ndim: int

    def entry(self, row: int, *features: int) -> Entry:
        return self.name, (row, *features)[: self.ndim]


class Laned(NamedTuple):
    """Of one array of ``ndim`` axes, the first two of them steps and ``lanes``."""

    name: str
    ndim: int
    lanes: int

    def entry(self, row: int, *features: int) -> Entry:
        return self.name, (*divmod(row, self.lanes), *features)[: self.ndim]


class Parts(NamedTuple):
    """Of arrays in a list, end to end, each from its ``starts`` on and of its ``ndims`` axes."""

    name: str
    starts: NDArray[np.intp]
    ndims: list[int]

    def entry(self, row: int, *features: int) -> Entry:
        part = _part(self.starts, row)
        index = (row - self.starts[part], *features)
        return f"{self.name}[{part}]", index[: self.ndims[part]]


class Labels(NamedTuple):
    """Of one array of ``ndim`` axes, an entry for each of the parts that begin at ``starts``."""

    name: str
    starts: NDArray[np.intp]
    ndim: int

    def entry(self, row: int, *features: int) -> Entry:
        part = _part(self.starts, row)
        return self.name, (part, *features)[: self.ndim]


def _part(starts: NDArray[np.intp], row: int) -> int:
    return int(np.searchsorted(starts, row, side="right")) - 1


Names: TypeAlias = Rows | Laned | Parts | Labels
