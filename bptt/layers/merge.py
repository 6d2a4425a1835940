"""How the outputs of two directions become one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from numpy.typing import NDArray

__all__ = ["CONCAT", "MERGES", "Merge", "check_merge"]

CONCAT = "concat"
"""The one that is no sum or product, number by number: outputs lie side by side."""


class Merge(NamedTuple):
    """y as a function of both outputs f and r (k, B, n), and its slopes by f and by r."""

    y: Callable[[NDArray, NDArray], NDArray]
    slopes: Callable[[NDArray, NDArray], tuple[NDArray | float, NDArray | float]]


MERGES: Mapping[str, Merge] = {
    "sum": Merge(lambda f, r: f + r, lambda f, r: (1.0, 1.0)),
    "mean": Merge(lambda f, r: (f + r) / 2, lambda f, r: (0.5, 0.5)),
    "product": Merge(lambda f, r: f * r, lambda f, r: (r, f)),
}


def check_merge(merge: str) -> None:
    """Refuse what is none of them.

    Raises
    ------
    ValueError : saying what came.
    """
    if merge not in (CONCAT, *MERGES):
        known = ", ".join(repr(name) for name in (CONCAT, *MERGES))
        raise ValueError(f"merge must be one of {known}, got {merge!r}")
