"""The FMA peak of this machine, from the library's own tile on a product that stays in L1."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from bptt.kernels.compile import kernel
from bptt.kernels.target import empty, lanes_of, target
from bptt.kernels.tile import TILE_ROWS, tile
from bptt.pool import cpu_count

__all__ = ["measure"]

_WIDTH = 4
_PANEL_BYTES = 16 * 1024
_SECONDS = 0.01
_REPEATS = 15
"""The best of many short measurements is one that nothing else disturbed."""


@kernel
def _products(rounds, rows, width, k, columns, a, b, c):
    """C += A B, ``rounds`` times: a (k·rows,), b (k·columns,), c (rows·columns,)."""
    for _ in range(rounds):
        tile(rows, width, k, (a, 0, 1, rows), (b, 0, 0, columns), (c, 0, columns, 0),
             (c, 0, columns, 0))  # fmt: skip


@kernel
def _chain(rounds, factor):
    """An exclusive or and a product that wait for each other: 1 + 3 cycles a round."""
    x = factor
    for i in range(rounds):
        x = (x ^ i) * factor
    return x


class _Problem:
    """One thread's product for a tile of ``rows`` by ``width`` vectors."""

    def __init__(self, rows: int, width: int) -> None:
        size = lanes_of(np.float32)
        k = _PANEL_BYTES // (_WIDTH * target().vector_bytes)
        columns = width * size
        arrays = [empty((n,), np.float32) for n in (k * rows, k * columns, rows * columns)]
        for array in arrays:
            array.fill(0)
        self._args = (rows, width, k, columns, *arrays)
        self.flops = 2 * rows * k * columns

    def run(self, rounds: int) -> None:
        _products(rounds, *self._args)

    def rounds(self) -> int:
        """How many take about `_SECONDS`."""
        self.run(1)
        began = time.perf_counter()
        self.run(2000)
        return max(1, int(2000 * _SECONDS / (time.perf_counter() - began)))


def _together(threads: int, rows: int, width: int) -> float:
    """The most GF/s that so many threads were seen to do at once."""
    problems = [_Problem(rows, width) for _ in range(threads)]
    rounds = problems[0].rounds()
    best = float("inf")
    for _ in range(_REPEATS):
        gate = threading.Barrier(threads + 1)

        def work(problem: _Problem, gate: threading.Barrier = gate) -> None:
            gate.wait()
            problem.run(rounds)

        workers = [threading.Thread(target=work, args=(problem,)) for problem in problems]
        for worker in workers:
            worker.start()
        gate.wait()
        began = time.perf_counter()
        for worker in workers:
            worker.join()
        best = min(best, time.perf_counter() - began)
    return threads * rounds * problems[0].flops / best / 1e9


def _clock() -> float:
    """GHz, from a chain of instructions whose cycles are known."""
    factor, rounds = np.int64(0x5DEECE66D), 2_000_000
    _chain(1, factor)
    best = float("inf")
    for _ in range(_REPEATS):
        began = time.perf_counter()
        _chain(rounds, factor)
        best = min(best, time.perf_counter() - began)
    return 4 * rounds / best / 1e9


def measure() -> dict[str, Any]:
    """GF/s of float32 on one thread and on all, the best tile, and the clock they fit."""
    tiles = [(rows, width) for rows in range(1, TILE_ROWS + 1) for width in range(1, _WIDTH + 1)]
    alone = {shape: _together(1, *shape) for shape in tiles}
    rows, width = max(alone, key=alone.__getitem__)
    clock = _clock()
    return {
        "gflops_one_thread": alone[rows, width],
        "gflops_all_threads": _together(cpu_count(), rows, width),
        "threads": cpu_count(),
        "tile": [rows, width],
        "vector_bytes": target().vector_bytes,
        "clock_ghz": clock,
        "flops_per_cycle": alone[rows, width] / clock,
    }
