"""Sequences that arrive chunk by chunk, perhaps without end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..checks import check_kind
from ..errors import DataError, ShapeError
from .column import whole
from .names import Entry, Names
from .piece import Piece, form, piece_of
from .source import Chunk, Source

__all__ = ["Feed"]

_ENDLESS = 1 << 62
"""Steps of a feed whose end has not been seen."""


class Feed(Source):
    """Lanes of data that an iterator hands out, in pieces of any length.

    Only what is not yet used is kept, so a feed may be endless. It is read once, one update ahead;
    another feed is another pass. Only a trainer that was loaded skips what it had read already, in
    a new feed that begins where the old one did.

    ::

        piece            0       1     2
        lane 0        a b c     d e    f g h ...
        lane 1        n o p     q r    s t u ...       pieces (n, B): (3, 2), (2, 2), (3, 2)

    Parameters
    ----------
    pieces : each x, or a tuple (x, targets), (x, targets, resets) or (x, targets, resets, skip), of
        any number of steps. x is (n, B) integer ids or (n, B, F) floats, without the axis of lanes
        if ``batch`` is None: (n,) or (n, F). targets are (n, B) integers, -1 = ignore, or (n, B, O)
        floats, and the next x if they are None or left out; where an ``np.ma`` array is masked they
        do not count. resets are (n, B) bool, True where a new sequence begins; skip (n, B) bool,
        True where a step is passed over, as in `Stream`, but that x must be finite. All are copied.
    batch : lanes, B; None for one lane, of which pieces say nothing.
    burn_in : steps at the beginning of the feed, and of each sequence, that are run without loss;
        skipped ones are not among them.

    Raises
    ------
    DataError : if there is nothing in it, or, while it is read, an id or a float cannot be used.
    ShapeError : if a piece has another form than the first, or its parts differ in length.
    TypeError : if ``pieces`` cannot be iterated over.
    """

    def __init__(
        self, pieces: Iterable[Any], batch: int | None = None, *, burn_in: int = 0
    ) -> None:
        self._given_batch = None if batch is None else whole("batch", batch, at_least=1)
        self.batch = self._given_batch or 1
        self.burn_in = whole("burn_in", burn_in, at_least=0)
        check_kind("pieces", pieces, Iterable)
        self._pieces: Iterator[Any] = iter(pieces)
        self._count, self._first = 0, 0
        self._here: Piece | None = None
        self._age = np.zeros(self.batch, np.intp)
        self._names: list[tuple[int, Names, Names | None]] = []
        self.steps = self.longest = _ENDLESS
        self._fill(1)
        if self._here is None:
            raise DataError("pieces hold no time step")
        if not self.steps:
            raise DataError("pieces hold one time step, which has no next one as its target")
        x, targets = self._here.x, self._here.targets
        targets = x if targets is None else targets
        self.data_are_ids, self.targets_are_ids = x.ndim == 2, targets.ndim == 2
        self.features = None if self.data_are_ids else x.shape[2]
        self.outputs = None if self.targets_are_ids else targets.shape[2]
        self.id_limit = self.target_limit = None

    @property
    def endless(self) -> bool:
        return self.steps == _ENDLESS

    @property
    def _shift(self) -> int:
        """How far beyond its x a target lies in the pieces."""
        return 1 if self._here is not None and self._here.targets is None else 0

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
        if start >= self.steps:
            raise DataError(
                f"the feed ends after {self.steps} steps, but is to be read from step {start}: "
                "after a trainer was loaded it must begin where the one before it did"
            )
        here, count = self._here, min(stop, self.steps) - start
        x, mask = here.x[:count].copy(), here.counts[:count].copy()
        if here.targets is None:
            after = slice(1, count + 1)
            targets = here.x[after].copy()
            mask &= ~(here.resets[after] | here.skip[after])
        else:
            targets = here.targets[:count].copy()
        marks = (here.resets[:count], here.skip[:count])
        resets, skip = (mark.copy() if mark.any() else None for mark in marks)
        mask = None if mask.all() else mask
        return Chunk(x, targets, mask, resets, skip=skip, source=self, start=start)

    def entry(self, name: str, step: int, lane: int, *features: int) -> Entry:
        step += self._shift if name == "targets" else 0
        first, of_x, of_targets = [piece for piece in self._names if piece[0] <= step][-1]
        names = of_x if name == "x" or of_targets is None else of_targets
        return names.entry((step - first) * self.batch + lane, *features)

    def _skip_to(self, start: int) -> None:
        """Forget the steps before ``start``, as far as there are any."""
        while self._first < start:
            self._fill(2)
            gone = min(start - self._first, self._held - 1)
            if not gone:
                return
            self._here = self._here.since(gone)
            self._first += gone
        while len(self._names) > 1 and self._names[1][0] <= start:
            del self._names[0]

    def _fill(self, count: int) -> None:
        """See that ``count`` more steps are here, or that the end is known."""
        while self._held < count + self._shift and self.steps == _ENDLESS:
            try:
                piece = next(self._pieces)
            except StopIteration:
                self.steps = self._first + max(0, self._held - self._shift)
            else:
                self._add(piece)

    @property
    def _held(self) -> int:
        return 0 if self._here is None else len(self._here.x)

    def _add(self, given: Any) -> None:
        name = f"pieces[{self._count}]"
        self._count += 1
        found = piece_of(name, given, self._given_batch)
        if found is None:
            return
        piece, *names = found
        if self._here is not None:
            self._check_like_first(name, piece)
        if self.burn_in:
            piece.counts[...] &= self._ages(piece) >= self.burn_in
        self._names.append((self._first + self._held, *names))
        self._here = piece if self._here is None else self._here.and_then(piece)

    def _check_like_first(self, name: str, piece: Piece) -> None:
        if (piece.targets is None) != (self._here.targets is None):
            raise ShapeError(f"{name} must have targets just if the first piece has")
        for what in ("x", "targets"):
            ours, theirs = getattr(self._here, what), getattr(piece, what)
            if ours is not None and form(ours) != form(theirs):
                raise ShapeError(
                    f"{what} of {name} has {form(theirs)}, but the first piece has {form(ours)}"
                )

    def _ages(self, piece: Piece) -> NDArray[np.intp]:
        """(n, B), steps of the same sequence before each of the piece's that were not skipped."""
        read = ~piece.skip
        before = read.cumsum(axis=0) - read
        # What was read never falls, so its largest value at a reset is that at the newest one.
        begun = np.maximum.accumulate(np.where(piece.resets, before, -self._age), axis=0)
        ages = before - begun
        self._age = ages[-1] + read[-1]
        return ages

    def __getstate__(self) -> NoReturn:
        raise TypeError(
            "a Feed cannot be copied or pickled, since what reads its pieces cannot; copy or save "
            "the trainer, and give it a new Feed that begins where this one did"
        )

    def __repr__(self) -> str:
        return f"Feed({self.batch} lanes, {self._first} steps gone by)"
