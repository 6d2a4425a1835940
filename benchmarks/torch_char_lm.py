"""The character model in PyTorch, as one writes it there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .cases import CharLM

__all__ = ["ADAMS", "CharModel", "TorchCharLM", "TorchEveryStep", "lanes_of"]

ADAMS = {"": {}, " (foreach)": {"foreach": True}, " (fused)": {"fused": True}}
"""What `torch.optim.Adam` is measured with."""


def lanes_of(ids: NDArray, config: CharLM) -> NDArray:
    """(steps, B): the ids cut into consecutive pieces that lie side by side."""
    return ids[: len(ids) // config.lanes * config.lanes].reshape(config.lanes, -1).T


class CharModel(nn.Module):
    """Embedding, LSTM layers, and logits."""

    def __init__(self, config: CharLM) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocabulary, config.embedding)
        self.lstm = nn.LSTM(config.embedding, config.n, config.layers)
        self.linear = nn.Linear(config.n, config.vocabulary)


class _Trained:
    """A model, its optimizer, and lanes of ids (steps, B) that are read again and again."""

    def __init__(self, config: CharLM, ids: NDArray, threads: int, adam: dict[str, bool]) -> None:
        self.config, self.threads = config, threads
        self.model = CharModel(config)
        self.optimizer = torch.optim.Adam(self.model.parameters(), config.rate, **adam)
        self.ids = torch.from_numpy(ids.astype(np.int64))
        self.position = 0
        zero = torch.zeros(config.layers, config.lanes, config.n)
        self.state = (zero, zero)

    def take(self, stride: int, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The next ``steps`` ids and their targets; the position moves by ``stride``."""
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        if self.position + steps >= len(self.ids):
            self.position = 0
        first = self.position
        self.position += stride
        return self.ids[first : first + steps], self.ids[first + 1 : first + steps + 1]

    def finish(self, loss: torch.Tensor) -> float:
        """Go back, clip, and take Adam's step; the loss as a number."""
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        return loss.item()


class TorchCharLM(_Trained):
    """Truncated backpropagation with k1 = k2, the state carried."""

    def update(self) -> float:
        """One update; its loss."""
        x, targets = self.take(self.config.steps, self.config.steps)
        y, state = self.model.lstm(self.model.embedding(x), self.state)
        self.state = tuple(part.detach() for part in state)
        logits = self.model.linear(y)
        return self.finish(nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()))


class TorchEveryStep(_Trained):
    """k1 = 1 and k2 = ``config.steps``: the newest loss, through a window that is run anew.

    PyTorch's graph cannot slide, so every update runs the whole window from the state before it.
    """

    def update(self) -> float:
        """One update; its loss."""
        x, targets = self.take(1, self.config.steps)
        embedded = self.model.embedding(x)
        _, second = self.model.lstm(embedded[:1], self.state)
        y, _ = self.model.lstm(embedded[1:], second)
        self.state = tuple(part.detach() for part in second)
        return self.finish(nn.functional.cross_entropy(self.model.linear(y[-1]), targets[-1]))
