"""The README's table of speeds, from the results: ``python -m benchmarks.table``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .report import grid, setting, times_faster

__all__ = ["BEGIN", "END", "insert", "main", "table"]

BEGIN, END = "<!-- speed -->", "<!-- /speed -->"
"""The table stands between these lines."""

_ROOT = Path(__file__).parent.parent
_RESULTS = Path(__file__).parent / "results" / "speed.json"

Results = Mapping[str, Any]


def insert(text: str, inside: str) -> str:
    """``text`` with ``inside`` between the markers, instead of what was there.

    Raises
    ------
    ValueError : if the markers are not there, once each and in order.
    """
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end or text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the text needs {BEGIN} and then {END}, once each")
    return f"{before}{BEGIN}\n{inside.strip()}\n{END}{after}"


def table(results: Results) -> str:
    """The tables in Markdown: one layer at every size, and everything else."""
    parts = [_layers(results["layers"]["rows"], results["layers"]["geometric_means"])]
    if "few_lanes" in results:
        parts.append("Few lanes, many units, which threads then share:")
        found = results["few_lanes"]
        parts.append(_layers(found["rows"], found["geometric_means"]))
    rows = list(_others(results))
    if rows:
        parts.append(grid(["", "bptt", "best peer", "ratio"], rows))
    return "\n\n".join([*parts, setting(results)])


def _layers(rows: Sequence[Results], means: Mapping[str, float]) -> str:
    """A row for each size, a column for each cell."""
    cells = list(dict.fromkeys(row["cell"] for row in rows))
    sizes: dict[tuple[int, ...], dict[str, str]] = {}
    for row in rows:
        size = tuple(row[letter] for letter in "BTIH")
        text = f"{row['ms']['bptt']:.3g} ms, {times_faster(row['ratio'])}"
        sizes.setdefault(size, {})[row["cell"]] = text
    lines = [
        [f"({', '.join(map(str, size))})", *(found.get(cell, "–") for cell in cells)]
        for size, found in sizes.items()
    ]
    mean = ["geometric mean", *(times_faster(means.get(cell)) for cell in cells)]
    return grid(["(B, T, I, H)", *(cell.upper() for cell in cells)], [*lines, mean])


def _others(results: Results) -> Iterator[list[str]]:
    if "char_lm" in results:
        yield _rate("char-LM training, characters/s", results["char_lm"])
    for row in results.get("k1", []):
        yield _rate(f"k1 = 1, k2 = {row['steps']}, B = {row['lanes']}, steps/s", row)
    if "streaming" in results:
        found = results["streaming"]
        times = [f"{found['us'][n]:.0f}" if n else "–" for n in ("bptt", found["peer"])]
        yield ["one streaming step, µs", *times, times_faster(found["ratio"])]
    startup = results.get("startup", {})
    peer = f"{startup['torch']:.1f}" if "torch" in startup else "–"
    for state in ("cold", "warm"):
        if f"bptt, {state}" in startup:
            ours = f"{startup[f'bptt, {state}']:.1f}"
            yield [f"first update, kernels {state}, s", ours, peer, "–"]
    for row in results.get("memory", []):
        peer = f"{row['mb']['torch']:.0f}" if "torch" in row["mb"] else "–"
        yield [f"memory of {row['case']}, MB", f"{row['mb']['bptt']:.0f}", peer, "–"]


def _rate(name: str, row: Results) -> list[str]:
    rates = [
        f"{row['steps_per_second'][system]:,.0f}" if system else "–"
        for system in ("bptt", row["peer"])
    ]
    return [name, *rates, times_faster(row["ratio"])]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table into the README, or only check that it is there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("--results", type=Path, default=_RESULTS)
    parser.add_argument("--readme", type=Path, default=_ROOT / "README.md")
    parser.add_argument("--check", action="store_true", help="fail if the README has another table")
    options = parser.parse_args(arguments)
    old = options.readme.read_text(encoding="utf-8")
    new = insert(old, table(json.loads(options.results.read_text(encoding="utf-8"))))
    if options.check:
        parser.exit(int(new != old), "" if new == old else "the README's table is out of date\n")
    options.readme.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
