"""Training that ends when it no longer helps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..checks import check_amount, check_count, check_flag, check_watch
from ..outcome import Epoch
from .base import Callback, Memo

if TYPE_CHECKING:
    from ..trainer import Trainer

__all__ = ["EarlyStopping"]


@dataclass(frozen=True)
class EarlyStopping(Callback):
    """End `Trainer.fit` once the loss stays above its lowest, with the best epoch's parameters.

    (Goodfellow, Bengio & Courville 2016, algorithm 7.1; Prechelt 1998.)

    ``history.stopped`` then says why. A call of `Trainer.fit` after that trains no further, so a
    script that loads its trainer and goes on may be run again and again; hand a larger patience to
    `Trainer.load` to go on. The best parameters are also put back when `Trainer.fit` comes to the
    end of its epochs, as Keras' ``restore_best_weights`` does; the next call begins with them.

    Parameters
    ----------
    patience : epochs in a row that may pass without a lower loss; the last of them is the end.
    restore : whether to put the parameters and the buffers of the best epoch back at the end of
        `Trainer.fit`, in any case. A copy of them is kept, and saved with the trainer. Moments and
        counters stay.
    min_delta : a loss is lower only if it is by more than this.
    watch : "validation" or "training", the loss that is meant.

    Raises
    ------
    ValueError : if ``patience`` is no positive integer, ``restore`` no bool, ``min_delta`` negative
        or not finite, or ``watch`` neither word.
    """

    patience: int
    restore: bool = True
    min_delta: float = 0.0
    watch: str = "validation"

    def __post_init__(self) -> None:
        check_count("patience", self.patience)
        check_flag("restore", self.restore)
        check_amount("min_delta", self.min_delta)
        check_watch(self.watch)

    @property
    def watches(self) -> str:
        return self.watch

    def after_epoch(self, trainer: Trainer, epoch: Epoch, memo: Memo) -> Memo:
        loss = epoch.train_loss if self.watch == "training" else epoch.validation_loss
        model = trainer.model
        if loss < memo.get("best", math.inf) - self.min_delta:
            memo = {"best": loss, "epoch": epoch.n, "waited": 0}
            if self.restore:
                memo |= {"params": model.params.flat.copy(), "buffers": model.buffers.flat.copy()}
            return memo
        return {**memo, "waited": memo.get("waited", 0) + 1}

    def after_fit(self, trainer: Trainer, memo: Memo) -> None:
        if self.restore and "params" in memo:
            trainer.model.params.flat[:] = memo["params"]
            trainer.model.buffers.flat[:] = memo["buffers"]

    def stops(self, memo: Memo) -> str | None:
        waited = memo.get("waited", 0)
        if waited < self.patience:
            return None
        epochs = f"{waited} epoch{'s' * (waited > 1)}"
        if "best" not in memo:
            return f"there was no {self.watch} loss in {epochs}"
        restored = ", which is restored" if self.restore and "params" in memo else ""
        return (
            f"the {self.watch} loss has not been lower for {epochs} than the "
            f"{memo['best']:.4g} of epoch {memo['epoch']}{restored}"
        )
