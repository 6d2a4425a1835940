"""What is trained on real sequences, with every setting: classifier, forecaster, music."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import bptt

from .sequence_data import KEYS, Labelled

__all__ = ["Chorales", "Classifier", "Forecaster"]

_CELLS = {"LSTM": bptt.LSTM, "GRU": bptt.GRU}


class Classifier(NamedTuple):
    """A recurrent layer, and logits after the last step of each sequence; one update a mini-batch.

    rate, factor, after : of the `bptt.Exponential` learning rate of Adam.
    clip : largest norm of the gradient.
    seeds : of parameters and order, and of the choice of the training data where one is made.
    """

    cell: str = "GRU"
    units: int = 64
    batch: int = 50
    epochs: int = 40
    rate: float = 1e-2
    factor: float = 0.9
    after: int = 21
    clip: float = 1.0
    seeds: Sequence[int] = range(5)

    def accuracy(self, train: Labelled, test: Labelled, seed: int) -> float:
        """Of the test data, after the last pass."""
        n_in, kinds = train.sequences[0].shape[1], int(train.labels.max()) + 1
        model = _model(self.cell, n_in, self.units, kinds, seed)
        trainer = _trainer(model, bptt.CrossEntropy(), bptt.FullBPTT(), self)
        data = bptt.Padded(*train, self.batch, seed=seed)
        trainer.fit(data, self.epochs, progress=False)
        logits = bptt.predict(model, bptt.Padded(*test, self.batch))
        return float(np.mean(logits.argmax(axis=1) == test.labels))


class Forecaster(NamedTuple):
    """One step ahead in one long series, by the mean of several small networks.

    At every step a network reads the square root of the value, and its change since the step
    before, and says the change to the next; all are scaled by what the training part shows.

    lanes, k1, k2 : of the training stream, and of its truncation.
    burn_in : steps at the beginning of each lane that are run without loss.
    others : as for a `Classifier`.
    """

    cell: str = "GRU"
    units: int = 8
    lanes: int = 8
    k1: int = 50
    k2: int = 100
    burn_in: int = 24
    epochs: int = 40
    rate: float = 1e-2
    factor: float = 0.95
    after: int = 14
    clip: float = 1.0
    seeds: Sequence[int] = range(8)

    def forecast(self, series: NDArray, trained: int, seed: int) -> NDArray:
        """Of every value but the first, by a network that knows the first ``trained`` in training.

        The state is zero at the beginning of the series, and carried to its end.
        """
        roots = np.sqrt(series)
        level, spread = roots[:trained].mean(), roots[:trained].std()
        change = np.diff(roots, prepend=roots[0])
        unit = change[:trained].std()
        x = np.column_stack([(roots - level) / spread, change / unit])[:-1].astype(np.float32)
        targets = (change[1:, np.newaxis] / unit).astype(np.float32)
        model = _model(self.cell, 2, self.units, 1, seed)
        trainer = _trainer(model, bptt.SquaredError(), bptt.TBPTT(self.k1, self.k2), self)
        known = slice(trained - 1)
        data = bptt.Stream(x[known], self.lanes, targets[known], burn_in=self.burn_in)
        trainer.fit(data, self.epochs, progress=False)
        said = bptt.predict(model, bptt.Stream(x, 1, targets))[:, 0]
        return np.maximum(roots[:-1] + unit * said, 0) ** 2


class Chorales(NamedTuple):
    """The keys of the next step; the parameters with the lowest validation loss are kept.

    patience : passes without a lower one, after which it ends.
    others : as for a `Classifier`.
    """

    cell: str = "GRU"
    units: int = 256
    batch: int = 16
    epochs: int = 80
    patience: int = 10
    rate: float = 3e-3
    factor: float = 0.95
    after: int = 31
    clip: float = 1.0
    seeds: Sequence[int] = range(3)

    def losses(self, pieces: Mapping[str, list[NDArray]], seed: int) -> dict[str, float]:
        """Nats a step in "valid" and "test", the pass they are from, and the parameters."""
        model = _model(self.cell, KEYS, self.units, KEYS, seed)
        loss = bptt.BinaryCrossEntropy(features="sum")
        trainer = _trainer(model, loss, bptt.FullBPTT(), self)
        data = {part: self._padded(found, seed) for part, found in pieces.items()}
        best, epoch, kept = np.inf, 0, model.params.flat.copy()
        while trainer.epoch < min(self.epochs, epoch + self.patience):
            history = trainer.fit(data["train"], 1, data["valid"], progress=False)
            if history.validation_loss[-1] < best:
                best, epoch = history.validation_loss[-1], trainer.epoch
                kept[:] = model.params.flat
        model.params.flat[:] = kept
        test = trainer.evaluate(data["test"])
        return {"valid": best, "test": test, "epoch": epoch, "parameters": kept.size}

    def _padded(self, pieces: list[NDArray], seed: int) -> bptt.Padded:
        now, after = [piece[:-1] for piece in pieces], [piece[1:] for piece in pieces]
        return bptt.Padded(now, after, self.batch, seed=seed)


def _model(cell: str, n_in: int, units: int, n_out: int, seed: int) -> bptt.Model:
    return bptt.Model([_CELLS[cell](n_in, units), bptt.Linear(units, n_out)], seed=seed)


def _trainer(
    model: bptt.Model, loss: bptt.Loss, truncation: bptt.Truncation, settings: Any
) -> bptt.Trainer:
    rate = bptt.Exponential(settings.rate, settings.factor, settings.after)
    return bptt.Trainer(
        model,
        loss=loss,
        optimizer=bptt.Adam(rate),
        truncation=truncation,
        clip=bptt.ClipNorm(settings.clip),
    )
