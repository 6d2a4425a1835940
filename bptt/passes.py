"""A pass of a trainer over a stream: whether they fit, and how far it has come."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .checks import check_kind
from .data import Feed, Source
from .errors import DataError, ShapeError
from .layers.whole import check_whole
from .losses import Loss
from .model import Model
from .truncation import Truncation

__all__ = ["Pass", "check_fit", "check_learnable", "check_uncut"]


@dataclass
class Pass:
    """How far a pass over a stream has come.

    signature : of the stream, by which it is known again.
    position : time step that comes next.
    keep : steps before it that the next update needs on the tape.
    loss, targets : sum of the losses so far, and number of targets.
    finished : whether it came to the end of the stream.
    """

    signature: dict[str, int]
    position: int = 0
    keep: int = 0
    loss: float = 0.0
    targets: int = 0
    finished: bool = False

    @property
    def mean_loss(self) -> float:
        """Mean loss per target so far; nan before the first."""
        return self.loss / self.targets if self.targets else math.nan


def check_fit(stream: Source, model: Model, loss: Loss) -> None:
    """Refuse a stream that does not fit the model or the loss, before anything is done.

    Raises
    ------
    TypeError : if it is neither a stream nor padded sequences.
    DataError : if it has ids that the model or the loss does not know.
    ShapeError : if it has ids where floats are needed or the other way, or other features.
    ValueError : if a layer reads whole sequences, and it is a feed.
    """
    check_kind("model", model, Model)
    check_kind("loss", loss, Loss)
    if not isinstance(stream, Source):
        raise TypeError(f"a Stream, Padded or Feed is needed, got {stream!r}")
    if isinstance(stream, Feed):
        check_whole(model.layers, "a Feed does not know its end; take Stream or Padded")
    reader = f"the model's {model.layers[0]}"
    _check_ids("data", stream.data_are_ids, model.reads_ids, reader)
    _check_size("data", stream.id_limit, stream.features, model.n_in, reader)
    reader = f"{type(loss).__name__} after {model.layers[-1]}"
    _check_ids("targets", stream.targets_are_ids, loss.takes_ids, reader)
    _check_size("targets", stream.target_limit, stream.outputs, model.n_out, reader)


def check_learnable(stream: Source, model: Model, loss: Loss, truncation: Truncation) -> None:
    """Refuse a stream that a trainer cannot learn from, before anything is done.

    Errors are those of `check_fit` and `check_uncut`.
    """
    check_fit(stream, model, loss)
    check_uncut(model, truncation, stream.longest)


def check_uncut(model: Model, truncation: Truncation, longest: int = 1) -> None:
    """Refuse a truncation that may cut sequences of ``longest`` steps, if a layer reads them whole.

    Raises
    ------
    ValueError : naming both.
    """
    if not truncation.keeps_whole(longest):
        length = f" of {longest} steps" if longest > 1 else ""
        check_whole(model.layers, f"{truncation} cuts those{length}; FullBPTT() does not")


def _check_ids(name: str, are_ids: bool, wants_ids: bool, reader: str) -> None:
    if are_ids != wants_ids:
        words = ("integer ids", "floats") if are_ids else ("floats", "integer ids")
        raise ShapeError(f"the stream's {name} are {words[0]}, but {reader} takes {words[1]}")


def _check_size(name: str, limit: int | None, features: int | None, size: int, reader: str) -> None:
    if limit is not None and limit > size:
        raise DataError(
            f"the stream's {name} have ids up to {limit - 1}, but {reader} takes 0 to {size - 1}"
        )
    if features is not None and features != size:
        raise ShapeError(f"the stream's {name} have {features} features, but {reader} takes {size}")
