"""A Trainer in a file, with all that it needs to go on bit for bit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from . import files
from .callbacks import Callback, Callbacks, foreign, from_words, to_words
from .clip import CLIPS
from .config import build, describe
from .copies import take_up, tapes_of
from .errors import FileFormatError
from .history import History
from .losses import LOSSES
from .model import Model
from .optimizers import OPTIMIZERS
from .passes import Pass
from .regularizers import REGULARIZERS
from .schedules import SCHEDULES
from .truncation import TRUNCATIONS

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["load", "save"]

_KNOWN = LOSSES | OPTIMIZERS | SCHEDULES | TRUNCATIONS | CLIPS | REGULARIZERS
_POLICIES = ("loss", "optimizer", "truncation", "clip", "regularizers")
_OPTIONS = ("workers", "seed")
_COUNTERS = ("n", "epoch", "seconds", "time", "memo")
_OF_DESCENT = ("steps", "updates", "epochs", "memo")


def save(trainer: Trainer, path: str | os.PathLike[str]) -> None:
    """Write ``trainer`` to ``path``, wholly or not at all.

    Raises
    ------
    OSError : if the file cannot be written.
    TypeError : if a layer or a policy is not of this library, so that no file can bring it back, or
        if a callback remembers what no file can hold.
    """
    callbacks, remembered = to_words(trainer.callbacks)
    config = {name: describe(getattr(trainer, name), _KNOWN) for name in _POLICIES}
    config |= {name: getattr(trainer, name) for name in _COUNTERS}
    config |= {
        "descent": {name: getattr(trainer.descent, name) for name in _OF_DESCENT},
        "model": trainer.model.config(),
        "workers": trainer.workers,
        "seed": trainer.seed,
        "callbacks": callbacks,
        "pass": None,
    }
    arrays = {f"params.{name}": view for name, view in trainer.model.arrays.items()}
    arrays |= {f"moments.{name}": moment for name, moment in trainer.moments.items()}
    arrays |= {f"history.{name}": column for name, column in trainer.history.to_arrays().items()}
    arrays |= {f"callbacks.{name}": array for name, array in remembered.items()}
    tapes = tapes_of(trainer)
    if tapes is not None:
        config["pass"] = asdict(trainer.under_way)
        arrays |= {f"tape.{name}": rows for name, rows in tapes.items()}
    files.write(path, "trainer", arrays, config)


def load(
    path: str | os.PathLike[str], kind: type[Trainer], callbacks: Sequence[Callback] | None
) -> Trainer:
    """The trainer in the file at ``path``, with ``callbacks`` in place of its own if not None.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    FileFormatError : if it is not a whole and sound trainer file.
    TypeError : if ``callbacks`` is None, and some of its own are not of this library.
    """
    given = None if callbacks is None else Callbacks(callbacks)
    arrays, config = files.read(path, "trainer")
    try:
        unknown = foreign(config["callbacks"]) if given is None else []
        if not unknown:
            return _restored(path, arrays, config, kind, given)
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path} does not hold a whole trainer: {error}") from error
    raise TypeError(
        f"the trainer in {path} had callbacks that are not of this library: {', '.join(unknown)}. "
        "Hand over all that it should have: Trainer.load(path, callbacks=[...])"
    )


def _restored(
    path: str | os.PathLike[str],
    arrays: dict[str, NDArray],
    config: dict[str, Any],
    kind: type[Trainer],
    callbacks: Callbacks | None,
) -> Trainer:
    model = Model.from_config(config["model"])
    files.fill(path, model.arrays, _under("params.", arrays))
    policies = {name: build(config[name], _KNOWN) for name in _POLICIES}
    trainer = kind(model, **policies, **{name: config[name] for name in _OPTIONS})
    for name in _COUNTERS:
        setattr(trainer, name, config[name])
    for name in _OF_DESCENT:
        setattr(trainer.descent, name, config["descent"][name])
    files.fill(path, trainer.moments, _under("moments.", arrays))
    trainer.history = History.from_arrays(_under("history.", arrays), trainer.history.clip_norm)
    words, remembered = config["callbacks"], _under("callbacks.", arrays)
    known = from_words(words, remembered, callbacks)
    trainer.callbacks = known
    trainer.callbacks.memos = known.memos
    trainer.history.stopped = trainer.callbacks.stopped()
    if config["pass"] is not None:
        trainer.under_way = Pass(**config["pass"])
        take_up(trainer, _under("tape.", arrays))
    return trainer


def _under(prefix: str, arrays: dict[str, NDArray]) -> dict[str, NDArray]:
    return {n.removeprefix(prefix): array for n, array in arrays.items() if n.startswith(prefix)}
