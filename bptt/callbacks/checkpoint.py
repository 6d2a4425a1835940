"""A trainer that saves itself on the way."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..checks import check_count, check_flag, check_path, check_watch
from ..outcome import Epoch, Step
from .base import Callback, Memo

if TYPE_CHECKING:
    from ..trainer import Trainer

__all__ = ["Checkpoint"]


@dataclass(frozen=True)
class Checkpoint(Callback):
    """Save the trainer to ``path``, wholly or not at all; what is there is replaced.

    Parameters
    ----------
    path : of the file, a str or a path.
    every_updates : after every so many updates, of `Trainer.fit` and of `Trainer.steps`.
    every_epochs : after every so many epochs of `Trainer.fit`.
    best : after each epoch of `Trainer.fit` whose loss is the lowest so far.
    watch : "validation" or "training", the loss that ``best`` means.

    Raises
    ------
    TypeError : if ``path`` is neither a str nor a path.
    ValueError : if a number is no positive integer, ``best`` no bool, ``watch`` neither word, or if
        nothing says when to save, or ``best`` does and a number as well.
    """

    path: str
    every_updates: int | None = None
    every_epochs: int | None = None
    best: bool = False
    watch: str = "validation"

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", check_path("path", self.path))
        for name in ("every_updates", "every_epochs"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        check_flag("best", self.best)
        if self.best == (self.every_updates is not None or self.every_epochs is not None):
            raise ValueError(
                "a Checkpoint needs every_updates, every_epochs or both, or else best=True; got "
                f"every_updates={self.every_updates}, every_epochs={self.every_epochs}, "
                f"best={self.best}"
            )
        check_watch(self.watch)

    @property
    def watches(self) -> str | None:
        return self.watch if self.best else None

    def begin(self, trainer: Trainer, memo: Memo) -> None:
        folder = os.path.dirname(os.path.realpath(self.path))
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"there is no folder {folder}, where {self} is to save")

    def after_update(self, trainer: Trainer, step: Step, memo: Memo) -> Memo | None:
        if self.every_updates is None or step.n % self.every_updates:
            return None
        return {**memo, "due": step.n}

    def after_epoch(self, trainer: Trainer, epoch: Epoch, memo: Memo) -> Memo | None:
        if self.best:
            loss = epoch.train_loss if self.watch == "training" else epoch.validation_loss
            lower = loss < memo.get("best", math.inf)
            return {"best": loss, "due": epoch.update} if lower else None
        if self.every_epochs is None or epoch.n % self.every_epochs:
            return None
        return {**memo, "due": epoch.update}

    def save(self, trainer: Trainer, memo: Memo) -> None:
        if memo.get("due") == trainer.n:
            trainer.save(self.path)
