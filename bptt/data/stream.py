"""One pass over one long sequence, cut into lanes that run side by side."""

from __future__ import annotations

import operator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ShapeError

__all__ = ["Chunk", "Reader", "Stream"]

_IGNORE = -1
_LARGEST = np.iinfo(np.int32).max
_BLOCK = 1 << 20


class Chunk(NamedTuple):
    """The next k time steps of every lane, C-contiguous.

    x : (k, B) int32 ids, or (k, B, F) floats.
    targets : (k, B) int32 ids, -1 = ignore, or (k, B, O) floats.
    mask : (k, B) bool, False where a lane has ended (x is 0 there, the target -1 or 0.0);
        None if no lane has.
    """

    x: NDArray
    targets: NDArray
    mask: NDArray[np.bool_] | None


class Stream:
    """One pass over one long sequence, in ``batch`` lanes that run side by side.

    The n pairs of input and target are cut into ``batch`` consecutive pieces whose lengths differ
    by one at most, the longer ones first. Fourteen letters, each paired with the next, make 13
    pairs; with ``batch=3`` they are laid out like this::

        data      a b c d e f g h i j k l m n
                  `---0---´ `--1--´ `--2--´

                      x         targets       mask
           lane     0 1 2       0 1 2        0 1 2
        time  0     a f j       b g k        + + +
              1     b g k       c h l        + + +
              2     c h l       d i m        + + +
              3     d i m       e j n        + + +
              4     e . .       f . .        + - -

    So nothing is dropped, and only the last time step may be ragged. A reader gathers the few
    steps it is asked for: the data is never copied, and of a memory map only those are read. Leave
    the arrays as they are while the stream is in use.

    Parameters
    ----------
    data : (N,) integer ids, or (N,) or (N, F) floats, where (N,) means one feature. Ids and floats
        in memory are checked here, once; those in an ``np.memmap`` as they are read.
    batch : number of lanes, B.
    targets : what to predict: (N,) integer ids, -1 = ignore, or (N,) or (N, O) floats, step i
        belonging to step i of the data, which makes N pairs. If None, the next step of the data,
        which makes N - 1.

    Attributes
    ----------
    pairs : number of pairs, n.
    steps : time steps of the longest lane.
    features, outputs : F and O; None for ids.
    data_are_ids, targets_are_ids : whether they are ids rather than floats.
    id_limit, target_limit : the largest id plus one; None for floats and for memory maps.

    Raises
    ------
    DataError : if there are fewer pairs than lanes, an id is negative or above int32, a float is
        not finite, or ``batch`` is not a positive integer.
    ShapeError : if an array has a wrong shape or holds neither integers nor floats, or data and
        targets differ in length.
    """

    def __init__(self, data: ArrayLike, batch: int, targets: ArrayLike | None = None) -> None:
        self.batch = _whole("batch", batch, at_least=1)
        self._data = _Column("data", data, lowest=0)
        self._shift = 1 if targets is None else 0
        self._targets = (
            self._data if targets is None else _Column("targets", targets, lowest=_IGNORE)
        )
        length = len(self._data.array)
        if len(self._targets.array) != length:
            raise ShapeError(f"targets have {len(self._targets.array)} steps, data has {length}")
        self.pairs = length - self._shift
        if self.pairs < self.batch:
            raise DataError(
                f"data has {length} steps, which make {max(self.pairs, 0)} pairs of input and "
                f"target, but batch={self.batch} lanes need one each"
            )
        short, longer = divmod(self.pairs, self.batch)
        self.steps = short + (longer > 0)
        lanes = np.arange(self.batch + 1)
        self._bounds = lanes * short + np.minimum(lanes, longer)
        self._ragged_from = longer or self.batch
        self.features, self.outputs = self._data.features, self._targets.features
        self.data_are_ids, self.targets_are_ids = self._data.ids, self._targets.ids
        self.id_limit, self.target_limit = self._data.limit, self._targets.limit

    def reader(self, start: int = 0) -> Reader:
        """A reader that stands at time step ``start``.

        Raises
        ------
        DataError : if ``start`` is not from 0 to ``steps``.
        """
        start = _whole("start", start, at_least=0)
        if start > self.steps:
            raise DataError(f"start is {start}, but the stream has {self.steps} time steps")
        return Reader(self, start)

    def signature(self) -> dict[str, int]:
        """What two streams must share for a position in one to mean the same in the other."""
        return {"pairs": self.pairs, "batch": self.batch}

    def _chunk(self, start: int, stop: int) -> Chunk:
        """Time steps ``start`` to ``stop``; a lane that ended reads its last step, to be masked."""
        time = np.arange(start, stop)[:, None]
        where = np.minimum(self._bounds[:-1] + time, self._bounds[1:] - 1)
        x = self._data.gather(where)
        targets = self._targets.gather(where + self._shift)
        if stop < self.steps or self._ragged_from == self.batch:
            return Chunk(x, targets, None)
        mask = np.ones(where.shape, bool)
        mask[-1, self._ragged_from :] = False
        x[-1, self._ragged_from :] = 0
        targets[-1, self._ragged_from :] = _IGNORE if self.targets_are_ids else 0
        return Chunk(x, targets, mask)

    def __repr__(self) -> str:
        return f"Stream({self.pairs} pairs in {self.batch} lanes of {self.steps} time steps)"


