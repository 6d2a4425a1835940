"""The optimizer at work: what it carries, what it counts, and steps that are taken back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from .block import Block
from .clip import Clipping
from .model import Model
from .not_finite import first_in
from .optimizers import Optimizer
from .packed import layer_number
from .schedules import Schedule, ScheduleMemo
from .workers import Workers

__all__ = ["Descent"]


class Descent:
    """How the parameters of a model follow their gradient.

    It counts steps, and not updates: one without a valid target takes none.

    Attributes
    ----------
    optimizer : set by `follow`.
    moments : what the optimizer carries from step to step.
    steps : taken since the moments were zero.
    updates, epochs, memo : steps and epochs since the learning rate was set, and what it remembers.
    """

    def __init__(self, model: Model, optimizer: Optimizer) -> None:
        self._model, self.optimizer = model, optimizer
        self._buffers = {"buffer": model.buffers} if model.buffers.flat.size else {}
        self.moments = self._no_moments()
        self.steps = self.updates = self.epochs = 0
        self.memo: ScheduleMemo = {}
        self._size = math.inf  # Of all that the newest step left; inf if it is not known.
        self._safe = math.nan, 0.0

    def _no_moments(self) -> dict[str, NDArray]:
        return {name: self._model.params.like().flat for name in self.optimizer.moments}

    def settle_in(self) -> None:
        """Put copied moments where kernels can work: what carried them here may be read-only, and
        begin anywhere."""
        like, moments = self._model.params.like, self.moments.items()
        self.moments = {name: like(moment).copy().flat for name, moment in moments}

    def follow(self, optimizer: Optimizer) -> None:
        """Take another optimizer from now on.

        Moments stay if it is of the same class and has the same; else they are zero. A learning
        rate that is not the same begins anew.
        """
        before, self.optimizer = self.optimizer, optimizer
        if (type(before), before.moments) != (type(optimizer), optimizer.moments):
            self.moments, self.steps = self._no_moments(), 0
        if before.learning_rate != optimizer.learning_rate:
            self.updates = self.epochs = 0
            self.memo = {}
        self._size, self._safe = math.inf, (math.nan, 0.0)

    def rate(self) -> float:
        """The learning rate of the next step."""
        return self.optimizer.rate(self.updates, self.epochs, self.memo)

    def rate_before(self) -> float:
        """What it was a step and an epoch ago."""
        return self.optimizer.rate(max(0, self.updates - 1), max(0, self.epochs - 1), self.memo)

    def observe(self, train_loss: float, validation_loss: float) -> None:
        """Tell a learning rate that follows losses of an epoch's."""
        rate = self.optimizer.learning_rate
        if isinstance(rate, Schedule):
            self.memo = rate.observe(self.memo, train_loss, validation_loss)

    def step(
        self, team: Workers, grads: NDArray, norm: float, rate: float, clipping: Clipping
    ) -> tuple[str, str] | None:
        """Let the parameters follow ``grads``, of that norm, and the buffers their layers.

        Returns
        -------
        None; or, where something would not be finite, what that is, and its layer. Then all is as
        it was.
        """
        if rate != self._safe[0]:
            self._safe = rate, self.optimizer.safe_size(rate)
        safe = self._safe[1]
        # To copy all that a step changes takes about as long as the step.
        careful = not (self._size <= safe and norm * clipping.factor <= safe)
        if careful or self._buffers:
            found = self._try(careful, team, grads, rate, clipping)
        else:
            found = self._take(team, grads, rate, clipping)
        if found is None:
            self.steps += 1
            self.updates += 1
        return found

    def _try(
        self, careful: bool, team: Workers, grads: NDArray, rate: float, clipping: Clipping
    ) -> tuple[str, str] | None:
        """Take a step, and take it back if need be; one that is not ``careful`` is surely finite,
        but for the buffers."""
        blocks = self._everything() if careful else self._buffers
        before = {what: block.flat.copy() for what, block in blocks.items()}
        quiet = np.errstate(over="ignore", invalid="ignore")
        quiet(team.settle)()
        found = self._first(self._buffers)
        if found is None:
            self._take(team, grads, rate, clipping, quiet if careful else None)
            found = self._first(blocks)
        if found is not None:
            for what, block in blocks.items():
                block.flat[:] = before[what]
        return found

    def _take(
        self,
        team: Workers,
        grads: NDArray,
        rate: float,
        clipping: Clipping,
        quiet: np.errstate | None = None,
    ) -> None:
        """quiet : for threads, which do not know it of the caller's."""
        params, optimizer, n = self._model.params.flat, self.optimizer, self.steps + 1
        sizes: list[float | None] = []

        def work(piece: slice) -> None:
            moments = {name: vector[piece] for name, vector in self.moments.items()}
            size = optimizer.update(params[piece], grads[piece], moments, n, rate, clipping)
            sizes.append(size)

        if quiet is not None:
            work = quiet(work)
        if optimizer.elementwise:
            team.share(work)
        else:
            work(slice(None))
        self._size = math.inf if None in sizes else sum(sizes)

    def _first(self, blocks: Mapping[str, Block]) -> tuple[str, str] | None:
        """What of ``blocks`` is not finite, and its layer."""
        return first_in(self._model.layers, _suspects(blocks))

    def change(self, grads: NDArray, rate: float, clipping: Clipping) -> NDArray | None:
        """What the newest step, called so, added to the parameters; as `Optimizer.change`."""
        params, n = self._model.params.flat, max(1, self.steps)
        return self.optimizer.change(params, grads, self.moments, n, rate, clipping)

    def _everything(self) -> dict[str, Block]:
        """All that a step changes, by what it is."""
        params = self._model.params
        moments = {f"moment {name} of": params.like(flat) for name, flat in self.moments.items()}
        return {"parameter": params, **moments, **self._buffers}


def _suspects(blocks: Mapping[str, Block]) -> Iterator[tuple[str, int, NDArray]]:
    for what, block in blocks.items():
        for name, values in block.items():
            yield f"the {what} {name}, after the step,", layer_number(name), values
