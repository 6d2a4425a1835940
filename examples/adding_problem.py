"""Add two numbers that stand far apart: what a gated cell learns and a plain one does not.

    python examples/adding_problem.py               LSTM, GRU and RNN at 100 steps, in a minute
    python examples/adding_problem.py --cells lstm --length 200 --passes 60

Every sequence has a number from 0 to 1 at each step, and two of them are marked, one in each half.
After the last step their sum is due. Who remembers nothing does best by always saying 1, with a
mean squared error of 1/6 = 0.167. A network counts as having solved the task when its error on
sequences it has not seen is below 0.01. It then stops. Memories of LSTM and GRU begin as long as a
sequence: `chrono`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

import bptt

CELLS = {"lstm": bptt.LSTM, "gru": bptt.GRU, "rnn": bptt.RNN}
SOLVED = 0.01
"""Mean squared error from which on the task is solved."""
TESTED = 1000
"""Sequences for the test."""
LANES = 250
"""Of the test side by side."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = command_line()
    options = parser.parse_args(arguments)
    try:
        run(options)
    except (ValueError, bptt.NonFiniteError) as error:
        parser.error(str(error))


def run(options: argparse.Namespace) -> None:
    if options.passes < 1:
        raise ValueError(f"--passes must be at least 1, got {options.passes}")
    x, targets = bptt.datasets.adding_sum(options.length, TESTED, seed=options.seed)
    test, baseline = padded(x, targets, LANES), np.mean((targets - 1) ** 2)
    print(f"{options.length} steps; always saying 1 has an error of {baseline:.4f}\n")
    found = {cell: learn(cell, test, options) for cell in dict.fromkeys(options.cells)}
    print(f"\ncell   error    always 1   updates   solved (below {SOLVED:g})")
    for cell, result in found.items():
        solved = "yes" if result.error < SOLVED else "no"
        print(f"{cell:5} {result.error:7.4f} {baseline:10.4f} {result.updates:9,}   {solved}")


def padded(x: NDArray, targets: NDArray, batch: int) -> bptt.Padded:
    """The sequences of x (T, N, 2), with the sum of each due at its last step."""
    return bptt.Padded(list(x.swapaxes(0, 1)), targets, batch)


class Result(NamedTuple):
    """The mean squared error in the test, and the updates it took."""

    error: float
    updates: int


def learn(cell: str, test: bptt.Padded, options: argparse.Namespace) -> Result:
    """Train until the task is solved or all passes are over, each of new sequences."""
    memory = {} if cell == "rnn" else {"chrono": max(options.length, 3)}
    layers = [CELLS[cell](2, options.units, **memory), bptt.Linear(options.units, 1)]
    trainer = bptt.Trainer(
        bptt.Model(layers, seed=options.seed),
        loss=bptt.SquaredError(),
        optimizer=bptt.Adam(options.rate),
        truncation=bptt.FullBPTT(),
        clip=bptt.ClipNorm(1.0),
    )
    error = trainer.evaluate(test)
    for made in range(1, options.passes + 1):
        # The test has the first seed, so no pass may have it.
        drawn = bptt.datasets.adding_sum(options.length, options.count, seed=options.seed + made)
        train = padded(*drawn, options.batch)
        trainer.fit(train, epochs=1, validation=test, progress=False)
        error = trainer.history.validation_loss[-1]
        said = f"{trainer.n:6,} updates, {trainer.seconds:5.1f} s, error {error:.4f}"
        print(f"{cell:5} {said}", flush=True)
        if error < SOLVED:
            break
    return Result(error, trainer.n)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def command_line() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--cells", nargs="+", choices=CELLS, default=list(CELLS), metavar="CELL",
        help=f"of {', '.join(CELLS)} (all)")  # fmt: skip
    add("--length", type=int, default=100, metavar="T", help="steps of a sequence (100)")
    add("--units", type=int, default=32, metavar="N", help="of the recurrent layer (32)")
    add("--count", type=int, default=5000, metavar="N", help="new sequences of a pass (5000)")
    add("--batch", type=int, default=50, metavar="B", help="sequences of an update (50)")
    add("--passes", type=int, default=20, metavar="N", help="at most (20)")
    add("--rate", type=float, default=1e-2, help="Adam's learning rate (0.01)")
    add("--seed", type=int, default=0, help="of parameters and sequences (0)")
    return parser


if __name__ == "__main__":
    # A terminal that lacks a character shows another, rather than an error at the end.
    sys.stdout.reconfigure(errors="replace")
    main()
