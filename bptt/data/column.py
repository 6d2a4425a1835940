"""Ids or rows of features that are read by their place in one long sequence."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import array_of
from ..errors import DataError, ShapeError
from .names import Names

__all__ = ["IGNORE", "Column", "series", "whole"]

IGNORE = -1
"""The target id that means that there is none."""
_LARGEST = np.iinfo(np.int32).max
_BLOCK = 1 << 20


class Column:
    """Ids or rows of features, read by position along the sequence.

    Parameters
    ----------
    given : (N,) integers, or (N,) or (N, F) floats, as `series` gives them.
    names : what its entries are called in errors.
    lowest : the smallest id.
    counts : (N,) bool, False where the value does not matter, and may be anything; None if all do.
    in_memory : whether all is checked now, and not as it is read.

    Attributes
    ----------
    array : (N,) integers or (N, F) floats, a view of what was given.

    Raises
    ------
    DataError : if an id or a float cannot be used.
    """

    def __init__(
        self,
        given: NDArray,
        names: Names,
        lowest: int,
        counts: NDArray[np.bool_] | None = None,
        *,
        in_memory: bool = True,
    ) -> None:
        self.names, self.lowest, self.counts = names, lowest, counts
        self.ids = given.dtype.kind in "iu"
        self.in_memory = in_memory
        self.array = given[:, None] if given.ndim == 1 and not self.ids else given
        self.features = None if self.ids else self.array.shape[1]
        self.limit = self._check_all() if in_memory else None

    def _check_all(self) -> int | None:
        """Check every value, a block at a time; the largest id plus one, None for floats."""
        rows = max(1, _BLOCK // (self.features or 1))
        largest = IGNORE
        for start in range(0, len(self.array), rows):
            block = self.array[start : start + rows]
            self._check(block, np.arange(start, start + len(block)))
            if self.ids:
                counted = block if self.counts is None else block[self.counts[start : start + rows]]
                largest = max(largest, int(counted.max()) if counted.size else IGNORE)
        return largest + 1 if self.ids else None

    def _check(self, values: NDArray, where: NDArray[np.intp]) -> None:
        """Refuse an id or a float that cannot be used; ``values`` lie at positions ``where``."""
        if self.ids:
            good = (values >= self.lowest) & (values <= _LARGEST)
            expected = f"an id from {self.lowest} to {_LARGEST}"
        else:
            good = np.isfinite(values)
            expected = "a finite number"
        if self.counts is not None:
            good |= ~self.counts[where].reshape(*where.shape, *[1] * (good.ndim - where.ndim))
        if good.all():
            return
        wrong = np.argwhere(~good)
        first = tuple(wrong[where[tuple(wrong[:, : where.ndim].T)].argmin()])
        entry = self.names.entry(int(where[first[: where.ndim]]), *first[where.ndim :])
        raise DataError.at(*entry, f"is {values[first]}, but must be {expected}")

    def gather(self, where: NDArray[np.intp]) -> NDArray:
        """The values at ``where`` (k, B), C-contiguous: (k, B) int32 or (k, B, F) floats."""
        values = self.array[where]
        if not self.in_memory:
            self._check(values, where)
        dtype = np.int32 if self.ids else values.dtype.newbyteorder("=")
        values = np.ascontiguousarray(values, dtype)
        if self.counts is not None:
            values[~self.counts[where]] = self.lowest if self.ids else 0
        return values


def series(name: str, given: ArrayLike, batch: int | None = None) -> NDArray:
    """``given`` as (N,) integers, or (N,) or (N, F) floats, with at least one step.

    batch : lanes, for which there is an axis after the first; None for no such axis.

    Raises
    ------
    DataError, ShapeError : if it is something else.
    """
    array = array_of(name, given)
    if array.dtype.kind not in "iuf":
        raise ShapeError(f"{name} must hold integers or floats, got dtype {array.dtype}")
    if batch is not None and (array.ndim < 2 or array.shape[1] != batch):
        raise ShapeError(f"{name} must have {batch} lanes, got shape {array.shape}")
    ids, axes = array.dtype.kind in "iu", array.ndim - (1 if batch is None else 2)
    if axes != 0 and (ids or axes != 1):
        one, more = ("(N,)", "(N") if batch is None else (f"(N, {batch})", f"(N, {batch}")
        expected = f"{one} integers" if ids else f"{one} or {more}, features) floats"
        hint = "; features are floats" if ids and axes == 1 else ""
        raise ShapeError(f"{name} must be {expected}, got shape {array.shape}{hint}")
    if len(array) == 0:
        raise DataError(f"{name} is empty: it has no time step")
    if array.size == 0:
        raise ShapeError(f"{name} must have at least one feature, got {array.shape}")
    return array


def whole(name: str, value: int, at_least: int) -> int:
    """``value`` as an int, refused if it is not a whole number or too small."""
    try:
        whole = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        whole = None
    if whole is None or whole < at_least:
        raise DataError(f"{name} must be an integer from {at_least} on, got {value!r}")
    return whole
