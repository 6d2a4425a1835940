"""One layer forward only, as one calls a model that has learned: bptt beside PyTorch and JAX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .adapter import BpttForward, Problem, thread_counts
from .cases import Case
from .layers import agreement, peers, row
from .timing import Budget, alternate, torch_name

__all__ = ["compare"]


def compare(cells: Sequence[str], cases: Sequence[Case], budget: Budget) -> Iterator[dict]:
    """One `row` after the other, of the products forward alone."""
    for cell in cells:
        for case in cases:
            problem = Problem.of(cell, case)
            ours = BpttForward(problem)
            others = peers(problem) | (_cells(problem) if case.steps == 1 else {})
            calls = {name: system.forward for name, system in others.items()}
            calls = {"bptt": ours.forward, **calls}
            found = agreement({name: {"y": call()} for name, call in calls.items()})
            seconds = alternate(calls, budget)
            whole = row(cell, case, seconds, part=1 / 3)
            yield {**whole, "workers": ours.workers, "difference": found}


def _cells(problem: Problem) -> dict[str, Any]:
    """PyTorch's own way to make one step; none without it."""
    try:
        from .torch_layer import TorchCell
    except ModuleNotFoundError:
        return {}
    return {torch_name(n, " cell"): TorchCell(problem, n) for n in thread_counts()}
