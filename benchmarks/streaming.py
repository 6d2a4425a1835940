"""One step of one lane, forward only, with the state carried from call to call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import bptt

from .timing import Budget, alternate

__all__ = ["compare"]

_SIZE = 128
"""I and H."""
_CALLS = 20
"""Steps that are timed together, since the clock's own cost matters."""


def compare(budget: Budget) -> dict[str, Any]:
    """Microseconds of a step of an LSTM through the public call, and the ratio to the best peer."""
    seconds = alternate({"bptt": _bptt_steps(), **_torch_steps()}, budget)
    each = {name: 1e6 * time / _CALLS for name, time in seconds.items()}
    peers = {name: time for name, time in each.items() if name != "bptt"}
    best = min(peers, key=peers.__getitem__, default=None)
    ratio = None if best is None else peers[best] / each["bptt"]
    return {"I": _SIZE, "H": _SIZE, "us": each, "peer": best, "ratio": ratio}


def _bptt_steps() -> Callable[[], None]:
    model = bptt.Model([bptt.LSTM(_SIZE, _SIZE)])
    x = np.random.default_rng(0).normal(size=(1, 1, _SIZE)).astype(np.float32)
    state = None

    def steps() -> None:
        nonlocal state
        for _ in range(_CALLS):
            _, state = model(x, state)

    return steps


def _torch_steps() -> dict[str, Callable[[], None]]:
    """`nn.LSTM` and `nn.LSTMCell`, on one thread; none without PyTorch."""
    try:
        import torch
    except ModuleNotFoundError:
        return {}

    def steps_of(layer: Any, x: Any, carried: Callable[[Any], Any]) -> Callable[[], None]:
        state = None

        def steps() -> None:
            nonlocal state
            if torch.get_num_threads() != 1:
                torch.set_num_threads(1)
            with torch.inference_mode():
                for _ in range(_CALLS):
                    state = carried(layer(x, state))

        return steps

    x = torch.randn(1, 1, _SIZE)
    return {
        "torch.nn.LSTM": steps_of(torch.nn.LSTM(_SIZE, _SIZE), x, lambda out: out[1]),
        "torch.nn.LSTMCell": steps_of(torch.nn.LSTMCell(_SIZE, _SIZE), x[0], lambda out: out),
    }
