"""What is compared: cells, sizes, and how many operations they take."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CELLS",
    "CHAR_LM",
    "FEW_LANES",
    "FORWARD_CASES",
    "LAYER_CASES",
    "STEP_CASES",
    "Case",
    "CharLM",
    "flops",
    "random_ids",
]

CELLS = {"lstm": 4, "rnn": 1, "gru": 3}
"""Cell -> gates, G."""


class Case(NamedTuple):
    """Sizes of one layer and its input (T, B, I)."""

    lanes: int
    steps: int
    n_in: int
    n: int

    def __str__(self) -> str:
        return f"({', '.join(str(size) for size in self)})"


LAYER_CASES = (
    Case(1, 32, 32, 32),
    Case(1, 100, 64, 100),
    Case(16, 64, 64, 64),
    Case(32, 64, 64, 128),
    Case(32, 35, 200, 200),
    Case(50, 50, 65, 128),
    Case(64, 50, 128, 256),
    Case(64, 35, 650, 650),
    Case(128, 128, 128, 512),
    Case(8, 1000, 2, 50),
    Case(64, 784, 1, 100),
)

FEW_LANES = (
    Case(1, 100, 128, 128),
    Case(1, 100, 256, 256),
    Case(1, 50, 512, 512),
    Case(2, 50, 512, 512),
    Case(4, 50, 512, 512),
)
"""Too few lanes for all cores, or for weights to be used often once they are read."""


FORWARD_CASES = (
    Case(1, 100, 64, 100),
    Case(16, 64, 64, 64),
    Case(32, 64, 64, 128),
    Case(64, 50, 128, 256),
    Case(64, 35, 650, 650),
    Case(8, 1000, 2, 50),
    Case(64, 784, 1, 100),
)
"""Whole sequences."""

STEP_CASES = (
    Case(1, 1, 64, 128),
    Case(8, 1, 64, 128),
    Case(64, 1, 64, 128),
    Case(16, 1, 128, 256),
    Case(64, 1, 128, 256),
    Case(4, 1, 128, 512),
    Case(16, 1, 128, 512),
    Case(64, 1, 128, 512),
)
"""One step a call, as in a loop of control."""


def flops(cell: str, case: Case) -> int:
    """Floating-point operations of the products of a layer, forward and back.

    Forward is x Wx and h Wh; backward takes as many for dx and dh, and again for dWx and dWh.
    """
    return 3 * 2 * case.steps * case.lanes * (case.n_in + case.n) * CELLS[cell] * case.n


class CharLM(NamedTuple):
    """The character model: an embedding, LSTM layers, a linear layer, and how it is trained."""

    vocabulary: int = 65
    embedding: int = 64
    n: int = 128
    layers: int = 2
    steps: int = 50
    lanes: int = 50
    rate: float = 2e-3
    clip: float = 5.0


CHAR_LM = CharLM()


def random_ids(config: CharLM, windows: int) -> NDArray[np.int32]:
    """(N,) ids that make so many windows in every lane."""
    count = config.lanes * config.steps * windows + 1
    return np.random.default_rng(0).integers(config.vocabulary, size=count, dtype=np.int32)
