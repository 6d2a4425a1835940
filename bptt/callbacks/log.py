"""Logs: a file that gets a line after every epoch, or after every so many updates."""

from __future__ import annotations

import json
import math
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..checks import check_count, check_flag, check_path
from ..errors import DataError
from ..outcome import Epoch, Step
from .base import Callback, Memo

if TYPE_CHECKING:
    from ..trainer import Trainer

__all__ = ["CSVLog", "JSONLog", "Log"]

Row: TypeAlias = Mapping[str, float]

_OF_UPDATES = ("update", "epoch", "loss", "grad_norm", "rate", "seconds")
_OF_EPOCHS = ("epoch", "update", "train_loss", "validation_loss", "rate", "seconds")


@dataclass(frozen=True)
class Log(Callback):
    """A log in the file ``path``: a row after every epoch of `Trainer.fit`, or after updates.

    Every row is written at once. How long the log is is saved with the trainer: when a run that was
    loaded goes on, the rows that it had written after it was saved are cut off.

    Rows of epochs: epoch, update (its last), train_loss, validation_loss, rate (the learning rate),
    seconds. Rows of updates: update, epoch, loss, grad_norm, rate, seconds. Seconds are those of
    `Trainer.seconds`.

    Parameters
    ----------
    path : of the file, a str or a path.
    every_updates : for a row after every so many updates, of `Trainer.fit` and of `Trainer.steps`;
        None for rows of epochs.
    replace : what to do when a run begins and the file is there and not empty: whether to begin it
        anew, or to refuse.

    Raises
    ------
    TypeError : if ``path`` is neither a str nor a path.
    ValueError : if ``every_updates`` is no positive integer, or ``replace`` no bool.
    FileExistsError, DataError : when training begins, if the log of another run is at ``path``, or
        less than this run has written.
    """

    path: str
    every_updates: int | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", check_path("path", self.path))
        if self.every_updates is not None:
            check_count("every_updates", self.every_updates)
        check_flag("replace", self.replace)

    @property
    def columns(self) -> Sequence[str]:
        """The names of what a row holds."""
        return _OF_EPOCHS if self.every_updates is None else _OF_UPDATES

    @abstractmethod
    def head(self) -> str:
        """What the file begins with."""

    @abstractmethod
    def line(self, row: Row) -> str:
        """One row, without the end of the line; a number that is not finite is left out."""

    def begin(self, trainer: Trainer, memo: Memo) -> Memo | None:
        if self._goes_on(memo):
            self._cut(memo["bytes"])
            return None
        if not self.replace and os.path.exists(self.path) and os.path.getsize(self.path):
            raise FileExistsError(
                f"{self.path} is there already, and not the log of this run: remove it, choose "
                "another path or replace=True, or go on with its run from a trainer's file"
            )
        head = self.head().encode()
        with open(self.path, "wb") as file:
            file.write(head)
        return {"path": self.path, "columns": ",".join(self.columns), "bytes": len(head)}

    def after_update(self, trainer: Trainer, step: Step, memo: Memo) -> Memo | None:
        if self.every_updates is None or step.n % self.every_updates:
            return None
        epoch = trainer.epoch + (not trainer.under_way.finished)
        numbers = (step.n, epoch, step.loss, step.grad_norm, step.rate, trainer.seconds)
        return self._write(numbers, memo)

    def after_epoch(self, trainer: Trainer, epoch: Epoch, memo: Memo) -> Memo | None:
        return None if self.every_updates else self._write((*epoch, trainer.seconds), memo)

    def _goes_on(self, memo: Memo) -> bool:
        """Whether ``memo`` is of the log that this one would write."""
        wanted = self.path, ",".join(self.columns)
        return (memo.get("path"), memo.get("columns")) == wanted

    def _cut(self, written: int) -> None:
        """Leave what this run has written."""
        found = os.path.getsize(self.path)
        if found < written:
            raise DataError(f"{self.path} has {found} bytes, but this run has written {written}")
        if found > written:
            os.truncate(self.path, written)

    def _write(self, numbers: Sequence[float], memo: Memo) -> Memo:
        """Put one row where the log of this run ends."""
        row = dict(zip(self.columns, numbers, strict=True))
        line = f"{self.line(row)}\n".encode()
        with open(self.path, "r+b") as file:
            file.seek(memo["bytes"])
            file.write(line)
        return {**memo, "bytes": memo["bytes"] + len(line)}


@dataclass(frozen=True)
class CSVLog(Log):
    """A `Log` of comma-separated values under a line of names; what is not finite is left empty."""

    def head(self) -> str:
        return ",".join(self.columns) + "\n"

    def line(self, row: Row) -> str:
        return ",".join(str(v) if math.isfinite(v) else "" for v in row.values())


@dataclass(frozen=True)
class JSONLog(Log):
    """A `Log` of one JSON object a line; what is not finite is null."""

    def head(self) -> str:
        return ""

    def line(self, row: Row) -> str:
        return json.dumps({n: v if math.isfinite(v) else None for n, v in row.items()})
