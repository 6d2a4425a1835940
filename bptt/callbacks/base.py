"""What a callback is: something that happens while a trainer trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ..options import Options
from ..outcome import Epoch, Step

if TYPE_CHECKING:
    from ..trainer import Trainer

__all__ = ["Callback", "Memo"]

Memo: TypeAlias = Mapping[str, Any]
"""What a callback remembers: name -> number, string, bool, None or NumPy array. The trainer keeps
it, and saves it."""


class Callback(Options):
    """Something that happens while a trainer trains; write what you need of its methods.

    A callback has options and no state. What it must remember from call to call is a memo, at first
    empty: each method gets the memo, and returns the one to remember from now on, or None to leave
    it as it is. Since the trainer saves the memos, a run that is loaded goes on as it would have.

    After an update every callback has its `after_update`, and after an epoch its `after_epoch`, in
    the order in which the trainer was given them; then each has its `save`. After the last update
    of an epoch of `Trainer.fit`, `save` waits for the end of the epoch, validation included, and
    after the last epoch for `after_fit`. So what is saved is never between two callbacks, or
    between an update and its epoch.

    What a method raises ends the call of `Trainer.fit` or `Trainer.steps`. The update counts, and
    the trainer can go on and be saved, but what would have followed is left out: callbacks later
    in the list do not hear of that update, and if it was the last of its epoch, the epoch has no
    validation and no row in the history.
    """

    @property
    def watches(self) -> str | None:
        """Which loss of an epoch it needs: "validation", "training", or None."""
        return None

    def begin(self, trainer: Trainer, memo: Memo) -> Memo | None:
        """Before the first update of every epoch, and when one that was left goes on."""
        return None

    def after_update(self, trainer: Trainer, step: Step, memo: Memo) -> Memo | None:
        """After each update, of `Trainer.fit` and of `Trainer.steps`."""
        return None

    def after_epoch(self, trainer: Trainer, epoch: Epoch, memo: Memo) -> Memo | None:
        """After each epoch of `Trainer.fit`; not after a pass of `Trainer.steps`."""
        return None

    def after_fit(self, trainer: Trainer, memo: Memo) -> Memo | None:
        """After the last epoch of each call of `Trainer.fit`."""
        return None

    def save(self, trainer: Trainer, memo: Memo) -> None:
        """When all callbacks have heard of an update or an epoch: the time to save the trainer."""

    def stops(self, memo: Memo) -> str | None:
        """Why `Trainer.fit` should not begin another epoch; None if it should."""
        return None
