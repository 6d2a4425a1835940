"""One pass over one long sequence, cut into lanes that run side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import marks_of, targets_of
from ..errors import DataError, ShapeError
from .column import IGNORE, Column, series, whole
from .names import Entry, Rows
from .source import Chunk, Source

__all__ = ["Stream"]


class Stream(Source):
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
    resets : (N,) bool, True where a new sequence begins in the data. There the state is zero again,
        and no error flows back from there: as if each sequence were a lane of its own. With the
        next step as target, the last step of a sequence has none that counts.
    mask : (N,) bool, False where the target of a step does not count, and may be NaN; None if all
        count. What lies in the data itself must be finite wherever it is not skipped.
    skip : (N,) bool, True where a step is passed over, as if it were not there: the state stays as
        it was, and neither its target counts nor, with the next step as target, it as a target.
        What lies there in the data and the targets may be anything. None if no step is skipped.
    burn_in : steps at the beginning of each lane and of each sequence that are run without loss, so
        that the state finds its feet; skipped ones are not among them.
    targets : what to predict: (N,) integer ids, -1 = ignore, or (N,) or (N, O) floats, step i
        belonging to step i of the data, which makes N pairs; where an ``np.ma`` array is masked
        they do not count. If None, the next step of the data, which makes N - 1.

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
        not finite, or ``batch`` or ``burn_in`` is not an integer from 1 or 0 on.
    ShapeError : if an array has a wrong shape or holds neither integers nor floats, or data,
        targets and resets differ in length.
    """

    def __init__(
        self,
        data: ArrayLike,
        batch: int,
        targets: ArrayLike | None = None,
        resets: ArrayLike | None = None,
        *,
        mask: ArrayLike | None = None,
        skip: ArrayLike | None = None,
        burn_in: int = 0,
    ) -> None:
        self.batch = whole("batch", batch, at_least=1)
        array = series("data", data)
        length = len(array)
        self._skip = marks_of("skip", skip, (length,))
        read = None if self._skip is None else ~self._skip
        self._data = _column("data", data, array, 0, read)
        self._mask = _both(marks_of("mask", mask, (length,)), read)
        self._shift = 1 if targets is None else 0
        self._targets = self._data if targets is None else self._given(targets, length)
        self._resets = marks_of("resets", resets, (length,))
        self._begins = None if self._resets is None else np.flatnonzero(self._resets)
        self.burn_in = whole("burn_in", burn_in, at_least=0)
        self._read_before = None if read is None else np.cumsum(read) - read
        self.pairs = length - self._shift
        if self.pairs < self.batch:
            raise DataError(
                f"data has {length} steps, which make {max(self.pairs, 0)} pairs of input and "
                f"target, but batch={self.batch} lanes need one each"
            )
        short, longer = divmod(self.pairs, self.batch)
        self.steps = self.longest = short + (longer > 0)
        lanes = np.arange(self.batch + 1)
        self._bounds = lanes * short + np.minimum(lanes, longer)
        self._ragged_from = longer or self.batch
        self.features, self.outputs = self._data.features, self._targets.features
        self.data_are_ids, self.targets_are_ids = self._data.ids, self._targets.ids
        self.id_limit, self.target_limit = self._data.limit, self._targets.limit

    def _given(self, targets: ArrayLike, length: int) -> Column:
        """Targets of their own; ``self._mask`` is also False where they are masked."""
        values, there = targets_of("targets", targets, axes=1)
        values = series("targets", values)
        if len(values) != length:
            raise ShapeError(f"targets have {len(values)} steps, data has {length}")
        self._mask = _both(self._mask, there)
        return _column("targets", targets, values, IGNORE, self._mask)

    def signature(self) -> dict[str, int]:
        return {"pairs": self.pairs, "batch": self.batch, "longest": self.longest}

    def places(self, start: int, stop: int) -> NDArray[np.intp]:
        # A lane that has ended reads its last step, to be masked.
        time = np.arange(start, stop)[:, None]
        return np.minimum(self._bounds[:-1] + time, self._bounds[1:] - 1)

    def chunk(self, start: int, stop: int) -> Chunk:
        where = self.places(start, stop)
        x = self._data.gather(where)
        targets = self._targets.gather(where + self._shift)
        mask, ended = self._counts(where), None
        if stop == self.steps and self._ragged_from < self.batch:
            mask = np.ones(where.shape, bool) if mask is None else mask
            ended = np.zeros(where.shape, bool)
            ended[-1, self._ragged_from :] = True
            mask &= ~ended
            x[-1, self._ragged_from :] = 0
            targets[-1, self._ragged_from :] = IGNORE if self.targets_are_ids else 0
        resets = None if self._resets is None else self._resets[where]
        resets = resets if resets is not None and resets.any() else None
        skip = None if self._skip is None else self._skip[where]
        skip = skip if skip is not None and skip.any() else None
        return Chunk(x, targets, mask, resets, ended, skip, self, start)

    def entry(self, name: str, step: int, lane: int, *features: int) -> Entry:
        row = int(self.places(step, step + 1)[0, lane])
        if name == "x":
            return self._data.names.entry(row, *features)
        return self._targets.names.entry(row + self._shift, *features)

    def _counts(self, where: NDArray[np.intp]) -> NDArray[np.bool_] | None:
        """Where targets count, but for the end of lanes; None for everywhere."""
        if self._resets is None and self._mask is None and not self.burn_in:
            return None
        counts = np.ones(where.shape, bool)
        for none_before in (self._resets, self._skip):
            if none_before is not None and self._shift:
                counts &= ~none_before[where + 1]
        if self._mask is not None:
            counts &= self._mask[where]
        if self.burn_in:
            begun = self._begun(where)
            if self._read_before is None:
                counts &= where - begun >= self.burn_in
            else:
                counts &= self._read_before[where] - self._read_before[begun] >= self.burn_in
        return counts

    def _begun(self, where: NDArray[np.intp]) -> NDArray[np.intp]:
        """(k, B), where the sequence in which each step lies begins in its lane."""
        begun = np.broadcast_to(self._bounds[:-1], where.shape)
        if self._begins is None or not self._begins.size:
            return begun
        newest = np.searchsorted(self._begins, where, side="right") - 1
        return np.where(newest < 0, begun, np.maximum(begun, self._begins[np.maximum(newest, 0)]))

    def __repr__(self) -> str:
        return f"Stream({self.pairs} pairs in {self.batch} lanes of {self.steps} time steps)"


def _both(
    some: NDArray[np.bool_] | None, others: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """Where both are True; None says that all are."""
    if some is None or others is None:
        return others if some is None else some
    return some & others


def _column(
    name: str,
    given: ArrayLike,
    array: NDArray,
    lowest: int,
    counts: NDArray[np.bool_] | None,
) -> Column:
    """``array``, which is ``given`` as an array; a memory map is checked as it is read."""
    in_memory = not isinstance(given, np.memmap)
    return Column(array, Rows(name, array.ndim), lowest, counts, in_memory=in_memory)
