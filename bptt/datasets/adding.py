"""The adding problem: two numbers far apart are marked, and their sum is due at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..checks import check_count, check_seed

__all__ = ["adding", "adding_sum"]

_EARLY = 10
"""The first marked pair is one of so many at the start."""


def adding(
    length: int, count: int, *, seed: int = 0
) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """The adding problem as it was first posed: unequal lengths, a scaled sum.

    Hochreiter & Schmidhuber 1997, "Long Short-Term Memory", experiment 4. A step is a pair of a
    value, uniform in [-1, 1], and a marker. Each sequence has from ``length`` to
    ``length`` + ``length`` // 10 steps, all equally likely. One of the first 10 pairs is marked by
    1.0, then one of the first ``length`` // 2 - 1 pairs that are still unmarked. The markers of
    the first and of the last pair are -1.0, the others 0.0. With X1 and X2 the marked values, the
    target is 0.5 + (X1 + X2) / 4. If the first pair is drawn it keeps its marker of -1.0, and its
    value is 0: this is how "X1 is set to zero" is read here, for X2 too.

    Parameters
    ----------
    length : shortest length T, at least 11, so that the last pair is never drawn.
    count : number of sequences N.
    seed : of everything drawn.

    Returns
    -------
    (sequences, targets) : N arrays (T_i, 2), value and marker; and (N, 1), from 0 to 1, due after
        the last step.

    Always saying 0.5 gives a mean squared error near 0.039. A sequence counts as right if
    the output is less than 0.04 off. In the paper the task is solved when the last 2000 sequences
    were right, and the mean error is below 0.01.

    Raises
    ------
    ValueError : if an argument is not as above.
    """
    rng = _checked(length, count, seed, at_least=_EARLY + 1)
    made = [_sequence(length, rng) for _ in range(count)]
    return [pairs for pairs, _ in made], np.array([[target] for _, target in made], np.float32)


def adding_sum(
    length: int, count: int, *, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The adding problem as it is posed nowadays: one length, a plain sum.

    Le, Jaitly & Hinton 2015, "A Simple Way to Initialize Recurrent Networks of Rectified Linear
    Units"; the places of the markers are those of Arjovsky, Shah & Bengio 2016. Values are uniform
    in [0, 1]. One pair of the first half is marked by 1.0 and one of the second half, the others by
    0.0. The target is the sum of the two marked values.

    Parameters
    ----------
    length : of every sequence, T, at least 2.
    count : number of sequences N.
    seed : of everything drawn.

    Returns
    -------
    (x, targets) : (T, N, 2), value and marker; and (N, 1), from 0 to 2, due after the last step.

    Always saying 1 gives a mean squared error near 1/6 = 0.167, the line that networks without a
    memory do not get below. A solved task is one with an error far below it, say 0.01.

    Raises
    ------
    ValueError : if an argument is not as above.
    """
    rng = _checked(length, count, seed, at_least=2)
    x = np.zeros((length, count, 2), np.float32)
    x[..., 0] = rng.uniform(0, 1, (length, count))
    half, lanes = length // 2, np.arange(count)
    first, second = rng.integers(0, half, count), rng.integers(half, length, count)
    x[first, lanes, 1] = x[second, lanes, 1] = 1
    return x, (x[first, lanes, 0] + x[second, lanes, 0])[:, np.newaxis]


def _sequence(length: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], float]:
    """One sequence of experiment 4, (T_i, 2), and its target."""
    steps = rng.integers(length, length + length // 10, endpoint=True)
    pairs = np.zeros((steps, 2), np.float32)
    pairs[:, 0] = rng.uniform(-1, 1, steps)
    first = rng.integers(_EARLY)
    second = rng.integers(length // 2 - 1)
    second += second >= first
    pairs[[first, second], 1] = 1
    if 0 in (first, second):
        pairs[0, 0] = 0
    pairs[[0, -1], 1] = -1
    return pairs, 0.5 + (float(pairs[first, 0]) + float(pairs[second, 0])) / 4


def _checked(length: int, count: int, seed: int, at_least: int) -> np.random.Generator:
    """A generator of random numbers, if the arguments can be used."""
    check_seed(seed)
    check_count("count", count)
    if check_count("length", length) < at_least:
        raise ValueError(f"length must be at least {at_least}, got {length}")
    return np.random.default_rng(seed)
