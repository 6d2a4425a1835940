"""Copies of a Trainer, and what `pickle` takes of one: all that changes, and what it was made from.

What kernels and threads hold is left out and made again; the tapes of a pass under way are taken as
a file has them. So a copy goes on as its original does, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NoReturn

from numpy.typing import NDArray

from .tapes import read_tapes

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["Copied", "take_up", "tapes_of"]

_MADE_AGAIN = ("_turn", "_regularization", "_evaluator", "_newest", "_feed", "team")


class Copied:
    """How a `Trainer` is copied and pickled."""

    def __getstate__(self: Trainer) -> dict[str, Any]:
        with self._turn.lock:
            kept = {name: v for name, v in vars(self).items() if name not in _MADE_AGAIN}
            return {**kept, "tapes": tapes_of(self)}

    def __setstate__(self: Trainer, state: dict[str, Any]) -> None:
        tapes = state.pop("tapes")
        vars(self).update(state)
        self.descent.settle_in()
        self._equip()
        if tapes is not None:
            take_up(self, tapes)
        elif self.under_way is not None and not self.under_way.finished:
            self.restart()

    def __deepcopy__(self: Trainer, memo: dict[int, Any]) -> Trainer:
        twin = memo[id(self)] = type(self).__new__(type(self))
        with self._turn.lock:
            state = deepcopy(self.__getstate__(), memo)
        twin.__setstate__(state)
        return twin

    def __copy__(self) -> NoReturn:
        raise TypeError(
            "a shallow copy of a Trainer would train the same model with the same moments; take "
            "copy.deepcopy(trainer), or save it and load it"
        )


def tapes_of(trainer: Trainer) -> dict[str, NDArray] | None:
    """What its windows need of earlier updates of a pass under way; None without such updates."""
    here = trainer.under_way
    if here is None or here.finished or not here.position:
        return None
    return read_tapes(trainer.team.windows, here.keep)


def take_up(trainer: Trainer, tapes: Mapping[str, NDArray]) -> None:
    """Make the workers of the pass under way, with the tapes that `tapes_of` gave.

    Raises
    ------
    KeyError, ValueError : if they do not fit.
    """
    signature = trainer.under_way.signature
    trainer.team = trainer.team_for(signature["batch"], signature["longest"])
    trainer.team.resume(tapes, trainer.truncation.slides)
