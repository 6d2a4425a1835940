"""Four tasks on real sequences: train, test, and say how far the result is from its bar."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import sequence_data
from .sequence_baselines import autoregression, rmse
from .sequence_data import Labelled
from .sequence_models import Chorales, Classifier, Forecaster

__all__ = ["TASKS", "Result"]

_VOWELS = Classifier(units=100, batch=18, epochs=30, rate=5e-3)
_DIGITS, _SUNSPOTS, _CHORALES = Classifier(), Forecaster(), Chorales()
_TRAINED_DIGITS = 1500
_HELD_OUT = 0.2
_ORDER = 12


class Result(NamedTuple):
    """Of one task.

    measure : what was measured, and ``higher`` whether more is better.
    value, bar : the result, and what it should reach.
    runs : the measure of every seed.
    beside : name -> the measure of something else, to compare with.
    settings : of the model and its training.
    """

    task: str
    measure: str
    higher: bool
    value: float
    bar: float
    runs: list[float]
    beside: dict[str, float]
    settings: dict[str, Any]
    seconds: float

    @property
    def reached(self) -> bool:
        return self.value >= self.bar if self.higher else self.value <= self.bar


def vowels(folder: Path, settings: Classifier = _VOWELS) -> Result:
    """Who of nine speakers says a vowel; channels scaled by what the training data shows."""
    began, found = time.perf_counter(), sequence_data.vowels(folder)
    steps = np.concatenate(found["train"].sequences)
    mean, spread = steps.mean(axis=0), steps.std(axis=0)
    train, test = (
        Labelled([(s - mean) / spread for s in part.sequences], part.labels)
        for part in (found["train"], found["test"])
    )
    runs = [settings.accuracy(train, test, seed) for seed in settings.seeds]
    return _classified("JapaneseVowels", runs, 0.96, test.labels, settings, began)


def digits(folder: Path, settings: Classifier = _DIGITS) -> Result:
    """Which digit 64 pixels show, one a step; every seed has its own choice of training images."""
    began, found, runs = time.perf_counter(), sequence_data.digits(folder), []
    for seed in settings.seeds:
        order = np.random.default_rng(seed).permutation(len(found.labels))
        parts = np.split(order, [_TRAINED_DIGITS])
        train, test = (Labelled([found.sequences[i] for i in p], found.labels[p]) for p in parts)
        runs.append(settings.accuracy(train, test, seed))
    return _classified("digits, pixel by pixel", runs, 0.95, found.labels, settings, began)


def _classified(
    task: str, runs: list[float], bar: float, labels: NDArray, settings: Classifier, began: float
) -> Result:
    beside = {"the commonest class": float(np.bincount(labels).max() / len(labels))}
    seconds = time.perf_counter() - began
    value = float(np.mean(runs))
    return Result(
        task, "test accuracy", True, value, bar, runs, beside, _written(settings), seconds
    )


def sunspots(folder: Path, settings: Forecaster = _SUNSPOTS) -> Result:
    """The next month, one step ahead; the bar is a linear autoregression's error."""
    began, series = time.perf_counter(), sequence_data.sunspots(folder)
    trained = len(series) - int(_HELD_OUT * len(series))
    truth = series[trained:]
    said = [settings.forecast(series, trained, seed)[trained - 1 :] for seed in settings.seeds]
    linear = {
        f"linear autoregression of order {order}": rmse(
            autoregression(series, trained, order)[trained:], truth
        )
        for order in (_ORDER, 2 * _ORDER)
    }
    beside = {"persistence": rmse(series[trained - 1 : -1], truth), **linear}
    return Result(
        "monthly sunspots", "RMSE, one step ahead", False, rmse(np.mean(said, axis=0), truth),
        linear[f"linear autoregression of order {_ORDER}"], [rmse(one, truth) for one in said],
        beside, _written(settings), time.perf_counter() - began,
    )  # fmt: skip


def chorales(folder: Path, settings: Chorales = _CHORALES) -> Result:
    """The keys that sound at the next step of a chorale, in nats."""
    began, pieces = time.perf_counter(), sequence_data.chorales(folder)
    found = [settings.losses(pieces, seed) for seed in settings.seeds]
    runs = [one["test"] for one in found]
    beside = {"published LSTM": 8.45, "published GRU": 8.43}
    best = {f"{name} of seed {seed}": one[name] for seed, one in zip(settings.seeds, found,
            strict=True) for name in ("epoch", "valid", "parameters")}  # fmt: skip
    return Result(
        "JSB chorales", "test NLL, nats a step", False, float(np.mean(runs)), 8.6, runs,
        beside, _written(settings) | best, time.perf_counter() - began,
    )  # fmt: skip


def _written(settings: Any) -> dict[str, Any]:
    return settings._asdict() | {"seeds": list(settings.seeds)}


TASKS: dict[str, Callable[[Path], Result]] = {
    task.__name__: task for task in (vowels, digits, sunspots, chorales)
}
"""Name -> what measures it on the files in a folder."""
