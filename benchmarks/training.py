"""Updates of the character model: whole windows, and an update at every step (k1 = 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

import bptt

from .adapter import thread_counts
from .cases import CHAR_LM, CharLM, random_ids
from .char_lm import trainer_of
from .timing import Budget, alternate, torch_name

__all__ = ["bptt_update", "char_lm", "every_step"]

_EVERY_STEP_LANES = (1, 32)
_WINDOWS = 40


def _updates(trainer: bptt.Trainer, stream: bptt.Stream) -> Iterator[bptt.Step]:
    while True:
        yield from trainer.steps(stream)


def bptt_update(
    config: CharLM, ids: NDArray, k1: int, workers: int | None = None
) -> Callable[[], Any]:
    """A function that makes one update of bptt's; the ids are read again and again."""
    updates = _updates(trainer_of(config, k1, workers), bptt.Stream(ids, config.lanes))
    return lambda: next(updates)


def _torch_updates(config: CharLM, ids: NDArray, every_step: bool) -> dict[str, Callable[[], Any]]:
    """One function for each kind of Adam and number of threads; none without PyTorch."""
    try:
        from .torch_char_lm import ADAMS, TorchCharLM, TorchEveryStep, lanes_of
    except ModuleNotFoundError:
        return {}
    lanes = lanes_of(ids, config)
    kind = TorchEveryStep if every_step else TorchCharLM
    return {
        torch_name(threads, adam): kind(config, lanes, threads, options).update
        for threads in thread_counts()
        for adam, options in ADAMS.items()
    }


def _compare(config: CharLM, k1: int, budget: Budget) -> dict[str, Any]:
    """Milliseconds of an update of each system, and the ratio to the best peer."""
    ids = random_ids(config, _WINDOWS)
    ours = bptt_update(config, ids, k1)
    for _ in range(config.steps // k1):
        ours()
    systems = {"bptt": ours, **_torch_updates(config, ids, every_step=k1 == 1)}
    seconds = alternate(systems, budget)
    peers = {name: time for name, time in seconds.items() if name != "bptt"}
    best = min(peers, key=peers.__getitem__, default=None)
    return {
        **config._asdict(),
        "k1": k1,
        "ms": {name: 1e3 * time for name, time in seconds.items()},
        "updates_per_second": 1 / seconds["bptt"],
        "steps_per_second": {n: k1 * config.lanes / time for n, time in seconds.items()},
        "peer": best,
        "ratio": None if best is None else peers[best] / seconds["bptt"],
    }


def char_lm(budget: Budget) -> dict[str, Any]:
    """The whole training step, k1 = k2."""
    return _compare(CHAR_LM, CHAR_LM.steps, budget)


def every_step(budget: Budget) -> list[dict[str, Any]]:
    """An update at every step through one LSTM layer, for one lane and for many."""
    configs = [CHAR_LM._replace(layers=1, lanes=lanes) for lanes in _EVERY_STEP_LANES]
    return [_compare(config, 1, budget) for config in configs]
