"""How much memory windows may take, and how many steps a tape may have then."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .checks import is_number
from .layers import Layer
from .layers.crew import Crew
from .recompute import RecomputedWindow
from .window import Window

__all__ = ["Memory", "Segments", "check_memory", "check_stretches"]

Memory: TypeAlias = Literal["sqrt"] | float | None
"""None to keep all states of a window; or how few: those of every √k2 steps, or what fits into so
many MB (10⁶ bytes)."""


def check_memory(memory: Memory) -> None:
    """Refuse what is no `Memory`.

    Raises
    ------
    ValueError : saying what came.
    """
    if memory is None or (isinstance(memory, str) and memory == "sqrt"):
        return
    if not is_number(memory) or not memory > 0:
        raise ValueError(f'memory must be "sqrt", a positive number of MB, or None, got {memory!r}')


def check_stretches(layers: Sequence[Layer], memory: Memory) -> None:
    """Refuse to train ``layers`` with ``memory`` if one must see all steps at once.

    Raises
    ------
    ValueError : naming the layer.
    """
    for i, layer in enumerate(layers):
        if memory is not None and layer.at_once:
            raise ValueError(
                f"layer {i} is {layer}, which takes statistics over all new steps of an update at "
                f"once in training, so memory must be None, got {memory!r}"
            )


class Segments:
    """How many steps lie between two stored states, for windows of any length.

    Parameters
    ----------
    memory : "sqrt", or MB.
    layers : of the model.
    counts : lanes of each window.
    dtype : of the tapes.
    members : of the crew of a window.
    """

    def __init__(
        self,
        memory: Literal["sqrt"] | float,
        layers: Sequence[Layer],
        counts: Sequence[int],
        dtype: DTypeLike,
        members: int = 1,
    ) -> None:
        self.memory, self._lanes = memory, sum(counts)
        self._costs = None if memory == "sqrt" else _Costs.of(layers, counts, dtype, members)

    def length(self, k2: int) -> int:
        """For a window of ``k2`` steps.

        Raises
        ------
        ValueError : if no such window fits into the memory.
        """
        if self._costs is None:
            return math.isqrt(k2 - 1) + 1
        lengths = np.arange(1, k2 + 1)
        needs = self._costs.total(k2, lengths)
        fitting = lengths[needs <= self.memory * 1e6]
        if not fitting.size:
            raise ValueError(
                f"memory={self.memory} MB is too little for a window of {k2} steps and "
                f"{self._lanes} lanes, which takes {needs.min() / 1e6:.3g} MB at least"
            )
        return int(fitting[-1])


class _Costs(NamedTuple):
    """Bytes of the windows of all workers.

    fixed : whatever their length.
    step, state, row : for each step of a tape, each stored state, each step of the whole window.
    """

    fixed: int
    step: int
    state: int
    row: int

    @classmethod
    def of(
        cls, layers: Sequence[Layer], counts: Sequence[int], dtype: DTypeLike, members: int
    ) -> _Costs:
        """Measured on the smallest windows there are."""
        each, crew = [], Crew(members)
        for lanes in counts:
            one, two = (
                Window(layers, lanes, steps, dtype, backward=True, crew=crew).nbytes()
                for steps in (1, 2)
            )
            a, b, c = (
                RecomputedWindow(layers, lanes, capacity, dtype, segment, crew=crew).nbytes()
                for capacity, segment in ((1, 1), (2, 1), (2, 2))
            )
            step = two - one
            row = c - a - step
            state = b - a - row
            each.append((a - step - 2 * state - row, step, state, row))
        return cls(*(sum(column) for column in zip(*each, strict=True)))

    def total(self, k2: int, lengths: NDArray) -> NDArray:
        """Of windows of ``k2`` steps, for each length of a tape."""
        states = -(-k2 // lengths) + 1
        return self.fixed + lengths * self.step + states * self.state + k2 * self.row
