"""The callbacks of a trainer, with what they remember."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..outcome import Epoch, Step
from .base import Callback, Memo
from .checkpoint import Checkpoint
from .log import Log

if TYPE_CHECKING:
    from ..trainer import Trainer

__all__ = ["Callbacks"]


class Callbacks(Sequence[Callback]):
    """The callbacks of a trainer, in order.

    Attributes
    ----------
    memos : what each remembers.

    Raises
    ------
    TypeError : if something in ``callbacks`` is no callback.
    ValueError : if two of them write the same file.
    """

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        if not isinstance(callbacks, Iterable):
            raise TypeError(f"callbacks must be a list of Callbacks, got {callbacks!r}")
        self._all = tuple(callbacks)
        for callback in self._all:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks must be a list of Callbacks, got {callback!r} in it")
        _check_paths([c.path for c in self._all if isinstance(c, Checkpoint | Log)])
        self.memos: list[Memo] = [{} for _ in self._all]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: Any) -> Any:
        return self._all[index]

    def begin(self, trainer: Trainer) -> None:
        for i, callback in enumerate(self._all):
            self._remember(i, "begin", callback.begin(trainer, self.memos[i]))

    def after_update(self, trainer: Trainer, step: Step) -> None:
        for i, callback in enumerate(self._all):
            memo = callback.after_update(trainer, step, self.memos[i])
            self._remember(i, "after_update", memo)

    def after_epoch(self, trainer: Trainer, epoch: Epoch) -> None:
        for i, callback in enumerate(self._all):
            memo = callback.after_epoch(trainer, epoch, self.memos[i])
            self._remember(i, "after_epoch", memo)

    def after_fit(self, trainer: Trainer) -> None:
        for i, callback in enumerate(self._all):
            self._remember(i, "after_fit", callback.after_fit(trainer, self.memos[i]))

    def save(self, trainer: Trainer) -> None:
        for callback, memo in zip(self._all, self.memos, strict=True):
            callback.save(trainer, memo)

    def stopped(self) -> str | None:
        """Why there should be no further epoch, in the words of the first that says so."""
        reasons = map(lambda callback, memo: callback.stops(memo), self._all, self.memos)
        return next((reason for reason in reasons if reason), None)

    def _remember(self, i: int, method: str, memo: Memo | None) -> None:
        if memo is None:
            return
        if not isinstance(memo, Mapping):
            where = f"{type(self._all[i]).__name__}.{method}"
            raise TypeError(f"{where} must return a memo, a mapping, or None; got {memo!r}")
        self.memos[i] = memo


def _check_paths(paths: Sequence[str]) -> None:
    real = [os.path.realpath(path) for path in paths]
    for path, place in zip(paths, real, strict=True):
        if real.count(place) > 1:
            raise ValueError(f"two callbacks write to {path}, but each needs a file of its own")
