"""Windows of PyTorch whose memory is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .cases import Case, CharLM
from .torch_char_lm import CharModel

__all__ = ["char_lm", "layer"]


def layer(case: Case, x: NDArray, targets: NDArray) -> Callable[[], Any]:
    """One LSTM under the mean squared error; like bptt's, the window gives dx too."""
    lstm = torch.nn.LSTM(case.n_in, case.n)
    given = torch.from_numpy(x).requires_grad_()
    wanted = torch.from_numpy(targets)

    def window() -> Any:
        y, state = lstm(given)
        loss = torch.nn.functional.mse_loss(y, wanted)
        return _back(loss, [given, *lstm.parameters()], state)

    return window


def char_lm(config: CharLM, x: NDArray, targets: NDArray) -> Callable[[], Any]:
    """The character model."""
    model = CharModel(config)
    ids, wanted = (torch.from_numpy(given.astype(np.int64)) for given in (x, targets))

    def window() -> Any:
        y, state = model.lstm(model.embedding(ids))
        logits = model.linear(y)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())
        return _back(loss, list(model.parameters()), state)

    return window


def _back(loss: torch.Tensor, inputs: Sequence[torch.Tensor], state: Any) -> Any:
    gradients = torch.autograd.grad(loss, inputs)
    return loss.item(), gradients, tuple(part.detach() for part in state)
