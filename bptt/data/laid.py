"""Lists of arrays, and labels of them, laid end to end as one `Column`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import array_of, marks_of, targets_of
from ..errors import DataError, ShapeError
from .column import IGNORE, Column, series
from .names import Labels, Parts

__all__ = ["laid_sequences", "laid_targets"]


def laid_sequences(
    given: Sequence[ArrayLike], skip: Sequence[ArrayLike] | None
) -> tuple[Column, NDArray[np.intp], NDArray[np.bool_] | None]:
    """The sequences end to end, the length of each, and where a step is skipped, or None.

    Raises
    ------
    DataError, ShapeError : if they cannot be used, or are not of one kind.
    """
    if not _is_list(given) or not len(given):
        raise DataError(f"sequences must be a list with at least one sequence, got {given!r}")
    arrays = [series(f"sequences[{i}]", array) for i, array in enumerate(given)]
    lengths = np.array([len(array) for array in arrays])
    skipped = None if skip is None else _skipped(skip, lengths)
    read = None if skipped is None else ~skipped
    return _end_to_end("sequences", arrays, 0, read), lengths, skipped


def _skipped(given: Sequence[ArrayLike], lengths: NDArray[np.intp]) -> NDArray[np.bool_]:
    _check_count("skip", given, lengths)
    parts = []
    for i, length in enumerate(lengths):
        name = f"skip[{i}]"
        parts.append(marks_of(name, array_of(name, given[i]), (int(length),)))
        if parts[-1].all():
            raise DataError(f"{name} leaves no step of sequences[{i}]")
    return np.concatenate(parts)


def laid_targets(
    given: ArrayLike | Sequence[ArrayLike],
    mask: Sequence[ArrayLike] | None,
    burn_in: int,
    lengths: NDArray[np.intp],
    read: NDArray[np.bool_],
) -> tuple[Column, NDArray[np.bool_]]:
    """The targets of sequences of these ``lengths`` end to end, and where they count.

    given, mask, burn_in : as `Padded` has them.
    read : (ΣT_i,), False where a step is skipped; somewhere True in each sequence.

    Raises
    ------
    DataError, ShapeError : if they cannot be used, or do not fit the sequences.
    """
    if _is_of_steps(given):
        return _of_steps(given, mask, burn_in, lengths, read)
    if mask is not None or burn_in:
        name = "burn_in" if mask is None else "mask"
        raise ShapeError(f"{name} is for targets of each step, but there is one for each sequence")
    return _of_sequences(given, lengths, read)


def _is_list(given: object) -> bool:
    return isinstance(given, list | tuple) or (isinstance(given, np.ndarray) and given.ndim > 0)


def _is_of_steps(given: object) -> bool:
    """Whether it is a list of arrays, and not of numbers."""
    return isinstance(given, list | tuple) and any(
        targets_of(f"targets[{i}]", one, axes=1)[0].ndim for i, one in enumerate(given)
    )


def _of_steps(
    given: Sequence[ArrayLike],
    mask: Sequence[ArrayLike] | None,
    burn_in: int,
    lengths: NDArray[np.intp],
    read: NDArray[np.bool_],
) -> tuple[Column, NDArray[np.bool_]]:
    _check_count("targets", given, lengths)
    if mask is not None:
        _check_count("mask", mask, lengths)
    arrays, counts = [], []
    for i, (length, count) in enumerate(zip(lengths, _parted(read, lengths), strict=True)):
        values, there = targets_of(f"targets[{i}]", given[i], axes=1)
        values = series(f"targets[{i}]", values)
        if len(values) != length:
            raise ShapeError(
                f"targets[{i}] has {len(values)} steps, but sequences[{i}] has {length}"
            )
        marks = None if mask is None else marks_of(f"mask[{i}]", mask[i], (int(length),))
        for of_part in (count.cumsum() > burn_in, there, marks):
            count = count if of_part is None else count & of_part
        arrays.append(values)
        counts.append(count)
    counted = np.concatenate(counts)
    return _end_to_end("targets", arrays, IGNORE, counted), counted


def _of_sequences(
    given: ArrayLike, lengths: NDArray[np.intp], read: NDArray[np.bool_]
) -> tuple[Column, NDArray[np.bool_]]:
    """One target each, at its last step that is read."""
    labels, there = targets_of("targets", given, axes=1)
    if labels.ndim not in (1, 2) or len(labels) != len(lengths):
        raise ShapeError(
            f"targets must be an array with one for each of the {len(lengths)} sequences, or a "
            f"list of arrays with one for each of its steps, got shape {labels.shape}"
        )
    labels = series("targets", labels)
    after = lengths.cumsum()
    ends = after - 1 - [part[::-1].argmax() for part in _parted(read, lengths)]
    counts = np.zeros(len(read), np.bool_)
    counts[ends] = True if there is None else there
    laid = np.zeros((len(read), *labels.shape[1:]), labels.dtype)
    laid[ends] = labels
    names = Labels("targets", after - lengths, labels.ndim)
    return Column(laid, names, IGNORE, counts), counts


def _parted(laid: NDArray[np.bool_], lengths: NDArray[np.intp]) -> list[NDArray[np.bool_]]:
    return np.split(laid, lengths.cumsum()[:-1])


def _end_to_end(
    name: str, arrays: list[NDArray], lowest: int, counts: NDArray[np.bool_] | None = None
) -> Column:
    kinds = [_kind(array) for array in arrays]
    for i, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise ShapeError(f"{name}[{i}] has {kind}, but {name}[0] has {kinds[0]}")
    starts = np.cumsum([0, *map(len, arrays[:-1])])
    names = Parts(name, starts, [array.ndim for array in arrays])
    if kinds[0] != "ids":
        arrays = [array.reshape(len(array), -1) for array in arrays]
    return Column(np.concatenate(arrays), names, lowest, counts)


def _kind(array: NDArray) -> str:
    if array.dtype.kind != "f":
        return "ids"
    return f"{1 if array.ndim == 1 else array.shape[1]} features"


def _check_count(name: str, given: Sequence[ArrayLike], lengths: NDArray[np.intp]) -> None:
    if not _is_list(given):
        raise ShapeError(f"{name} must be a list with one for each sequence, got {given!r}")
    if len(given) != len(lengths):
        raise ShapeError(f"{name} are {len(given)}, but there are {len(lengths)} sequences")
