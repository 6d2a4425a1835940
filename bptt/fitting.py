"""Training by epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tqdm import tqdm

from .checks import check_count
from .data import Source
from .history import History
from .outcome import Epoch
from .passes import check_fit, check_learnable
from .schedules import Schedule

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["fit"]


def fit(
    trainer: Trainer, train: Source, epochs: int, validation: Source | None, progress: bool
) -> History:
    """What `Trainer.fit` does."""
    epochs = check_count("epochs", epochs)
    check_learnable(train, trainer.model, trainer.loss, trainer.truncation)
    if validation is not None:
        check_fit(validation, trainer.model, trainer.loss)
    _check_watched(trainer, validation)
    done = trainer.under_way.position if trainer.goes_on(train) else 0
    total = None if train.endless else epochs * train.steps
    trainer.history.stopped = trainer.callbacks.stopped()
    with tqdm(total=total, initial=done, unit="step", disable=not progress) as bar:
        for left in reversed(range(epochs)):
            if trainer.history.stopped:
                break
            _fit_epoch(trainer, train, validation, bar)
            trainer.history.stopped = trainer.callbacks.stopped()
            if trainer.history.stopped or not left:
                trainer.callbacks.after_fit(trainer)
            trainer.callbacks.save(trainer)
    return trainer.history


def _check_watched(trainer: Trainer, validation: Source | None) -> None:
    rate = trainer.optimizer.learning_rate
    schedules = [rate] if isinstance(rate, Schedule) else []
    for one in (*schedules, *trainer.callbacks):
        if one.watches == "validation" and validation is None:
            raise ValueError(f"{one} watches the validation loss, but fit got no validation data")


def _fit_epoch(trainer: Trainer, train: Source, validation: Source | None, bar: tqdm) -> None:
    """One pass, or the rest of one that is under way, and what follows before it is saved."""
    history = trainer.history
    for step in trainer.updates(train):
        here = trainer.under_way
        history.record_update(step.n, step.loss, step.grad_norm, trainer.seconds)
        trainer.callbacks.after_update(trainer, step)
        if not here.finished:
            trainer.callbacks.save(trainer)
        bar.update(step.k1)
        number = trainer.epoch + (not here.finished)
        bar.set_postfix_str(f"epoch {number}, loss {step.loss:.3f}", refresh=False)
    found = math.nan if validation is None else trainer.evaluate(validation)
    history.record_epoch(trainer.n, here.mean_loss, found, trainer.seconds)
    rate = trainer.descent.rate_before()
    trainer.observe(here.mean_loss, found)
    epoch = Epoch(trainer.epoch, trainer.n, here.mean_loss, found, rate)
    trainer.callbacks.after_epoch(trainer, epoch)
