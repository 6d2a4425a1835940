"""The loss over a whole stream, without learning."""

from __future__ import annotations

import math

from .data import Source
from .losses import Loss
from .model import Model
from .task import Batch
from .workers import Workers

__all__ = ["Evaluator"]

_STEPS = 64


class Evaluator:
    """Evaluates a model; keeps its windows from one evaluation to the next.

    Parameters
    ----------
    model : what is evaluated.
    workers : threads; None for what is best.
    """

    def __init__(self, model: Model, workers: int | None) -> None:
        self.model, self.workers = model, workers
        self._team: Workers | None = None

    def mean_loss(self, source: Source, loss: Loss) -> float:
        """Per valid target; the state begins at zero and is carried. nan if there is no target."""
        loss = loss.evaluated()
        # Whoever takes it has it alone: a source may evaluate something else to make its data.
        team = self._team_for(source.batch, source.longest if self.model.whole else _STEPS)
        self._team = None
        losses, targets, reader = [], 0, source.reader()
        while reader.position < source.steps:
            if reader.begins:
                team.begin()
            chunk = reader.take(source.left(reader.position) if self.model.whole else _STEPS)
            batch = Batch.of_chunk(self.model, loss, chunk)
            losses.append(team.forward(batch, loss))
            targets += batch.count
        self._team = team
        return math.fsum(losses) / targets if targets else math.nan

    def _team_for(self, lanes: int, steps: int) -> Workers:
        team = self._team
        if team is None or (team.lanes, team.usual) != (lanes, steps):
            team = Workers(self.model, lanes, self.workers, steps)
            team.reserve_forward(steps)
        return team
