"""What a window is given to do: the steps of an update, and how their error goes back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ShapeError
from .losses import Loss

if TYPE_CHECKING:
    from .data import Chunk
    from .model import Model

__all__ = ["Batch", "Reach", "Task", "check_resets"]


def check_resets(given: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """``given`` as booleans of ``shape``.

    Raises
    ------
    ShapeError : if it is something else.
    """
    resets = np.asarray(given)
    if resets.dtype != np.bool_ or resets.shape != shape:
        raise ShapeError(f"resets must be {shape} of bool, got {resets.shape} of {resets.dtype}")
    return resets


class Batch(NamedTuple):
    """What a window runs on.

    x : (k, B) ids or (k, B, I).
    targets : (n, B, ...) for the last n <= k steps, as the loss reads them.
    valid : (n, B) bool.
    count : how many are.
    resets : (k, B) bool, True where a new sequence begins; None if none does.
    """

    x: NDArray
    targets: NDArray
    valid: NDArray
    count: int
    resets: NDArray | None = None

    @classmethod
    def of(cls, model: Model, loss: Loss, x: NDArray, targets: ArrayLike,
           mask: NDArray | None, resets: NDArray | None = None) -> Batch:  # fmt: skip
        """Check the targets for ``x``, which has been checked.

        Raises
        ------
        DataError, ShapeError : if they do not fit the loss, the outputs or ``x``.
        """
        targets = loss.targets(targets, x.shape[1], model.n_out, model.dtype)
        if not 1 <= len(targets) <= len(x):
            raise ShapeError(f"targets have {len(targets)} steps, but x has {len(x)}")
        mask = None if mask is None else np.asarray(mask)
        if mask is not None and (mask.dtype != np.bool_ or mask.shape != targets.shape[:2]):
            raise ShapeError(
                f"mask must be {targets.shape[:2]} of bool, got {mask.shape} of {mask.dtype}"
            )
        resets = None if resets is None else check_resets(resets, x.shape[:2])
        valid = loss.valid(targets, mask)
        return cls(x, targets, valid, int(np.count_nonzero(valid)), resets)

    @classmethod
    def of_chunk(cls, model: Model, loss: Loss, chunk: Chunk, losses: int | None = None) -> Batch:
        """``chunk`` with the targets of its last ``losses`` steps; of all if None.

        Raises
        ------
        DataError, ShapeError : if it does not fit the model or the loss.
        """
        newest = slice(None if losses is None else -losses, None)
        mask = None if chunk.mask is None else chunk.mask[newest]
        x = model.check_input(chunk.x)
        return cls.of(model, loss, x, chunk.targets[newest], mask, chunk.resets)


class Task(NamedTuple):
    """The new steps of some lanes.

    x : (k, B) ids or (k, B, I).
    targets : (n, B, ...) for the last n <= k steps, as the loss reads them.
    valid : (n, B) bool.
    scale : of the error; one over the number of targets of all lanes makes it that of their mean.
    resets : (k, B) bool, True where a new sequence begins; None if none does.
    """

    x: NDArray
    targets: NDArray
    valid: NDArray
    scale: float
    resets: NDArray | None = None


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
