"""One piece of a `Feed`, checked and copied."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..arrays import array_of, marks_of, targets_of
from ..errors import ShapeError
from .column import IGNORE, Column, series
from .names import Laned, Names, Rows

__all__ = ["Piece", "form", "piece_of"]


class Piece(NamedTuple):
    """n steps of B lanes.

    x : (n, B) int32 ids, or (n, B, F) floats.
    targets : (n, B) int32 ids, or (n, B, O) floats; None if they are the next x.
    resets, skip : (n, B) bool, True where a new sequence begins, and where a step is skipped.
    counts : (n, B) bool, False where a target does not count.
    """

    x: NDArray
    targets: NDArray | None
    resets: NDArray[np.bool_]
    skip: NDArray[np.bool_]
    counts: NDArray[np.bool_]

    def since(self, first: int) -> Piece:
        """All but the first steps."""
        return Piece(*(None if part is None else part[first:] for part in self))

    def and_then(self, other: Piece) -> Piece:
        """Both, of the same form, one after the other."""
        return Piece(
            *(
                None if ours is None else np.concatenate([ours, theirs])
                for ours, theirs in zip(self, other, strict=True)
            )
        )


def piece_of(name: str, given: Any, batch: int | None) -> tuple[Piece, Names, Names | None] | None:
    """What a feed was handed as ``name``, and what entries of its x and of its targets are called.

    batch : lanes, for which arrays have an axis; None for one lane without an axis.

    Returns
    -------
    None if it is empty.

    Raises
    ------
    DataError, ShapeError : if it cannot be used.
    """
    names, (x, targets, *marks) = _parted(name, given)
    x, axes, there = array_of(names[0], x), 1 if batch is None else 2, None
    empty = x.ndim > 0 and len(x) == 0
    x = x if empty else series(names[0], x, batch)
    if targets is not None:
        targets, there = targets_of(names[1], targets, axes)
        if targets.shape[:1] != x.shape[:1]:
            raise ShapeError(
                f"{names[1]} must have the {len(x)} steps of {names[0]}, got shape {targets.shape}"
            )
    if empty:
        return None
    lanes = (len(x), batch or 1)
    marks = (marks_of(*mark, x.shape[:axes]) for mark in zip(names[2:], marks, strict=True))
    resets, skip = (
        np.zeros(lanes, np.bool_) if mark is None else mark.reshape(lanes).copy() for mark in marks
    )
    counts = ~skip if there is None else ~skip & there.reshape(lanes)
    rows, x_names = _laned(names[0], x, batch, 0)
    if targets is None:
        return Piece(rows, None, resets, skip, counts), x_names, None
    aims, aim_names = _laned(
        names[1], series(names[1], targets, batch), batch, IGNORE, counts.reshape(-1)
    )
    return Piece(rows, aims, resets, skip, counts), x_names, aim_names


def _parted(name: str, given: Any) -> tuple[list[str], list[Any]]:
    """What x, targets, resets and skip are called, and they themselves."""
    if isinstance(given, tuple):
        if not 1 <= len(given) <= 4:
            raise ShapeError(
                f"{name} must be x, (x, targets), (x, targets, resets) or (x, targets, resets, "
                f"skip), got {len(given)} parts"
            )
        return [f"{name}[{i}]" for i in range(4)], [*given, None, None, None][:4]
    if isinstance(given, list) and any(getattr(one, "ndim", 0) for one in given):
        raise ShapeError(f"{name} is a list of arrays: take a tuple (x, targets), or one array")
    return [name] * 4, [given, None, None, None]


def _laned(
    name: str, array: NDArray, batch: int | None, lowest: int, counts: NDArray | None = None
) -> tuple[NDArray, Names]:
    """A copy, (n, B) int32 or (n, B, F) floats, checked; and what its entries are called."""
    lanes = (len(array), batch or 1)
    rows = array if batch is None else array.reshape(-1, *array.shape[2:])
    names = Rows(name, array.ndim) if batch is None else Laned(name, array.ndim, batch)
    return Column(rows, names, lowest, counts).gather(np.arange(len(rows)).reshape(lanes)), names


def form(array: NDArray) -> str:
    """Of (n, B) ids or (n, B, F) floats, what all pieces must share."""
    return "ids" if array.ndim == 2 else f"{array.shape[2]} features"
