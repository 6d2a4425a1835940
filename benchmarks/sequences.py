"""Real sequences: labelled ones, pixels, a time series and music, each held against a bar.

``python -m benchmarks.sequences --data DIR`` trains and tests on the files in a folder, and writes
``sequences.json`` and ``sequences.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import machine, sequence_report
from .sequence_tasks import TASKS

__all__ = ["main", "measure"]

_RESULTS = Path(__file__).parent / "results"
_SCHEMA = 1


def measure(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """Those tasks, each printed when it is there, and what they were measured on."""
    results: dict[str, Any] = {"schema": _SCHEMA, **machine.describe(), "tasks": {}}
    for name in names:
        found = TASKS[name](folder)
        results["tasks"][name] = found._asdict() | {"reached": found.reached}
        print(sequence_report.line(results["tasks"][name]), file=sys.stderr, flush=True)
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, print, and write; a run of some tasks alone writes under a name of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sequences", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the files")
    parser.add_argument("--only", choices=TASKS, nargs="+", default=list(TASKS), metavar="TASK",
                        help=f"of {', '.join(TASKS)}")  # fmt: skip
    parser.add_argument("--out", type=Path, default=_RESULTS, metavar="DIR")
    options = parser.parse_args(arguments)
    results = measure(options.data, options.only)
    some = [] if set(options.only) == set(TASKS) else options.only
    name, text = "-".join(["sequences", *some]), sequence_report.markdown(results)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    (options.out / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
