"""How time falls with the number of threads: ``python -m benchmarks.scaling``."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bptt.division import best_division
from bptt.pool import cpu_count

from . import machine, peak
from .adapter import BpttLayer, Problem
from .cases import CHAR_LM, Case, random_ids
from .char_lm import model_of
from .report import grid, setting, times_faster
from .timing import Budget, alternate
from .training import bptt_update

__all__ = ["counts", "main", "markdown"]

_RESULTS = Path(__file__).parent / "results"
_WINDOWS = 40
_LAYERS = (
    ("lstm", Case(16, 64, 64, 64)),
    ("lstm", Case(8, 1000, 2, 50)),
    ("lstm", Case(32, 35, 200, 200)),
    ("lstm", Case(64, 50, 128, 256)),
    ("lstm", Case(64, 35, 650, 650)),
    ("rnn", Case(64, 50, 128, 256)),
    ("gru", Case(64, 50, 128, 256)),
)

Systems = dict[str, Callable[[], object]]


def counts(cores: int) -> list[int]:
    """1, 2, 4, … threads, and as many as there are cores."""
    return [*(2**i for i in range((cores - 1).bit_length())), cores]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; a whole run writes ``scaling.json`` and ``scaling.md``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough look, not written")
    parser.add_argument("--out", type=Path, default=_RESULTS, metavar="DIR")
    options = parser.parse_args(arguments)
    budget = Budget(2, 0.02) if options.quick else Budget(7, 0.1)
    rows = []
    for found in _rows(counts(cpu_count()), budget):
        print(json.dumps(found), file=sys.stderr, flush=True)
        rows.append(found)
    results = {**machine.describe(), "peak": peak.measure(), "rows": rows}
    text = markdown(results)
    if not options.quick:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "scaling.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        (options.out / "scaling.md").write_text(text, encoding="utf-8")
    print(text)


def _rows(threads: Sequence[int], budget: Budget) -> Iterator[dict[str, Any]]:
    ids = random_ids(CHAR_LM, _WINDOWS)
    usual = math.prod(best_division(model_of(CHAR_LM), CHAR_LM.lanes, CHAR_LM.steps))
    tried = sorted({usual, *threads})
    yield _row("Character model", tried, usual, _char_lms(ids, tried), budget)
    for cell, case in _LAYERS:
        problem = Problem.of(cell, case)
        usual = BpttLayer(problem).workers
        tried = sorted({usual, *threads})
        yield _row(f"{cell.upper()} {case}", tried, usual, _layers(problem, tried), budget)


def _row(case: str, threads: Sequence[int], usual: int, systems: Systems, budget: Budget) -> dict:
    """Milliseconds of each system on so many threads; ``usual`` is what bptt takes by itself."""
    seconds = alternate(systems, budget)
    ms = {
        name: {n: 1e3 * seconds[f"{name}, {n}"] for n in threads if f"{name}, {n}" in seconds}
        for name in ("bptt", "torch")
    }
    return {"case": case, "usual": usual, "ms": ms}


def _char_lms(ids: NDArray, threads: Sequence[int]) -> Systems:
    steps = CHAR_LM.steps
    ours = {f"bptt, {n}": bptt_update(CHAR_LM, ids, steps, workers=n) for n in threads}
    try:
        from .torch_char_lm import TorchCharLM, lanes_of
    except ModuleNotFoundError:
        return ours
    lanes = lanes_of(ids, CHAR_LM)
    return ours | {f"torch, {n}": TorchCharLM(CHAR_LM, lanes, n, {}).update for n in threads}


def _layers(problem: Problem, threads: Sequence[int]) -> Systems:
    ours = {f"bptt, {n}": BpttLayer(problem, n).run for n in threads if n <= problem.case.lanes}
    try:
        from .torch_layer import TorchLayer
    except ModuleNotFoundError:
        return ours
    return ours | {f"torch, {n}": TorchLayer(problem, n).run for n in threads}


def markdown(results: Mapping[str, Any]) -> str:
    """A table for each case."""
    parts = [part for row in results["rows"] for part in (f"## {_title(row)}", _table(row))]
    return "\n\n".join(["# Threads", setting(results), *parts]) + "\n"


def _title(row: Mapping[str, Any]) -> str:
    return f"{row['case']}: {row['usual']} by itself"


def _table(row: Mapping[str, Any]) -> str:
    ours, theirs = row["ms"]["bptt"], row["ms"]["torch"]
    heads = ["threads", "bptt, ms", "× one thread", "PyTorch, ms", "× one thread", "× PyTorch"]
    threads = sorted(ours.keys() | theirs.keys())
    return grid(heads, [[str(n), *_cells(ours, n), *_cells(theirs, n),
                         times_faster(theirs[n] / ours[n] if n in ours and n in theirs else None)]
                        for n in threads])  # fmt: skip


def _cells(ms: Mapping[int, float], threads: int) -> list[str]:
    """Milliseconds, and how many times as fast as on one thread."""
    if threads not in ms:
        return ["–", "–"]
    return [f"{ms[threads]:.3g}", times_faster(ms[1] / ms[threads])]


if __name__ == "__main__":
    main()
