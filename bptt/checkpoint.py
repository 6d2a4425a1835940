"""A Trainer in a file, with all that it needs to go on bit for bit."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from . import files
from .clip import CLIPS
from .config import build, describe
from .errors import FileFormatError
from .history import History
from .losses import LOSSES
from .model import Model
from .optimizers import OPTIMIZERS
from .passes import Pass
from .regularizers import REGULARIZERS
from .schedules import SCHEDULES
from .tapes import read_tapes
from .truncation import TRUNCATIONS

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["load", "save"]

_KNOWN = LOSSES | OPTIMIZERS | SCHEDULES | TRUNCATIONS | CLIPS | REGULARIZERS
_POLICIES = ("loss", "optimizer", "truncation", "clip", "regularizers")
_OPTIONS = ("workers", "seed")
_COUNTERS = ("n", "epoch", "seconds", "time", "memo")


def save(trainer: Trainer, path: str | os.PathLike[str]) -> None:
    """Write ``trainer`` to ``path``, wholly or not at all.

    Raises
    ------
    OSError : if the file cannot be written.
    TypeError : if a layer or a policy is not of this library, so that no file can bring it back.
    """
    config = {name: describe(getattr(trainer, name), _KNOWN) for name in _POLICIES}
    config |= {name: getattr(trainer, name) for name in _COUNTERS}
    config |= {
        "model": trainer.model.config(),
        "workers": trainer.workers,
        "seed": trainer.seed,
        "pass": None,
    }
    arrays = {f"params.{name}": view for name, view in trainer.model.arrays.items()}
    arrays |= {f"moments.{name}": moment for name, moment in trainer.moments.items()}
    arrays |= {f"history.{name}": column for name, column in trainer.history.to_arrays().items()}
    if trainer.under_way is not None and not trainer.under_way.finished:
        config["pass"] = asdict(trainer.under_way)
        tapes = read_tapes(trainer.team.windows, trainer.under_way.keep)
        arrays |= {f"tape.{name}": rows for name, rows in tapes.items()}
    files.write(path, "trainer", arrays, config)


def load(path: str | os.PathLike[str], kind: type[Trainer]) -> Trainer:
    """The trainer in the file at ``path``.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    FileFormatError : if it is not a whole and sound trainer file.
    """
    arrays, config = files.read(path, "trainer")
    try:
        return _restored(path, arrays, config, kind)
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path} does not hold a whole trainer: {error}") from error


def _restored(
    path: str | os.PathLike[str],
    arrays: dict[str, NDArray],
    config: dict[str, Any],
    kind: type[Trainer],
) -> Trainer:
    model = Model.from_config(config["model"])
    files.fill(path, model.arrays, _under("params.", arrays))
    policies = {name: build(config[name], _KNOWN) for name in _POLICIES}
    trainer = kind(model, **policies, **{name: config[name] for name in _OPTIONS})
    for name in _COUNTERS:
        setattr(trainer, name, config[name])
    files.fill(path, trainer.moments, _under("moments.", arrays))
    trainer.history = History.from_arrays(_under("history.", arrays), trainer.history.clip_norm)
    if config["pass"] is not None:
        trainer.under_way = Pass(**config["pass"])
        signature = trainer.under_way.signature
        trainer.team = trainer.team_for(signature["batch"], signature["longest"])
        trainer.team.resume(_under("tape.", arrays), trainer.truncation.slides)
    return trainer


def _under(prefix: str, arrays: dict[str, NDArray]) -> dict[str, NDArray]:
    return {n.removeprefix(prefix): array for n, array in arrays.items() if n.startswith(prefix)}
