"""The results on real sequences in Markdown, and how they came about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .report import grid

__all__ = ["line", "markdown"]

Results = Mapping[str, Any]

_HEADS = ["task", "measure", "result", "bar", "reached", "seeds", "from", "to", "seconds"]
_HOW = {
    "vowels": (
        "270 utterances for training and 370 for the test, 12 channels scaled to mean 0 and "
        "deviation 1 of the training data, 7 to 29 steps. The class is due at the last step. "
        "Accuracy after the last pass, mean of the seeds."
    ),
    "digits": (
        "1,500 of the 1,797 images for training, drawn anew for each seed, the rest for the test; "
        "64 steps of one pixel from 0 to 1. The class is due at the last step. Accuracy after the "
        "last pass, mean of the seeds."
    ),
    "sunspots": (
        "2,820 months, the last 20 % held out. A network reads the square root of the value and "
        "its change, scaled by the training part, and says the next change. It runs over the whole "
        "series, its state carried. The forecast is the mean of those of all seeds; their own "
        "errors are in the columns beside. The bar is the linear "
        "autoregression of order 12, fitted to the same part by least squares."
    ),
    "chorales": (
        "229, 76 and 77 pieces for training, validation and test; 88 keys, on or off, of the next "
        "step from all before, summed, and averaged over all steps but the first of each piece. "
        "The parameters are those of the pass with the lowest validation loss, the result is the "
        "mean of the seeds. There is no other regularisation; the published results have some."
    ),
}  # fmt: skip


def line(task: Results) -> str:
    """A result in words."""
    return (
        f"{task['task']}: {task['measure']} {_number(task['value'])}, bar {_number(task['bar'])}, "
        f"{'reached' if task['reached'] else 'missed'}; {task['seconds']:.0f} s"
    )


def markdown(results: Results) -> str:
    """Table, what to compare with, and settings."""
    tasks, found = results["tasks"], results["machine"]
    begins = (
        f"{found['cpu']}, {found['cores']} cores; bptt {results['versions']['bptt']}; "
        f"{results['date'][:10]}. Models and learning rates were chosen with an eye on these "
        "results; the files are described in `benchmarks/README.md`."
    )
    parts = ["# Real sequences", begins, grid(_HEADS, [_cells(task) for task in tasks.values()])]
    for name, task in tasks.items():
        beside = ", ".join(f"{who} {_number(value)}" for who, value in task["beside"].items())
        parts += [f"## {task['task']}", _HOW[name], f"Beside it: {beside}.", _settings(task)]
    return "\n\n".join(parts) + "\n"


def _cells(task: Results) -> list[str]:
    return [
        task["task"],
        task["measure"],
        _number(task["value"]),
        _number(task["bar"]),
        "yes" if task["reached"] else "no",
        str(len(task["runs"])),
        _number(min(task["runs"])),
        _number(max(task["runs"])),
        f"{task['seconds']:.0f}",
    ]


def _settings(task: Results) -> str:
    return f"Settings: {', '.join(_given(task['settings']))}."


def _given(settings: Results) -> Iterator[str]:
    for name, value in settings.items():
        yield f"{name} {_number(value) if isinstance(value, float) else value}"


def _number(value: float) -> str:
    return f"{value:.4g}"
