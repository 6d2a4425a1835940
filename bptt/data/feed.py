"""Sequences that arrive chunk by chunk, perhaps without end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ShapeError
from .column import IGNORE, Column, whole
from .source import Chunk, Source

__all__ = ["Feed"]

_ENDLESS = 1 << 62
"""Steps of a feed whose end has not been seen."""


class Feed(Source):
    """Lanes of data that an iterator hands out, in pieces of any length.

    Only what is not yet used is kept, so a feed may be endless. It is read once, one update ahead.
    A trainer that was loaded skips what it had read already, in a new feed that begins where the
    old one did.

    ::

        piece            0       1     2
        lane 0        a b c     d e    f g h ...
        lane 1        n o p     q r    s t u ...       pieces (n, B): (3, 2), (2, 2), (3, 2)

    Parameters
    ----------
    pieces : each x, or a tuple (x, targets), (x, targets, resets) or (x, targets, resets, skip). x
        is (n, B) integer ids or (n, B, F) floats, without the axis of lanes if ``batch`` is None:
        (n,) or (n, F). targets are (n, B) integers, -1 = ignore, or (n, B, O) floats, and the next
        x if they are None or left out; resets (n, B) bool, True where a new sequence begins; skip
        (n, B) bool, True where a step is passed over, as in `Stream`, but that x must be finite.
    batch : lanes, B; None for one lane, of which pieces say nothing.

    Raises
    ------
    DataError : if there is nothing in it, or, while it is read, an id or a float cannot be used.
    ShapeError : if a piece has another form than the first, or its parts differ in length.
    """

    def __init__(self, pieces: Iterable[Any], batch: int | None = None) -> None:
        self._single = batch is None
        self.batch = 1 if batch is None else whole("batch", batch, at_least=1)
        self._pieces: Iterator[Any] = iter(pieces)
        self._count, self._first = 0, 0
        self._x, self._targets = np.empty(0), None
        self._resets = self._skip = np.zeros((0, self.batch), np.bool_)
        self.steps = self.longest = _ENDLESS
        self._fill(1)
        if not len(self._x):
            raise DataError("pieces hold no time step")
        self.data_are_ids = self._x.ndim == 2
        self.features = None if self.data_are_ids else self._x.shape[2]
        targets = self._x if self._targets is None else self._targets
        self.targets_are_ids = targets.ndim == 2
        self.outputs = None if self.targets_are_ids else targets.shape[2]
        self.id_limit = self.target_limit = None

    @property
    def endless(self) -> bool:
        return self.steps == _ENDLESS

    @property
    def _shift(self) -> int:
        return 1 if self._targets is None else 0

    def signature(self) -> dict[str, int]:
        return {"pairs": _ENDLESS, "batch": self.batch, "longest": _ENDLESS}

    def places(self, start: int, stop: int) -> NDArray[np.intp]:
        return np.arange(start, stop)[:, np.newaxis] * self.batch + np.arange(self.batch)

    def chunk(self, start: int, stop: int) -> Chunk:
        if start < self._first:
            raise DataError(
                f"a feed is read once: step {start} has gone by, it is at {self._first}"
            )
        if stop >= _ENDLESS:
            raise DataError("a feed whose end is not known cannot be taken as a whole sequence")
        self._skip_to(start)
        self._fill(2 * (stop - start))
        stop = min(stop, self.steps)
        rows = slice(0, stop - start)
        x = self._x[rows].copy()
        resets, skip = self._resets[rows], self._skip[rows]
        if self._targets is None:
            after = slice(1, stop - start + 1)
            targets, none = self._x[after].copy(), skip | self._resets[after] | self._skip[after]
        else:
            targets, none = self._targets[rows].copy(), skip
        mask = ~none if none.any() else None
        resets, skip = (m.copy() if m.any() else None for m in (resets, skip))
        return Chunk(x, targets, mask, resets, skip=skip)

    def _skip_to(self, start: int) -> None:
        """Forget the steps before ``start``."""
        while self._first < start:
            self._fill(2)
            gone = min(start - self._first, max(1, len(self._x) - 1))
            self._x, self._resets = self._x[gone:], self._resets[gone:]
            self._skip = self._skip[gone:]
            if self._targets is not None:
                self._targets = self._targets[gone:]
            self._first += gone

    def _fill(self, count: int) -> None:
        """See that ``count`` more steps are here, or that the end is known."""
        while len(self._x) < count + self._shift and self.steps == _ENDLESS:
            piece = next(self._pieces, None)
            if piece is None:
                self.steps = self._first + max(0, len(self._x) - self._shift)
            else:
                self._add(*(piece if isinstance(piece, tuple) else (piece,)))

    def _add(self, x: Any, targets: Any = None, resets: Any = None, skip: Any = None) -> None:
        name = f"pieces[{self._count}]"
        x = self._laned(name, x, lowest=0)
        if self._count and (x.ndim, x.shape[2:]) != (self._x.ndim, self._x.shape[2:]):
            raise ShapeError(f"{name} has another form than the first: {x.shape}")
        if self._count and (targets is None) != (self._targets is None):
            raise ShapeError(f"{name} must have targets just if the first piece has")
        resets = self._marks(f"resets of {name}", resets, len(x))
        skip = self._marks(f"skip of {name}", skip, len(x))
        if targets is not None:
            targets = self._laned(f"targets of {name}", targets, lowest=IGNORE)
            if len(targets) != len(x):
                raise ShapeError(f"targets of {name} have {len(targets)} steps, x has {len(x)}")
            old = self._targets if self._count else targets[:0]
            self._targets = np.concatenate([old, targets])
        self._x = np.concatenate([self._x, x]) if self._count else x
        self._resets = np.concatenate([self._resets, resets])
        self._skip = np.concatenate([self._skip, skip])
        self._count += 1

    def _marks(self, name: str, given: Any, steps: int) -> NDArray[np.bool_]:
        """(n, B) of bool, checked; all False if None."""
        marks = np.zeros((steps, self.batch), np.bool_) if given is None else np.asarray(given)
        marks = marks.reshape(-1, 1) if self._single else marks
        if marks.shape != (steps, self.batch) or marks.dtype != np.bool_:
            raise ShapeError(f"{name} must be ({steps}, {self.batch}) of bool")
        return marks

    def _laned(self, name: str, given: Any, lowest: int) -> NDArray:
        """(n, B) int32 or (n, B, F) floats, checked."""
        array = np.asarray(given)
        if not self._single and (array.ndim < 2 or array.shape[1] != self.batch):
            raise ShapeError(f"{name} must have {self.batch} lanes, got shape {array.shape}")
        rows = array if self._single else array.reshape(-1, *array.shape[2:])
        column = Column(name, rows, lowest)
        values = column.array.astype(np.int32) if column.ids else column.array
        return values.reshape(-1, self.batch, *values.shape[1:])

    def __getstate__(self) -> NoReturn:
        raise TypeError(
            "a Feed cannot be copied or pickled, since what reads its pieces cannot; copy or save "
            "the trainer, and give it a new Feed that begins where this one did"
        )

    def __repr__(self) -> str:
        return f"Feed({self.batch} lanes, {self._first} steps gone by)"
