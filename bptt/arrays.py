"""The door: whatever a caller hands over as an array comes in here, and nowhere else.

``np.asarray`` drops the mask of a masked array, and reads what lies beneath it. So no module reads
an array of a caller's by itself; tests/test_architecture.py sees to it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DataError, ShapeError
from .kernels.checks import all_finite

__all__ = ["array_of", "finite", "marks_of", "numbers_of", "targets_of"]


def array_of(name: str, given: ArrayLike) -> NDArray:
    """``given`` as a plain array of any dtype, not copied if it is one.

    Raises
    ------
    DataError : if an entry is masked.
    ShapeError : if it is None, or cannot be read as one array.
    """
    if type(given) is np.ndarray:
        return given
    if given is None:
        raise ShapeError(f"{name} must be an array, got None")
    masked = np.ma.getmaskarray(given) if isinstance(given, np.ma.MaskedArray) else None
    if masked is not None and masked.any():
        place = np.argwhere(masked)[0]
        raise DataError.at(name, place, "is masked, but every entry is read: fill it in")
    if masked is None and _holds_masked(given):
        raise DataError(f"{name} is a list with masked arrays in it: make one array of them")
    try:
        return np.asarray(given)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ShapeError(f"{name} cannot be read as one array: {error}") from error


def _holds_masked(given: object) -> bool:
    if isinstance(given, list | tuple):
        return any(map(_holds_masked, given))
    return isinstance(given, np.ma.MaskedArray)


def numbers_of(name: str, given: ArrayLike) -> NDArray:
    """`array_of`, of numbers or booleans.

    Raises
    ------
    DataError, ShapeError : as `array_of`, and if it holds anything else.
    """
    array = array_of(name, given)
    if array.dtype.kind not in "biuf":
        raise ShapeError(f"{name} must hold numbers, got {array.shape} of {array.dtype}")
    return array


def marks_of(name: str, given: ArrayLike | None, shape: tuple[int, ...]) -> NDArray | None:
    """``given`` as booleans of ``shape``; None stays None.

    Raises
    ------
    DataError, ShapeError : if it is something else.
    """
    if given is None:
        return None
    marks = array_of(name, given)
    if marks.dtype != np.bool_ or marks.shape != shape:
        raise ShapeError(f"{name} must be {shape} of bool, got {marks.shape} of {marks.dtype}")
    return marks


def targets_of(name: str, given: ArrayLike, axes: int) -> tuple[NDArray, NDArray[np.bool_] | None]:
    """Targets as a plain array, and where they count: not where they are masked; None if all do.

    axes : how many come before that of features, 1 for steps or 2 for steps and lanes.

    Raises
    ------
    DataError : if a target is masked in some of its features only.
    ShapeError : if ``given`` cannot be read as one array.
    """
    if not isinstance(given, np.ma.MaskedArray) or not np.ma.is_masked(given):
        return array_of(name, given), None
    masked = np.ma.getmaskarray(given)
    by_target = masked.reshape(*masked.shape[:axes], -1)
    gone = by_target.all(axis=-1)
    partly = gone != by_target.any(axis=-1)
    if partly.any():
        said = "is masked in some of its features, but counts with all of them or not at all"
        raise DataError.at(name, np.argwhere(partly)[0], said)
    return given.filled(0), ~gone


def finite(name: str, given: NDArray, dtype: np.dtype) -> NDArray:
    """``given`` in ``dtype``, C-contiguous; itself if it is so already.

    Raises
    ------
    DataError : naming the first number that is not finite, or too large for ``dtype``.
    """
    numbers = given
    if given.dtype != dtype or not given.flags.c_contiguous:
        with np.errstate(over="ignore"):
            numbers = np.ascontiguousarray(given, dtype)
    if not all_finite(numbers.reshape(-1)):
        place = tuple(np.argwhere(~np.isfinite(numbers))[0])
        fits = "too large for " + np.dtype(dtype).name
        said = fits if np.isfinite(given[place]) else "not a finite number"
        raise DataError.at(name, place, f"is {given[place]}, {said}")
    return numbers
