"""Times of several systems that take turns, so that what disturbs one disturbs all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from statistics import geometric_mean as _geometric_mean
from statistics import median
from typing import NamedTuple

__all__ = ["Budget", "alternate", "geometric_mean", "torch_name"]

_PAUSE = 0.003
"""Seconds between turns: threads of the system before that still spin go to sleep."""

_HOPELESS = 20
"""So many times slower than the fastest."""


class Budget(NamedTuple):
    """How long is measured.

    rounds : turns of each system.
    turn : seconds that a turn should last; it has one call at least.
    """

    rounds: int
    turn: float


def alternate(systems: Mapping[str, Callable[[], object]], budget: Budget) -> dict[str, float]:
    """Name -> median seconds of a call.

    Every turn begins with a call that is not timed, which brings the caches and the threads back
    to the system. The order changes from round to round. A system that was hopelessly slow in the
    first round has no other.
    """
    times: dict[str, list[float]] = {name: [] for name in systems}
    names = list(systems)
    for turn in range(budget.rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            time.sleep(_PAUSE)
            times[name] += _turn(systems[name], budget.turn)
        if turn == 0:
            names = _hopeful(times)
    return {name: median(found) for name, found in times.items()}


def _hopeful(times: Mapping[str, list[float]]) -> list[str]:
    """The systems that could still be the best."""
    medians = {name: median(found) for name, found in times.items()}
    return [name for name in times if medians[name] < _HOPELESS * min(medians.values())]


def _turn(call: Callable[[], object], seconds: float) -> list[float]:
    call()
    found: list[float] = []
    end = time.perf_counter() + seconds
    while not found or time.perf_counter() < end:
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return found


def geometric_mean(numbers: Iterable[float]) -> float:
    """nth root of the product of n positive numbers; nan if there is none."""
    found = list(numbers)
    return _geometric_mean(found) if found else float("nan")


def torch_name(threads: int, what: str = "") -> str:
    """How PyTorch on so many threads is called in results."""
    count = "1 thread" if threads == 1 else f"{threads} threads"
    return f"torch{what}, {count}"
