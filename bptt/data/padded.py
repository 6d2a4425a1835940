"""Sequences of unequal lengths, side by side in mini-batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import check_flag, check_seed
from .column import IGNORE, whole
from .laid import laid_sequences, laid_targets
from .names import Entry
from .source import Chunk, Source

__all__ = ["Padded"]


class Padded(Source):
    """Sequences of unequal lengths in mini-batches, each padded to its longest.

    Each mini-batch begins with a state of zero, and a window never reaches from one into the next.
    With five sequences and ``batch=2``, bucketed, a pass may look like this, ``.`` being padding::

               batch 0     batch 1       batch 2
        lane 0 a a a a     b b b b b b   c c
        lane 1 d d d .     e e e e e .   . .

    Padding counts for nothing: its targets are masked, and the error that arrives there is zero.
    With ``FullBPTT()`` a mini-batch is an update; ``batch=None`` takes all sequences at once (batch
    training), ``batch=1`` one by one (stochastic).

    Parameters
    ----------
    sequences : of (T_i,) integer ids, or (T_i,) or (T_i, F) floats.
    targets : an array with one for each sequence, (N,) integers, -1 = ignore, or (N,) or (N, O)
        floats, which stand at the last step of each; or a list of arrays with one for each step,
        (T_i,) integers, or (T_i,) or (T_i, O) floats.
    batch : sequences side by side, B; None for all.
    mask : a list of (T_i,) bool, False where a target does not count, and may be NaN; only for
        targets of each step; None if all count.
    skip : a list of (T_i,) bool, True where a step is passed over, as if it were not there: the
        state stays as it was, and no target counts. A target for the whole sequence stands at the
        last step that is not skipped. What lies there in ``sequences`` and ``targets`` may be
        anything. None if no step is skipped.
    bucket : whether sequences of like length come together, so that little is padding.
    shuffle : whether the order is drawn anew in every pass.
    seed : of the order, a non-negative integer.
    burn_in : steps at the beginning of each sequence that are run without loss, skipped ones not
        among them; only for targets of each step.

    Where a target in an ``np.ma`` array is masked it does not count.

    Raises
    ------
    DataError : if there is no sequence, one is empty or skipped as a whole, an id or a float cannot
        be used, or ``batch`` or ``burn_in`` is not an integer from 1 or 0 on.
    ShapeError : if shapes, dtypes or lengths do not fit together.

    Attributes
    ----------
    count : sequences, N.
    lengths, starts : (N,), of each, and where it begins in ``column`` and ``targets``, which hold
        all of them end to end.
    there : (ΣT_i,) bool, where there is a target.
    skip : (ΣT_i,) bool, where a step is skipped; None if none is.
    """

    def __init__(
        self,
        sequences: Sequence[ArrayLike],
        targets: ArrayLike | Sequence[ArrayLike],
        batch: int | None = None,
        *,
        mask: Sequence[ArrayLike] | None = None,
        skip: Sequence[ArrayLike] | None = None,
        bucket: bool = True,
        shuffle: bool = True,
        seed: int = 0,
        burn_in: int = 0,
    ) -> None:
        check_seed(seed)
        check_flag("bucket", bucket)
        check_flag("shuffle", shuffle)
        self.column, self.lengths, self.skip = laid_sequences(sequences, skip)
        self.count = len(self.lengths)
        self.batch = self.count if batch is None else whole("batch", batch, at_least=1)
        self.bucket, self.shuffle, self.seed = bucket, shuffle, seed
        self.starts = self.lengths.cumsum() - self.lengths
        self.longest = int(self.lengths.max())
        burn_in = whole("burn_in", burn_in, at_least=0)
        read = np.ones(self.lengths.sum(), np.bool_) if self.skip is None else ~self.skip
        self.targets, self.there = laid_targets(targets, mask, burn_in, self.lengths, read)
        self.features, self.outputs = self.column.features, self.targets.features
        self.data_are_ids, self.targets_are_ids = self.column.ids, self.targets.ids
        self.id_limit, self.target_limit = self.column.limit, self.targets.limit
        self._plain = self.arranged(None)
        self.steps = self._plain.steps

    def _order(self, epoch: int | None) -> list[NDArray[np.intp]]:
        """The sequences of each mini-batch in pass ``epoch``; unshuffled if that is None."""
        order, drawn = np.arange(self.count), self.shuffle and epoch is not None
        rng = np.random.default_rng([self.seed, epoch or 0])
        if drawn:
            rng.shuffle(order)
        if self.bucket:
            order = order[np.argsort(self.lengths[order], kind="stable")]
        batches = [order[i : i + self.batch] for i in range(0, self.count, self.batch)]
        if drawn:
            batches = [batches[place] for place in rng.permutation(len(batches))]
        return batches

    def arranged(self, epoch: int | None) -> Arranged:
        return Arranged(self, self._order(epoch))

    def begins(self, position: int) -> bool:
        return self._plain.begins(position)

    def left(self, position: int) -> int:
        return self._plain.left(position)

    def signature(self) -> dict[str, int]:
        count = int(self.there.sum())
        return {"pairs": count, "batch": self.batch, "longest": self.longest, "seed": self.seed}

    def places(self, start: int, stop: int) -> NDArray[np.intp]:
        return self._plain.places(start, stop)

    def chunk(self, start: int, stop: int) -> Chunk:
        return self._plain.chunk(start, stop)

    def entry(self, name: str, step: int, lane: int, *features: int) -> Entry:
        return self._plain.entry(name, step, lane, *features)

    def __repr__(self) -> str:
        shortest, longest = self.lengths.min(), self.lengths.max()
        return (
            f"Padded({self.count} sequences of {shortest} to {longest} steps, batch={self.batch})"
        )


class Arranged(Source):
    """The sequences of a `Padded` in the order of one pass.

    batches : the sequences in each mini-batch.
    """

    def __init__(self, padded: Padded, batches: list[NDArray[np.intp]]) -> None:
        self.padded, self.batches = padded, batches
        longest = [int(padded.lengths[batch].max()) for batch in batches]
        self.edges = np.concatenate([[0], np.cumsum(longest)])
        self.steps = int(self.edges[-1])
        for name in ("batch", "longest", "features", "outputs", "data_are_ids", "targets_are_ids",
                     "id_limit", "target_limit"):  # fmt: skip
            setattr(self, name, getattr(padded, name))

    def _at(self, position: int) -> int:
        """The mini-batch that ``position`` is in."""
        return int(np.searchsorted(self.edges, position, side="right")) - 1

    def begins(self, position: int) -> bool:
        return position in (0, self.edges[self._at(position)])

    def left(self, position: int) -> int:
        return 0 if position == self.steps else int(self.edges[self._at(position) + 1]) - position

    def signature(self) -> dict[str, int]:
        return self.padded.signature()

    def _of_lanes(self, position: int, values: NDArray[np.intp]) -> NDArray[np.intp]:
        """(B,), of ``values`` (N,) that of the sequence in each lane; 0 where there is none."""
        batch, found = self.batches[self._at(position)], np.zeros(self.batch, np.intp)
        found[: len(batch)] = values[batch]
        return found

    def places(self, start: int, stop: int) -> NDArray[np.intp]:
        # A lane that has ended reads its last step, to be masked.
        time = np.arange(start, stop)[:, np.newaxis] - self.edges[self._at(start)]
        last = np.maximum(self._of_lanes(start, self.padded.lengths) - 1, 0)
        return self._of_lanes(start, self.padded.starts) + np.minimum(time, last)

    def chunk(self, start: int, stop: int) -> Chunk:
        data, where = self.padded, self.places(start, stop)
        time = np.arange(start, stop)[:, np.newaxis] - self.edges[self._at(start)]
        inside = time < self._of_lanes(start, data.lengths)
        x, targets = data.column.gather(where), data.targets.gather(where)
        mask = inside & data.there[where]
        x[~inside] = 0
        targets[~mask] = IGNORE if data.targets_are_ids else 0
        ended = None if inside.all() else ~inside
        skip = None if data.skip is None else inside & data.skip[where]
        skip = skip if skip is not None and skip.any() else None
        return Chunk(x, targets, mask, None, ended, skip, self, start)

    def entry(self, name: str, step: int, lane: int, *features: int) -> Entry:
        row = int(self.places(step, step + 1)[0, lane])
        column = self.padded.column if name == "x" else self.padded.targets
        return column.names.entry(row, *features)
