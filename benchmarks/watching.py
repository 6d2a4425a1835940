"""What looking at training costs: ``python -m benchmarks.watching``.

An update with and without `Trainer.watch` after it, which take turns, and the share of an update
that goes into ``step.flow``, which is always on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bptt
from bptt.watch import flow

from . import machine
from .cases import CHAR_LM, CharLM, random_ids
from .char_lm import trainer_of
from .report import grid
from .timing import Budget, alternate

__all__ = ["BAR", "main", "markdown"]

BAR = 0.02
"""Share of an update that what is always on may cost."""
_RESULTS = Path(__file__).parent / "results"
_STREAMING = CHAR_LM._replace(layers=1, lanes=1)
_CASES = {"character model, k1 = k2 = 50": (CHAR_LM, 50), "one lane, k1 = 1": (_STREAMING, 1)}
_WINDOWS = 40
_CALLS = 20
"""Readings of the flow that are timed together, since the clock's own cost matters."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; a whole run writes ``watching.json`` and ``watching.md``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watching", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough look, not written")
    parser.add_argument("--out", type=Path, default=_RESULTS, metavar="DIR")
    options = parser.parse_args(arguments)
    budget = Budget(3, 0.05) if options.quick else Budget(25, 0.2)
    rows = [_measure(name, *case, budget) for name, case in _CASES.items()]
    found = {**machine.describe(), "bar": BAR, "rows": rows}
    text = markdown(found)
    if not options.quick:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "watching.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        (options.out / "watching.md").write_text(text, encoding="utf-8")
    print(text)


def _measure(name: str, config: CharLM, k1: int, budget: Budget) -> dict[str, Any]:
    """Microseconds of an update, of one that is watched, and of ``step.flow``."""
    trainer = trainer_of(config, k1)
    updates = _updates(trainer, bptt.Stream(random_ids(config, _WINDOWS), config.lanes))
    for _ in range(config.steps // k1 + 1):
        next(updates)

    def watched() -> None:
        next(updates)
        trainer.watch()

    def flows() -> None:
        for _ in range(_CALLS):
            flow(trainer.team, config.steps)

    calls: dict[str, Callable[[], object]] = {"update": lambda: next(updates), "watched": watched}
    seconds = alternate(calls, budget) | alternate({"flow": flows}, budget)
    seconds["flow"] /= _CALLS
    return {
        "case": name,
        **config._asdict(),
        "k1": k1,
        "us": {what: 1e6 * time for what, time in seconds.items()},
        "flow_share": seconds["flow"] / seconds["update"],
        "watch_share": seconds["watched"] / seconds["update"] - 1,
    }


def _updates(trainer: bptt.Trainer, stream: bptt.Stream) -> Iterator[bptt.Step]:
    while True:
        yield from trainer.steps(stream)


def markdown(found: dict[str, Any]) -> str:
    """The table, and what it says about the bar."""
    heads = ["", "update, µs", "`step.flow`, µs", "of the update", "with `watch()`, µs", "more"]
    rows = [
        [
            row["case"],
            f"{row['us']['update']:,.0f}",
            f"{row['us']['flow']:.1f}",
            f"{row['flow_share']:.2%}",
            f"{row['us']['watched']:,.0f}",
            f"{row['watch_share']:.1%}",
        ]
        for row in found["rows"]
    ]
    most = max(row["flow_share"] for row in found["rows"])
    bar = found["bar"]
    verdict = (
        f"`step.flow` is always on, and at most {most:.2%} of an update: "
        f"{'within' if most < bar else 'above'} the {bar:.0%} that it may cost. `watch()` costs "
        "only where it is called."
    )
    setting = f"{found['machine']['cpu']}, {found['machine']['cores']} cores; {found['date'][:10]}."
    return "\n\n".join(["# What looking costs", setting, grid(heads, rows), verdict]) + "\n"


if __name__ == "__main__":
    main()
