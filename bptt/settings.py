"""What a trainer is told; each part may be told anew between two updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from .block import Block
from .callbacks import Callback, Callbacks, from_words, to_words
from .checks import check_held, check_kind, check_numbers, check_seed, check_workers
from .clip import Clip, ClipNorm, Clipping
from .data import Feed
from .descent import Descent
from .evaluation import Evaluator
from .history import History
from .losses import Loss
from .memory import check_stretches
from .model import Model
from .optimizers import Optimizer
from .passes import Pass, check_uncut
from .regularize import Regularization, check_regularizers
from .regularizers import Regularizer
from .truncation import Memo, Truncation
from .turn import Turn
from .workers import Workers

__all__ = ["Settings"]


class Settings:
    """The arguments of a `Trainer`. All but the model may be set between two updates.

    What is set is checked as in the constructor, raises the same, and holds from the next update
    on. Everything else stays, but for this:

    - ``optimizer``: one of another class, or with other moments, begins with moments of zero, and
      counts its steps (for Adam's correction of the bias) from there. A learning rate that is not
      the same begins anew: a schedule counts updates and epochs from there.
    - ``truncation``, ``regularizers``, ``workers``: in the middle of a pass the state goes on, but
      windows reach back no further than to here. What an `AdaptiveTBPTT` learned is forgotten if
      the truncation is set.
    - ``callbacks``: each goes on from what one of its class remembered, as in `Trainer.load`.
    """

    history: History
    descent: Descent
    memo: Memo
    under_way: Pass | None
    team: Workers | None
    _feed: Feed | None
    _newest: tuple[int, float, Block, Clipping] | None

    model = property(attrgetter("_model"))
    loss = property(attrgetter("_loss"))
    optimizer = property(attrgetter("descent.optimizer"))
    truncation = property(attrgetter("_truncation"))
    clip = property(attrgetter("_clip"))
    regularizers = property(attrgetter("_regularizers"))
    workers = property(attrgetter("_workers"))
    seed = property(attrgetter("_seed"))
    callbacks = property(attrgetter("_callbacks"))

    def _begin(self, model: Model, optimizer: Optimizer) -> None:
        """What the others need."""
        check_kind("model", model, Model)
        check_kind("optimizer", optimizer, Optimizer)
        check_numbers(optimizer, model.dtype)
        self._turn = Turn()
        self._model, self.descent = model, Descent(model, optimizer)
        self.history = History()
        self.under_way = self.team = self._newest = self._feed = None

    @loss.setter
    def loss(self, loss: Loss) -> None:
        check_kind("loss", loss, Loss)
        self._loss = loss

    @optimizer.setter
    def optimizer(self, optimizer: Optimizer) -> None:
        check_kind("optimizer", optimizer, Optimizer)
        check_numbers(optimizer, self.model.dtype)
        self.descent.follow(optimizer)
        self._newest = None

    @truncation.setter
    def truncation(self, truncation: Truncation) -> None:
        check_kind("truncation", truncation, Truncation)
        here = self.under_way
        longest = 1 if here is None or here.finished else here.signature["longest"]
        check_uncut(self.model, truncation, longest)
        check_stretches(self.model.layers, truncation.memory)
        check_held("clip_delta", truncation.clip_delta, self.model.dtype)
        self._tell(_truncation=truncation, memo={})

    @clip.setter
    def clip(self, clip: Clip | None) -> None:
        if clip is not None and not isinstance(clip, Clip):
            raise TypeError(f"clip must be a Clip or None, got {clip!r}")
        if clip is not None:
            check_numbers(clip, self.model.dtype)
        self._clip = clip
        self.history.clip_norm = clip.norm if isinstance(clip, ClipNorm) else None

    @regularizers.setter
    def regularizers(self, regularizers: Sequence[Regularizer]) -> None:
        checked = check_regularizers(regularizers)
        at_work = Regularization(self.model, checked)
        self._tell(_regularizers=checked, _regularization=at_work)

    @workers.setter
    def workers(self, workers: int | None) -> None:
        check_workers(workers)
        count = None if workers is None else int(workers)
        self._tell(_workers=count, _evaluator=Evaluator(self.model, count))

    @seed.setter
    def seed(self, seed: int) -> None:
        self._seed = check_seed(seed)

    @callbacks.setter
    def callbacks(self, callbacks: Sequence[Callback]) -> None:
        before = getattr(self, "_callbacks", None)
        given = Callbacks(callbacks)
        self._callbacks = given if before is None else from_words(*to_words(before), given)

    def _equip(self) -> None:
        """Make what no copy and no file has."""
        self._turn = Turn()
        self._regularization = Regularization(self.model, self.regularizers)
        self._evaluator = Evaluator(self.model, self.workers)
        self.team = self._newest = self._feed = None

    def team_for(self, lanes: int, steps: int) -> Workers:
        """The workers for ``lanes`` lanes of at most ``steps`` steps."""
        team, usual = self.team, self.truncation.usual(steps)
        if team is None or (team.lanes, team.usual) != (lanes, usual):
            memory, params = self.truncation.memory, self._regularization.params
            team = Workers(self.model, lanes, self.workers, usual, memory, params)
        return team

    def _tell(self, **changes: Any) -> None:
        """Change what windows depend on: in the middle of a pass other windows take up the state.

        If there are none, as in too little memory, nothing changes.
        """
        here, changes = self.under_way, {**changes, "team": None, "_newest": None}
        before = {name: getattr(self, name, None) for name in changes}
        self._set(changes)
        if here is None or here.finished:
            return
        try:
            self.team = self.team_for(here.signature["batch"], here.signature["longest"])
            self.team.reserve(1, self.truncation.slides)
        except ValueError:
            self._set(before)
            raise
        self.team.begin(before["team"].state())
        here.keep = 0

    def _set(self, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)
