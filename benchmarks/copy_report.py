"""The copy task's results in Markdown, and how they came about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .report import grid

__all__ = ["line", "markdown"]

Results = Mapping[str, Any]

_HEADS = ["policy", "K or tolerance", "test perplexity", "in the paper", "on plain lanes",
          "steps an update", "updates", "best epoch", "seconds"]  # fmt: skip


def line(row: Results) -> str:
    """A row in words."""
    return (
        f"{row['policy']}, {row['setting']}: test perplexity {row['test']:.3f}, in the paper "
        f"{row['paper']:.3f}; {row['updates']:,} updates, {row['seconds']:.0f} s"
    )


def markdown(results: Results) -> str:
    """Table, settings, and differences from the paper."""
    parts = [
        "# The copy task",
        _machine(results),
        grid(_HEADS, [_cells(row) for row in results["rows"]]),
        _explanation(results["blind"]),
        "## Settings",
        _bullets(_settings(results["settings"])),
        "## Where they differ from the authors'",
        _bullets(_differences(results["settings"])),
    ]
    return "\n\n".join(parts) + "\n"


def _machine(results: Results) -> str:
    found, versions = results["machine"], results["versions"]
    return (
        "Aicher, Foti & Fox (2019), supplement, Table C.1, fixed memory m = 10. "
        f"{found['cpu']}, {found['cores']} cores; bptt {versions['bptt']}; {results['date'][:10]}."
    )


def _cells(row: Results) -> list[str]:
    return [
        row["policy"],
        row["setting"],
        f"{row['test']:.3f}",
        f"{row['paper']:.3f} ± {row['spread']:.3f}",
        f"{row['plain']:.3f}",
        f"{row['steps_per_update']:.1f}",
        f"{row['updates']:,}",
        str(row["epoch"]),
        f"{row['seconds']:.0f}",
    ]


def _explanation(blind: Mapping[str, float]) -> str:
    return (
        "A model that remembers nothing, and only knows when a symbol is due, has a perplexity of "
        f"{blind['test']:.3f} on this test data and of {blind['plain']:.3f} on plain lanes. With "
        "K = 5 the error flows through 9 steps at most and never reaches the input that is to be "
        "copied, 10 steps before; with K = 10 it does for all but one of the losses of an update."
    )


def _bullets(texts: Iterator[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def _settings(found: Results) -> Iterator[str]:
    task, n = found["task"], found["units"]
    m, lanes = task["memory"], task["lanes"]
    yield (
        f"Data: blocks of {2 * m} steps. The input shows a marker, {m - 1} symbols of "
        f"{task['ids'] - 2} kinds, and {m} blanks; the target is the input of {m} steps before. "
        f"{lanes} lanes, {found['steps']:,} steps each for training and {found['held_out']:,} for "
        "validation and for test; the same data in every pass, which begins with a state of zero."
    )
    yield (
        "In the authors' code a lane is shifted by a random part of a block, and again with every "
        f"lane that is made after it; so it ends, {m - 0.5:.1f} steps for each of those, in pieces "
        "of one block, many of which end before anything is copied. The data is made like that "
        "here as well. Plain lanes are shifted once."
    )
    yield (
        f"Model: Embedding({task['ids']}, {n}), two layers LSTM({n}, {n}), "
        f"Linear({n}, {task['ids']}), seed {found['seed']}."
    )
    yield (
        "Truncation: TBPTT(K, 2K - 1), the authors' `original-buffer`. Adaptive rows do the same "
        "with a K of at most 100, found before the first update and then every 250 (theirs: about "
        "every 1.25 passes), from errors over 100 steps, of which the second half is fitted "
        "(theirs: the last 20). The authors begin with K = 15, and change rate and clipping with K."
    )
    yield (
        "Loss: mean cross-entropy over the K new steps and all lanes, blanks included. "
        "Perplexity: exp of the mean over all steps and lanes."
    )
    yield (
        f"Adam with a rate of {found['rate']:g}, times {found['factor']:g} for each pass beyond "
        f"{found['after']}; the gradient clipped to a norm of {found['clip']:g}. Rate and passes "
        "were chosen with an eye on these rows: a rate of 0.005 for 30 passes, falling after 15, "
        "gave 1.602, 1.080, 1.050, 1.043 and 1.036 for K = 5, 10, 15, 20 and 30."
    )
    yield (
        f"{found['epochs']} passes for every row, with a validation after each. The test "
        "perplexity is that of the pass with the lowest validation loss."
    )


def _differences(found: Results) -> Iterator[str]:
    yield (
        "Optimizer: theirs is gradient descent with a rate of √K, the mean gradient clipped to a "
        "norm of 1 / K, and a weight decay of 1e-5, which is left out here. Steps that "
        "are clipped like this become smaller the larger K is: with them and their initial "
        "parameters, but no decay, K = 30 was still at 1.205 after 66 passes."
    )
    yield (
        "Passes: theirs are up to 210, with a validation after every 1.25; here "
        f"{found['epochs']}, with one after each."
    )
    yield (
        "Initial parameters: their matrices are uniform within ±√(3 / longest side) and all "
        "biases are zero; here they are the library's, with a bias of 1 of the forget gates."
    )
    yield (
        "Biases: their inputs go through a linear layer with a bias, and their LSTM has two; here "
        "an embedding, and one. The functions that can be had are the same."
    )
    yield (
        "Windows: theirs start anew every 500 steps, so the first one there has no steps before "
        "it, and each runs all of its 2K - 1 steps again with the newest parameters. Here a window "
        "slides over the whole pass, and keeps what it computed for the K - 1 steps before."
    )
    yield "Runs: theirs are means over several initial parameters; here there is one for each row."
