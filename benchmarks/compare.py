"""Compare bptt with PyTorch and JAX: ``python -m benchmarks.compare``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from . import inference, layers, machine, memory, peak, report, startup, streaming, training
from .adapter import find_cell
from .cases import CELLS, FEW_LANES, FORWARD_CASES, LAYER_CASES, STEP_CASES, Case
from .timing import Budget

__all__ = ["main"]

_SECTIONS = (
    "layers",
    "few_lanes",
    "forward",
    "steps",
    "char_lm",
    "streaming",
    "k1",
    "startup",
    "memory",
)
_RESULTS = Path(__file__).parent / "results"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions: a rough look")
    parser.add_argument("--only", choices=_SECTIONS, help="measure one section")
    parser.add_argument("--cells", default=",".join(CELLS), help="of the layers: lstm,rnn,gru")
    parser.add_argument("--repeats", type=int, help="turns of each system")
    parser.add_argument("--out", type=Path, default=_RESULTS, metavar="DIR")
    options = parser.parse_args(arguments)
    options.cells = options.cells.split(",")
    unknown = [cell for cell in options.cells if cell not in CELLS]
    if unknown or (options.repeats is not None and options.repeats < 1):
        parser.error(f"unknown cells {unknown}" if unknown else "--repeats must be positive")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write ``speed.json`` and ``speed.md``.

    A quick or partial run writes under a name of its own, so that it cannot be taken for a whole
    one.
    """
    options = _parse(arguments)
    results: dict[str, Any] = {"schema": report.SCHEMA, "quick": options.quick}
    results |= {**machine.describe(), "notes": [], "load": [machine.load()]}
    peaks = []
    sections = (options.only,) if options.only else _SECTIONS
    for name in sections:
        print(f"{name} ...", file=sys.stderr, flush=True)
        peaks.append(peak.measure())
        results[name] = _measurements(options, results["notes"])[name]()
    peaks.append(peak.measure())
    results["peak"] = max(peaks, key=lambda found: found["gflops_all_threads"])
    results["clock_ghz"] = [found["clock_ghz"] for found in peaks]
    results["load"].append(machine.load())
    report.add_shares(results)
    name = "-".join(["quick"] * options.quick + ([options.only] if options.only else ["speed"]))
    report.write(results, options.out, name)
    print(report.markdown(results))


def _measurements(options: argparse.Namespace, notes: list[str]) -> dict[str, Callable[[], Any]]:
    """Section -> how it is measured."""
    rounds = options.repeats or (3 if options.quick else 15)
    budget = Budget(rounds, turn=0.02 if options.quick else 0.1)
    cold, warm = (1, 2) if options.quick else (3, 9)
    return {
        "layers": partial(_layers, layers.compare, options.cells, LAYER_CASES, budget, notes),
        "few_lanes": partial(_layers, layers.compare, options.cells, FEW_LANES, budget, notes),
        "forward": partial(_layers, inference.compare, options.cells, FORWARD_CASES, budget, notes),
        "steps": partial(_layers, inference.compare, options.cells, STEP_CASES, budget, notes),
        "char_lm": partial(training.char_lm, budget),
        "streaming": partial(streaming.compare, budget),
        "k1": partial(training.every_step, budget),
        "startup": partial(startup.compare, cold, warm),
        "memory": partial(_memory, notes),
    }


def _layers(
    compare: Callable[..., Iterator[dict[str, Any]]],
    cells: Sequence[str],
    cases: Sequence[Case],
    budget: Budget,
    notes: list[str],
) -> dict[str, Any]:
    there = [cell for cell in cells if find_cell(cell) is not None]
    missing = [f"{cell.upper()} is not in bptt yet." for cell in cells if cell not in there]
    notes += [note for note in missing if note not in notes]
    rows = []
    for row in compare(there, cases, budget):
        print(report.line(row), file=sys.stderr, flush=True)
        rows.append(row)
    return {"rows": rows, "geometric_means": layers.means(rows)}


def _memory(notes: list[str]) -> list[dict[str, Any]]:
    if memory.available():
        return memory.compare()
    notes.append("Peak memory is measured on Linux only.")
    return []


if __name__ == "__main__":
    main()
