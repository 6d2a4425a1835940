"""What ``chrono`` brings where lags are long: ``python -m benchmarks.long_lags``, half an hour.

Small networks learn temporal order and the adding problem of T = 100 (Hochreiter & Schmidhuber
1997, experiments 6a and 4), each sequence new. Counted are the sequences trained on until 99 % of
others are right.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import bptt

from .report import grid

__all__ = ["ADDING", "ORDER", "Task", "main", "sequences_until_solved"]

SOLVED = 0.99
"""Share of sequences that must be right."""
TESTED, TEST_SEED = 2000, 10_000
COUNT, BATCH, LANES = 1000, 20, 250
"""Sequences between two tests, of an update, and side by side in a test."""
CHRONO, RATE = 100, 5e-3
SEEDS = (0, 1, 2)
_RESULTS = Path(__file__).parent / "results"
_CELLS = {"LSTM": bptt.LSTM, "GRU": bptt.GRU}


class Task(NamedTuple):
    """``limit`` is the number of sequences after which a run is given up."""

    name: str
    limit: int

    def draw(self, count: int, seed: int) -> tuple[list[NDArray], NDArray]:
        if self is ORDER:
            return bptt.datasets.temporal_order(count, seed=seed)
        return bptt.datasets.adding(100, count, seed=seed)

    def model(self, cell: str, options: Mapping[str, float], seed: int) -> bptt.Model:
        """With 8 units."""
        below = [bptt.Embedding(len(bptt.datasets.ORDER_SYMBOLS), 8)] if self is ORDER else []
        n_in, n_out = (8, 4) if self is ORDER else (2, 1)
        layers = [*below, _CELLS[cell](n_in, 8, **options), bptt.Linear(8, n_out)]
        return bptt.Model(layers, seed=seed)

    @property
    def loss(self) -> bptt.Loss:
        return bptt.CrossEntropy() if self is ORDER else bptt.SquaredError()

    def right(self, said: NDArray, targets: NDArray) -> float:
        """The share of sequences that are."""
        if self is ORDER:
            return float(np.mean(said.argmax(axis=1) == targets))
        return float(np.mean(np.abs(said - targets) < 0.04))


ORDER = Task("temporal order, two symbols", 100_000)
ADDING = Task("adding, T = 100", 300_000)


def sequences_until_solved(
    task: Task, cell: str, options: Mapping[str, float], seed: int, limit: int
) -> int | None:
    """Sequences that were trained on until enough others were right; None if never."""
    trainer = bptt.Trainer(
        task.model(cell, options, seed),
        loss=task.loss,
        optimizer=bptt.Adam(RATE),
        truncation=bptt.FullBPTT(),
        clip=bptt.ClipNorm(1.0),
        workers=1,
    )
    sequences, targets = task.draw(TESTED, TEST_SEED + seed)
    test = bptt.Padded(sequences, targets, LANES)
    for made in range(COUNT, limit + 1, COUNT):
        drawn = task.draw(COUNT, TEST_SEED * (1 + seed) + made)
        trainer.fit(bptt.Padded(*drawn, BATCH), 1, progress=False)
        if task.right(bptt.predict(trainer.model, test), targets) >= SOLVED:
            return made
    return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, print, and write ``long_lags.md``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_lags", description=__doc__)
    parser.add_argument("--limit", type=int, help="sequences at most; not written if given")
    given = parser.parse_args(arguments).limit
    rows = []
    for task in (ORDER, ADDING):
        for cell in _CELLS:
            for options in ({}, {"chrono": CHRONO}):
                limit = given or task.limit
                took = [sequences_until_solved(task, cell, options, s, limit) for s in SEEDS]
                rows.append([task.name, _words(cell, options), *(_said(n, limit) for n in took)])
                print(" | ".join(rows[-1]), flush=True)
    if given is None:
        (_RESULTS / "long_lags.md").write_text(markdown(rows), encoding="utf-8")


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The table, and how it came about."""
    how = (
        f"Sequences trained on until {SOLVED:.0%} of {TESTED:,} others are right, looked at every "
        f"{COUNT:,}: 8 units, full BPTT, Adam({RATE}), clip 1, {BATCH} sequences an update."
    )
    heads = ["task", "layer", *(f"seed {seed}" for seed in SEEDS)]
    return "\n\n".join(["# Long lags", how, grid(heads, rows)]) + "\n"


def _words(cell: str, options: Mapping[str, float]) -> str:
    return cell + "".join(f", {name}={value}" for name, value in options.items())


def _said(found: int | None, limit: int) -> str:
    return f"not in {limit:,}" if found is None else f"{found:,}"


if __name__ == "__main__":
    main()
