"""One layer, forward and full backward: bptt beside PyTorch and JAX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .adapter import BpttLayer, Problem, thread_counts
from .cases import Case, flops
from .timing import Budget, alternate, geometric_mean, torch_name

__all__ = ["agreement", "compare", "difference", "means", "peers", "row"]

_TOLERANCE = 1e-4
"""Largest difference of two results, relative to the largest number in them."""


def compare(cells: Sequence[str], cases: Sequence[Case], budget: Budget) -> Iterator[dict]:
    """One `row` after the other."""
    for cell in cells:
        for case in cases:
            problem = Problem.of(cell, case)
            ours = BpttLayer(problem)
            systems = {"bptt": ours, **peers(problem)}
            found = agreement({name: system.results() for name, system in systems.items()})
            seconds = alternate({name: system.run for name, system in systems.items()}, budget)
            yield {**row(cell, case, seconds), "workers": ours.workers, "difference": found}


def peers(problem: Problem) -> dict[str, Any]:
    """The peers that are installed, by name."""
    found: dict[str, Any] = {}
    for name, make in _makers().items():
        try:
            found[name] = make(problem)
        except ModuleNotFoundError:
            continue
    return found


def _makers() -> dict[str, Callable[[Problem], Any]]:
    def torch_layer(threads: int) -> Callable[[Problem], Any]:
        def make(problem: Problem) -> Any:
            from .torch_layer import TorchLayer

            return TorchLayer(problem, threads)

        return make

    def jax_layer(problem: Problem) -> Any:
        from .jax_layer import JaxLayer

        return JaxLayer(problem)

    counts = thread_counts()
    return {**{torch_name(n): torch_layer(n) for n in counts}, "jax": jax_layer}


def difference(one: Mapping[str, NDArray], other: Mapping[str, NDArray]) -> float:
    """The largest over all arrays, relative to the largest number in the array."""
    return max(
        float(np.max(np.abs(one[name] - other[name])) / np.max(np.abs(one[name]))) for name in one
    )


def agreement(results: Mapping[str, Mapping[str, NDArray]]) -> float:
    """The largest difference from bptt's results, which must be small.

    Raises
    ------
    AssertionError : if a system computes something else.
    """
    found = {name: difference(results["bptt"], result) for name, result in results.items()}
    if max(found.values()) > _TOLERANCE:
        raise AssertionError(f"results differ from bptt's: {found}")
    return max(found.values())


def row(cell: str, case: Case, seconds: Mapping[str, float], part: float = 1.0) -> dict[str, Any]:
    """What is reported of one case; ``peer`` and ``ratio`` are None if no peer was measured.

    part : of the products forward and back, those that were timed.
    """
    others = {name: time for name, time in seconds.items() if name != "bptt"}
    best = min(others, key=others.__getitem__, default=None)
    work = part * flops(cell, case) / 1e9
    return {
        "cell": cell,
        **dict(zip(("B", "T", "I", "H"), case, strict=True)),
        "ms": {name: 1e3 * time for name, time in seconds.items()},
        "peer": best,
        "ratio": None if best is None else others[best] / seconds["bptt"],
        "gflops": {name: work / time for name, time in seconds.items()},
    }


def means(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Cell -> geometric mean of its ratios."""
    cells = dict.fromkeys(row["cell"] for row in rows if row["ratio"] is not None)
    return {
        cell: geometric_mean(
            row["ratio"] for row in rows if row["cell"] == cell and row["ratio"] is not None
        )
        for cell in cells
    }
