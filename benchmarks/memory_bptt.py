"""Windows of bptt whose memory is measured, through the public `value_and_grad`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import NDArray

import bptt
from bptt.pool import cpu_count

from .cases import Case, CharLM
from .char_lm import model_of

__all__ = ["char_lm", "layer"]


def layer(case: Case, x: NDArray, targets: NDArray) -> Callable[[], Any]:
    """One LSTM under the mean squared error."""
    model = bptt.Model([bptt.LSTM(case.n_in, case.n)])
    return partial(_window, model, bptt.SquaredError(), x, targets)


def char_lm(config: CharLM, x: NDArray, targets: NDArray) -> Callable[[], Any]:
    """The character model."""
    return partial(_window, model_of(config), bptt.CrossEntropy(), x, targets)


def _window(model: bptt.Model, loss: bptt.Loss, x: NDArray, targets: NDArray) -> Any:
    return bptt.value_and_grad(model, loss, x, targets, workers=cpu_count())
