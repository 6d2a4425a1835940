"""The fixed copy task of Aicher, Foti & Fox (2019), held against their Table C.1.

``python -m benchmarks.copy_task`` trains a model for each row, and writes ``copy_task.json`` and
``copy_task.md``.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bptt

from . import copy_report, machine
from .copy_data import Task, blind_perplexity, stream

__all__ = ["ROWS", "Row", "Settings", "main", "measure", "model_of", "train"]

_RESULTS = Path(__file__).parent / "results"
_SCHEMA = 1


class Row(NamedTuple):
    """A truncation, and what the paper reports for it.

    setting : what tells it from others of its kind.
    paper, spread : test perplexity, mean and standard deviation over initial parameters.
    """

    setting: str
    truncation: Any
    paper: float
    spread: float


def _fixed(k: int, paper: float, spread: float) -> Row:
    """An update for K new steps, whose error also flows through the K - 1 steps before them."""
    return Row(f"K = {k}", bptt.TBPTT(k, 2 * k - 1), paper, spread)


def _adaptive(tolerance: float, paper: float, spread: float) -> Row:
    """A window chosen anew every 250 updates, of at most 100 steps."""
    policy = bptt.AdaptiveTBPTT(tolerance, k_max=100, every=250)
    return Row(f"tolerance {tolerance:g}", policy, paper, spread)


ROWS = (
    _fixed(5, 1.646, 0.012),
    _fixed(10, 1.036, 0.005),
    _fixed(15, 1.039, 0.003),
    _fixed(20, 1.040, 0.006),
    _fixed(30, 1.043, 0.004),
    _adaptive(0.9, 1.022, 0.006),
    _adaptive(0.5, 1.027, 0.002),
    _adaptive(0.1, 1.030, 0.005),
)


class Settings(NamedTuple):
    """What all rows share.

    steps, held_out : of a lane, for training and for validation or test.
    units : of each LSTM layer and of the embedding.
    epochs : passes over the training data.
    rate, factor, after : of the `bptt.Exponential` learning rate.
    clip : largest norm of the gradient.
    """

    task: Task = Task()
    steps: int = 4000
    held_out: int = 1000
    units: int = 50
    epochs: int = 35
    rate: float = 2e-3
    factor: float = 0.9
    after: int = 21
    clip: float = 1.0
    seed: int = 0

    def streams(self) -> dict[str, bptt.Stream]:
        """Training, validation and test data as the authors made them, and plain test data."""
        return {
            "train": stream(self.task, self.steps, 1, joined=True),
            "validation": stream(self.task, self.held_out, 2, joined=True),
            "test": stream(self.task, self.held_out, 3, joined=True),
            "plain": stream(self.task, self.held_out, 3, joined=False),
        }


def model_of(settings: Settings) -> bptt.Model:
    """Embedding, two LSTM layers, and logits."""
    ids, n = settings.task.ids, settings.units
    layers = [bptt.Embedding(ids, n), bptt.LSTM(n, n), bptt.LSTM(n, n), bptt.Linear(n, ids)]
    return bptt.Model(layers, seed=settings.seed)


def _trainer(truncation: Any, settings: Settings) -> bptt.Trainer:
    rate = bptt.Exponential(settings.rate, settings.factor, settings.after)
    return bptt.Trainer(
        model_of(settings),
        loss=bptt.CrossEntropy(),
        optimizer=bptt.Adam(rate),
        truncation=truncation,
        clip=bptt.ClipNorm(settings.clip),
    )


def train(row: Row, settings: Settings) -> dict[str, Any]:
    """Train; the test perplexities are those at the lowest validation loss."""
    streams, trainer = settings.streams(), _trainer(row.truncation, settings)
    began, curve, best = time.perf_counter(), [], {}
    for _ in range(settings.epochs):
        for _ in trainer.steps(streams["train"]):
            pass
        curve.append(math.exp(trainer.evaluate(streams["validation"])))
        if curve[-1] == min(curve):
            best = {name: math.exp(trainer.evaluate(streams[name])) for name in ("test", "plain")}
            best["epoch"] = trainer.epoch
    return {
        "policy": type(row.truncation).__name__,
        "setting": row.setting,
        **best,
        "paper": row.paper,
        "spread": row.spread,
        "updates": trainer.n,
        "steps_per_update": streams["train"].steps * trainer.epoch / trainer.n,
        "seconds": time.perf_counter() - began,
        "validation": curve,
    }


def measure(rows: Sequence[Row], settings: Settings) -> dict[str, Any]:
    """All rows, each printed when it is there, and what they need to be understood."""
    found = settings.streams()
    results: dict[str, Any] = {
        "schema": _SCHEMA,
        **machine.describe(),
        "settings": settings._asdict() | {"task": settings.task._asdict()},
        "blind": {name: blind_perplexity(settings.task, found[name]) for name in ("test", "plain")},
        "rows": [],
    }
    for row in rows:
        results["rows"].append(train(row, settings))
        print(copy_report.line(results["rows"][-1]), file=sys.stderr, flush=True)
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, print, and write; a quick run writes under a name of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copy_task", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few passes: whether it runs")
    parser.add_argument("--out", type=Path, default=_RESULTS, metavar="DIR")
    options = parser.parse_args(arguments)
    settings = Settings(epochs=2) if options.quick else Settings()
    results = measure(ROWS, settings)
    name, text = "quick-" * options.quick + "copy_task", copy_report.markdown(results)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    (options.out / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
