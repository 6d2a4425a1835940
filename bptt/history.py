"""What training recorded: one row per update, one row per epoch."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Best", "History"]

_PER_UPDATE = {"update": "q", "loss": "d", "grad_norm": "d", "seconds": "d"}
_PER_EPOCH = {
    "epoch_update": "q",
    "train_loss": "d",
    "validation_loss": "d",
    "epoch_seconds": "d",
}
_INTEGERS = partial(array, "q")
_FLOATS = partial(array, "d")


class Best(NamedTuple):
    """The epoch that ended with the lowest validation loss."""

    epoch: int
    update: int
    loss: float


@dataclass(eq=False, repr=False)
class History:
    """Losses, gradient norms and times, 32 bytes an update.

    The columns are ``array.array``; `to_arrays` gives NumPy's.

    Parameters
    ----------
    clip_norm : threshold of the gradient's norm above which updates are clipped; None if they
        are not.

    Attributes
    ----------
    update : number of the update, counted from 1.
    loss : mean loss per target of that update.
    grad_norm : norm of its gradient before clipping.
    seconds : wall-clock seconds from the beginning of training to its end.
    epoch_update : number of the last update of each epoch.
    train_loss : mean training loss of the epoch.
    validation_loss : loss on the validation data at its end; nan where there was none.
    epoch_seconds : wall-clock seconds from the beginning of training to its end.
    stopped : why a callback ended the newest call of `Trainer.fit` before its last epoch; None if
        none did.
    """

    clip_norm: float | None = None
    update: array = field(default_factory=_INTEGERS, init=False)
    loss: array = field(default_factory=_FLOATS, init=False)
    grad_norm: array = field(default_factory=_FLOATS, init=False)
    seconds: array = field(default_factory=_FLOATS, init=False)
    epoch_update: array = field(default_factory=_INTEGERS, init=False)
    train_loss: array = field(default_factory=_FLOATS, init=False)
    validation_loss: array = field(default_factory=_FLOATS, init=False)
    epoch_seconds: array = field(default_factory=_FLOATS, init=False)
    stopped: str | None = field(default=None, init=False)

    def record_update(self, update: int, loss: float, grad_norm: float, seconds: float) -> None:
        """Add one update; the arguments are the attributes of the same names."""
        self.update.append(update)
        self.loss.append(loss)
        self.grad_norm.append(grad_norm)
        self.seconds.append(seconds)

    def record_epoch(
        self, update: int, train_loss: float, validation_loss: float | None, seconds: float
    ) -> None:
        """Add one epoch that ended with ``update``; None or nan if nothing was validated."""
        self.epoch_update.append(update)
        self.train_loss.append(train_loss)
        self.validation_loss.append(math.nan if validation_loss is None else validation_loss)
        self.epoch_seconds.append(seconds)

    @property
    def best(self) -> Best | None:
        """The epoch, counted from 1, of the lowest validation loss, the earliest of equals.

        None if no epoch was validated.
        """
        losses = [
            (loss, epoch)
            for epoch, loss in enumerate(self.validation_loss, start=1)
            if not math.isnan(loss)
        ]
        if not losses:
            return None
        loss, epoch = min(losses)
        return Best(epoch, self.epoch_update[epoch - 1], loss)

    def to_arrays(self) -> dict[str, NDArray]:
        """Copies of the columns by name: int64 (updates,) or (epochs,), the others float64."""
        return {name: np.array(getattr(self, name)) for name in (*_PER_UPDATE, *_PER_EPOCH)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], clip_norm: float | None) -> History:
        """The history whose `to_arrays` gave ``arrays``.

        Raises
        ------
        ValueError : if a column is missing, is not a vector, or is longer than its neighbours.
        """
        history = cls(clip_norm)
        for columns in (_PER_UPDATE, _PER_EPOCH):
            missing = [name for name in columns if name not in arrays]
            if missing:
                raise ValueError(f"the history has no column {', '.join(missing)}")
            shapes = {name: np.shape(arrays[name]) for name in columns}
            if len(set(shapes.values())) > 1 or len(shapes[next(iter(columns))]) != 1:
                raise ValueError(f"the history's columns must be vectors of one length: {shapes}")
            for name, typecode in columns.items():
                values = np.asarray(arrays[name], dtype=typecode)
                getattr(history, name).frombytes(values.tobytes())
        return history

    def __repr__(self) -> str:
        parts = [f"{len(self.update)} updates"]
        if self.update:
            parts[0] += f" in {self.seconds[-1]:.1f} s, last loss {self.loss[-1]:.4g}"
        if self.epoch_update:
            parts.append(f"{len(self.epoch_update)} epochs")
        if best := self.best:
            parts.append(f"best validation loss {best.loss:.4g} after epoch {best.epoch}")
        if self.stopped:
            parts.append(f"stopped: {self.stopped}")
        return f"History({'; '.join(parts)})"
