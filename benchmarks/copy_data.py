"""The copy task with fixed memory (Hochreiter & Schmidhuber 1997; as in Aicher et al. 2019).

A lane is a sequence of blocks of 2m steps. The input shows a marker and m - 1 random symbols, and
then m blanks; the target is the input of m steps before, so blanks first and then the copy. With
m = 4::

    input    # b a d . . . . # c c a . . . .
    target   . . . . # b a d . . . . # c c a
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import bptt

__all__ = ["BLANK", "MARKER", "Task", "blind_perplexity", "endless", "join", "shift", "stream"]

BLANK, MARKER = 0, 1
"""Ids; the symbols to be copied come after them."""


class Task(NamedTuple):
    """What is to be copied.

    memory : m, steps from input to target.
    ids : number of ids, blank and marker included.
    lanes : sequences side by side.
    """

    memory: int = 10
    ids: int = 6
    lanes: int = 64

    @property
    def block(self) -> int:
        """Steps of a block."""
        return 2 * self.memory


def stream(task: Task, steps: int, seed: int, *, joined: bool) -> bptt.Stream:
    """Lanes of ``steps`` steps, end to end as a `bptt.Stream` cuts them.

    joined : whether the lanes end as those of the authors do, see `join`.
    """
    rng = np.random.default_rng(seed)
    inputs, targets = endless(task, steps + task.block, rng)
    shifts = rng.integers(task.block, size=task.lanes)
    lane = np.arange(task.lanes)[:, np.newaxis]
    shown = lane, (join if joined else shift)(steps, shifts)
    return bptt.Stream(inputs[shown].ravel(), task.lanes, targets=targets[shown].ravel())


def endless(
    task: Task, steps: int, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Inputs and targets (lanes, at least ``steps``), from the beginning of a block on."""
    blocks = np.full((task.lanes, -(-steps // task.block), task.block), BLANK, np.int32)
    shown = blocks[:, :, : task.memory]
    shown[...] = rng.integers(MARKER + 1, task.ids, shown.shape)
    shown[:, :, 0] = MARKER
    targets = np.roll(blocks, task.memory, axis=2)
    return blocks.reshape(task.lanes, -1), targets.reshape(task.lanes, -1)


def shift(steps: int, shifts: NDArray[np.integer]) -> NDArray[np.integer]:
    """(lanes, ``steps``), the places in the endless sequence: a lane begins at its shift."""
    return shifts[:, np.newaxis] + np.arange(steps)


def join(steps: int, shifts: NDArray[np.integer]) -> NDArray[np.integer]:
    """(lanes, ``steps``), the places in the endless sequence as in the authors' data.

    There a lane is shifted by its own shift and again by that of each lane after it, and what moves
    in at its end always comes from place ``steps`` on. So it begins at the sum of those shifts and
    ends in one piece from the same place for each of them, often cut off before or within the copy.
    """
    pieces = [steps + np.arange(length) for length in shifts]
    begins = list(accumulate(shifts[::-1]))[::-1]
    lanes = [
        np.concatenate([np.arange(begin, steps), *pieces[lane:]])[-steps:]
        for lane, begin in enumerate(begins)
    ]
    return np.stack(lanes)


def blind_perplexity(task: Task, found: bptt.Stream) -> float:
    """Of a model that always knows blank and marker, and never which symbol."""
    targets = found.reader().take(found.steps).targets
    return float((task.ids - MARKER - 1) ** np.mean(targets > MARKER))
