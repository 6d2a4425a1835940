"""What a window is given to do: the steps of an update, and how their error goes back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import marks_of, targets_of
from .errors import DataError, ShapeError
from .layers.marks import NOTHING, Marks
from .losses import Loss

if TYPE_CHECKING:
    from .data import Chunk
    from .model import Model

__all__ = ["Batch", "Reach", "check_skip"]


def check_skip(
    ended: ArrayLike | None, skip: ArrayLike | None, shape: tuple[int, ...]
) -> NDArray | None:
    """The steps that are skipped: those after the end of a lane, and others; None if none is said.

    Raises
    ------
    DataError, ShapeError : if either is something else than booleans of ``shape``.
    """
    ended, skip = marks_of("ended", ended, shape), marks_of("skip", skip, shape)
    if ended is None or skip is None:
        return skip if ended is None else ended
    return ended | skip


class Batch(NamedTuple):
    """What a window runs on.

    x : (k, B) ids or (k, B, I).
    targets : (n, B, ...) for the last n <= k steps, as the loss reads them.
    valid : (n, B) bool, False where a step is skipped.
    count : how many are, in all lanes, also where it is a part.
    marks : of the k steps.
    """

    x: NDArray
    targets: NDArray
    valid: NDArray
    count: int
    marks: Marks = NOTHING

    @classmethod
    def of(cls, model: Model, loss: Loss, x: NDArray, targets: ArrayLike,
           mask: NDArray | None, marks: Marks = NOTHING) -> Batch:  # fmt: skip
        """Check the targets, the mask and resets for ``x``, which has been checked, like the other
        marks.

        Raises
        ------
        DataError, ShapeError : if they do not fit the loss, the outputs or ``x``.
        """
        targets, there = targets_of("targets", targets, axes=2)
        targets = loss.targets(targets, x.shape[1], model.n_out, model.dtype)
        if not 1 <= len(targets) <= len(x):
            raise ShapeError(f"targets have {len(targets)} steps, but x has {len(x)}")
        mask = marks_of("mask", mask, targets.shape[:2])
        if there is not None:
            mask = there if mask is None else mask & there
        valid = loss.valid(targets, mask)
        if marks.skip is not None:
            valid = valid & ~marks.skip[len(x) - len(targets) :]
        marks = marks._replace(resets=marks_of("resets", marks.resets, x.shape[:2]))
        return cls(x, targets, valid, int(np.count_nonzero(valid)), marks.settled().or_nothing())

    def part(self, first: int, last: int) -> Batch:
        """Lanes ``first`` to ``last`` of it."""
        x, targets, valid = (a[:, first:last] for a in (self.x, self.targets, self.valid))
        return Batch(x, targets, valid, self.count, self.marks.lanes(first, last))

    @classmethod
    def of_chunk(cls, model: Model, loss: Loss, chunk: Chunk, losses: int | None = None,
                 keys: NDArray | None = None) -> Batch:  # fmt: skip
        """``chunk`` with the targets of its last ``losses`` steps; of all if None.

        keys : as in `Marks`.

        Raises
        ------
        DataError, ShapeError : if it does not fit the model or the loss, said of the arrays that
            the source was given.
        """
        left_out = 0 if losses is None else max(0, len(chunk.x) - losses)
        mask = None if chunk.mask is None else chunk.mask[left_out:]
        try:
            x = model.check_input(chunk.x)
            skip = check_skip(chunk.ended, chunk.skip, x.shape[:2])
            marks = Marks(chunk.resets, skip, keys)
            return cls.of(model, loss, x, chunk.targets[left_out:], mask, marks)
        except DataError as error:
            raise chunk.located(error, left_out) from None


class Reach(NamedTuple):
    """How the error goes back, for all lanes alike.

    k2 : steps that it flows back, counted from the newest.
    keep : newest steps that the next window reaches back into. If there are none, the way back may
        write over what the way forward left.
    clip_delta : largest norm of δ_t of a lane; inf for none.
    weights : (k,), by which the error that comes back to each new step is multiplied; None for 1.
    want_dx : whether the gradient of x is wanted.
    segment : steps between two stored states, for a `RecomputedWindow`.
    """

    k2: int
    keep: int = 0
    clip_delta: float = math.inf
    weights: NDArray | None = None
    want_dx: bool = False
    segment: int = 0
