"""What a window is given to do: the steps of an update, and how their error goes back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ShapeError
from .layers.marks import NOTHING, Marks
from .losses import Loss

if TYPE_CHECKING:
    from .data import Chunk
    from .model import Model

__all__ = ["Batch", "Reach", "check_marks", "check_skip"]


def check_marks(name: str, given: ArrayLike | None, shape: tuple[int, ...]) -> NDArray | None:
    """``given`` as booleans of ``shape``; None stays None.

    Raises
    ------
    ShapeError : if it is something else.
    """
    if given is None:
        return None
    marks = np.asarray(given)
    if marks.dtype != np.bool_ or marks.shape != shape:
        raise ShapeError(f"{name} must be {shape} of bool, got {marks.shape} of {marks.dtype}")
    return marks


def check_skip(
    ended: ArrayLike | None, skip: ArrayLike | None, shape: tuple[int, ...]
) -> NDArray | None:
    """The steps that are skipped: those after the end of a lane, and others; None if none is said.

    Raises
    ------
    ShapeError : if either is something else than booleans of ``shape``.
    """
    ended, skip = check_marks("ended", ended, shape), check_marks("skip", skip, shape)
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
        targets = loss.targets(targets, x.shape[1], model.n_out, model.dtype)
        if not 1 <= len(targets) <= len(x):
            raise ShapeError(f"targets have {len(targets)} steps, but x has {len(x)}")
        valid = loss.valid(targets, check_marks("mask", mask, targets.shape[:2]))
        if marks.skip is not None:
            valid = valid & ~marks.skip[len(x) - len(targets) :]
        marks = marks._replace(resets=check_marks("resets", marks.resets, x.shape[:2]))
        return cls(x, targets, valid, int(np.count_nonzero(valid)), marks.or_nothing())

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
        DataError, ShapeError : if it does not fit the model or the loss.
        """
        newest = slice(None if losses is None else -losses, None)
        mask = None if chunk.mask is None else chunk.mask[newest]
        x = model.check_input(chunk.x)
        skip = check_skip(chunk.ended, chunk.skip, x.shape[:2])
        marks = Marks(chunk.resets, skip, keys)
        return cls.of(model, loss, x, chunk.targets[newest], mask, marks)


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