class Reader:
    """Reads a stream chunk by chunk; ``position`` is the time step that comes next."""

    __slots__ = ("position", "stream")

    def __init__(self, stream: Stream, position: int) -> None:
        self.stream = stream
        self.position = position

    def take(self, k: int) -> Chunk | None:
        """The next ``k`` time steps, fewer at the end of the stream, None after it.

        Raises
        ------
        DataError : if ``k`` is not a positive integer, or a memory map turns out to hold an id or a
            float that cannot be used; the position stays as it was.
        """
        stop = min(self.position + _whole("k", k, at_least=1), self.stream.steps)
        if self.position >= stop:
            return None
        chunk = self.stream._chunk(self.position, stop)
        self.position = stop
        return chunk


class _Column:
    """Ids or rows of features, read by position along the sequence.

    array : (N,) integers or (N, F) floats, a view of what was given.
    """

    def __init__(self, name: str, given: ArrayLike, lowest: int) -> None:
        array = np.asarray(given)
        self.name, self.lowest = name, lowest
        self.ids = array.dtype.kind in "iu"
        self.in_memory = not isinstance(given, np.memmap)
        self._check_form(array)
        self.array = array[:, None] if array.ndim == 1 and not self.ids else array
        self.features = None if self.ids else self.array.shape[1]
        self.limit = self._check_all() if self.in_memory else None

    def _check_form(self, array: NDArray) -> None:
        if array.dtype.kind not in "iuf":
            raise ShapeError(f"{self.name} must hold integers or floats, got dtype {array.dtype}")
        if array.ndim != 1 and (self.ids or array.ndim != 2):
            expected = "(N,) integers" if self.ids else "(N,) or (N, features) floats"
            raise ShapeError(f"{self.name} must be {expected}, got shape {array.shape}")
        if len(array) == 0:
            raise DataError(f"{self.name} is empty: it has no time step")
        if array.size == 0:
            raise ShapeError(f"{self.name} must have at least one feature, got {array.shape}")

    def _check_all(self) -> int | None:
        """Check every value, a block at a time; the largest id plus one, None for floats."""
        rows = max(1, _BLOCK // (self.features or 1))
        largest = _IGNORE
        for start in range(0, len(self.array), rows):
            block = self.array[start : start + rows]
            self._check(block, np.arange(start, start + len(block)))
            if self.ids:
                largest = max(largest, int(block.max()))
        return largest + 1 if self.ids else None

    def _check(self, values: NDArray, where: NDArray[np.intp]) -> None:
        """Refuse an id or a float that cannot be used; ``values`` lie at positions ``where``."""
        if self.ids:
            good = (values >= self.lowest) & (values <= _LARGEST)
            expected = f"an id from {self.lowest} to {_LARGEST}"
        else:
            good = np.isfinite(values)
            expected = "a finite number"
        if good.all():
            return
        wrong = np.argwhere(~good)
        first = tuple(wrong[where[tuple(wrong[:, : where.ndim].T)].argmin()])
        place = ", ".join(str(i) for i in (where[first[: where.ndim]], *first[where.ndim :]))
        raise DataError(f"{self.name}[{place}] is {values[first]}, but must be {expected}")

    def gather(self, where: NDArray[np.intp]) -> NDArray:
        """The values at ``where`` (k, B), C-contiguous: (k, B) int32 or (k, B, F) floats."""
        values = self.array[where]
        if not self.in_memory:
            self._check(values, where)
        dtype = np.int32 if self.ids else values.dtype.newbyteorder("=")
        return np.ascontiguousarray(values, dtype)


def _whole(name: str, value: int, at_least: int) -> int:
    """``value`` as an int, refused if it is not a whole number or too small."""
    try:
        whole = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        whole = None
    if whole is None or whole < at_least:
        raise DataError(f"{name} must be an integer from {at_least} on, got {value!r}")
    return whole
