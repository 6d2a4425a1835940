"""Results as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["SCHEMA", "add_shares", "grid", "line", "markdown", "setting", "write"]

SCHEMA = 1
"""Number of the layout of the JSON file."""

_LAYERS = {
    "layers": "One layer, forward and full backward",
    "few_lanes": "Few lanes, many units",
    "forward": "One layer, forward only",
    "steps": "One step of one layer, forward only",
}
"""Sections with a row for each cell and size, and their titles."""

Results = Mapping[str, Any]


def add_shares(results: Results) -> None:
    """Write into each row of the layers which share of the machine's peak each system reached."""
    whole = results["peak"]["gflops_all_threads"]
    for section in _LAYERS:
        for row in results.get(section, {}).get("rows", []):
            row["peak_share"] = {name: found / whole for name, found in row["gflops"].items()}


def write(results: Results, folder: Path, name: str) -> None:
    """Write ``name``.json and ``name``.md into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(markdown(results), encoding="utf-8")


def line(row: Results) -> str:
    """One row of the layers in words."""
    times = ", ".join(f"{name} {ms:.3g} ms" for name, ms in row["ms"].items())
    return f"{row['cell']} {_sizes(row)}: {times}; {times_faster(row['ratio'])}"


def times_faster(ratio: float | None) -> str:
    """``1.53×``, and a dash where there is nothing to compare with."""
    return "–" if ratio is None else f"{ratio:.2f}×"


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is left, the others right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def setting(results: Results) -> str:
    """Machine, versions and date in one sentence."""
    machine, peak = results["machine"], results["peak"]
    versions = ", ".join(f"{name} {found}" for name, found in results["versions"].items() if found)
    features = ", ".join(machine["features"])
    return (
        f"{machine['cpu']} ({features}), {machine['cores']} cores at {peak['clock_ghz']:.2f} GHz, "
        f"FMA peak {peak['gflops_all_threads']:.0f} GF/s ({peak['gflops_one_thread']:.0f} on one); "
        f"{versions}; {results['date'][:10]}."
    )


def markdown(results: Results) -> str:
    """Everything that was measured."""
    return "\n\n".join(["# Speed", setting(results), *_sections(results)]) + "\n"


def _sections(results: Results) -> Iterator[str]:
    if results["quick"]:
        yield "A quick run: the numbers are rough."
    yield from results["notes"]
    for section, title in _LAYERS.items():
        if section in results:
            yield f"## {title}"
            yield from _layers(results[section])
    if "char_lm" in results:
        yield "## Training step of the character model"
        yield _training([results["char_lm"]])
    if "streaming" in results:
        found = results["streaming"]
        yield f"## One streaming LSTM step, I = {found['I']}, H = {found['H']}"
        yield _one(found["us"], "µs", found["ratio"])
    if "k1" in results:
        yield "## An update at every step (k1 = 1)"
        yield _training(results["k1"])
    if "startup" in results:
        yield "## From the start of the process to the end of the first update"
        yield _one(results["startup"], "s", None)
    if results.get("memory"):
        yield "## Peak memory of a window"
        yield _memory(results["memory"])


def _sizes(row: Results) -> str:
    return f"({row['B']}, {row['T']}, {row['I']}, {row['H']})"


def _layers(found: Results) -> Iterator[str]:
    rows = found["rows"]
    names = list(dict.fromkeys(name for row in rows for name in row["ms"]))
    heads = ["cell (B, T, I, H)", *(f"{name}, ms" for name in names), "× best peer", "GF/s",
             "of peak", "peer's share", "workers"]  # fmt: skip
    yield grid(heads, [_layer_cells(row, names) for row in rows])
    for cell, mean in found["geometric_means"].items():
        yield f"{cell.upper()}, geometric mean: {mean:.2f}×"


def _layer_cells(row: Results, names: Sequence[str]) -> list[str]:
    times = [f"{row['ms'][name]:.3g}" if name in row["ms"] else "–" for name in names]
    share = row["peak_share"]
    peer = "–" if row["peer"] is None else f"{share[row['peer']]:.0%}"
    speed = [times_faster(row["ratio"]), f"{row['gflops']['bptt']:.0f}", f"{share['bptt']:.0%}"]
    return [f"{row['cell'].upper()} {_sizes(row)}", *times, *speed, peer, str(row["workers"])]


def _training(rows: Sequence[Results]) -> str:
    names = list(rows[0]["ms"])
    return grid(
        ["", *(f"{row['layers']} × LSTM {row['n']}, B = {row['lanes']}" for row in rows)],
        [
            *([f"{name}, ms", *(f"{row['ms'][name]:.3g}" for row in rows)] for name in names),
            ["bptt, updates/s", *(f"{row['updates_per_second']:,.1f}" for row in rows)],
            ["bptt, steps/s of all lanes",
             *(f"{row['steps_per_second']['bptt']:,.0f}" for row in rows)],
            ["× best peer", *(times_faster(row["ratio"]) for row in rows)],
        ],
    )  # fmt: skip


def _one(found: Mapping[str, float], unit: str, ratio: float | None) -> str:
    rows = [[name, f"{value:.3g} {unit}"] for name, value in found.items()]
    return grid(["", "median"], rows + [["× best peer", times_faster(ratio)]] * (ratio is not None))


def _memory(rows: Sequence[Results]) -> str:
    names = list(rows[0]["mb"])
    return grid(
        ["", *(f"{name}, MB" for name in names), "bptt / PyTorch"],
        [
            [row["case"], *(f"{row['mb'][name]:.0f}" for name in names), times_faster(row["ratio"])]
            for row in rows
        ],
    )
