"""Steps that state and error pass over, lane by lane: padding, and gaps before or in a sequence.

The state after such a step is that before it. The loops run through it as through any other, on an
input of zero, and what they leave of the state is then put right; so they stop only where a lane
goes on after a gap. The error passes over a gap as a whole: it is put aside where it arrives, the
loop finds nothing but zeros, and it is there again where the gap begins::

    row      0 ... a ............. e ......... last
                   `-- skipped ---´
    forward  `---------------------´`---------´      stretches, after each of which rows a+1 to e
    back     `----´`--------------´`----------´      become what row a is

Where no error arrives, as in the padding at the end of a lane, nothing has to be put aside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from ..kernels.compile import kernel
from .tape import Tape

__all__ = ["edges", "hold", "over", "put_aside", "unchanged"]


def over(tape: Tape, first: int, last: int) -> NDArray[np.bool_]:
    """(last - first - 1, B), where a lane goes on after a gap, from step ``first`` + 1 on."""
    skip = tape.skip.rows[first:last]
    return skip[:-1] & ~skip[1:]


def edges(tape: Tape, first: int, last: int) -> NDArray[np.bool_]:
    """Like `over`, and where a gap begins over which an error passes."""
    skip, goes_on = tape.skip.rows[first:last], over(tape, first, last)
    begins = skip[1:] & ~skip[:-1]
    if not begins.any():
        return goes_on
    arrives = skip[-1] & np.logical_or.reduce([e.any(axis=1) for e in tape.errors.values()])
    later = np.logical_or.accumulate(goes_on[::-1], axis=0)[::-1] | arrives
    return goes_on | (begins & later)


def hold(tape: Tape, first: int, last: int) -> None:
    """Let the state after each of steps ``first`` to ``last`` be that before it, if it is skipped.

    It is zero if a sequence begins there.
    """
    if tape.skip.some:
        for rows in tape.states.values():
            _hold(rows, tape.skip.rows, tape.fresh.rows, first, last)


@contextmanager
def put_aside(tape: Tape, first: int, last: int) -> Iterator[None]:
    """While the loop runs back, no error arrives in lanes that are skipped from ``first`` to
    ``last``; afterwards it is there again, weighted as if it had come all the way."""
    lanes = _skipped(tape, first, last)
    saved = {name: error[lanes] for name, error in tape.errors.items()} if lanes.size else {}
    for name in saved:
        tape.errors[name][lanes] = 0
    yield
    if not saved:
        return
    arrays = tape.used
    weights = np.cumprod(arrays.back[first:last, lanes][::-1], axis=0)[::-1]
    for name, error in saved.items():
        tape.errors[name][lanes] = error * weights[0][:, np.newaxis]
    delta = next(iter(saved.values()))
    arrays.norms[0, first:last, lanes] = (np.linalg.norm(delta, axis=1) * weights).T


@contextmanager
def unchanged(tape: Tape, step: int) -> Iterator[None]:
    """The errors of the state after ``step`` are those of the state before it, where it is
    skipped."""
    lanes = _skipped(tape, step, step + 1)
    saved = [(error, error[lanes]) for error in tape.errors.values()] if lanes.size else []
    yield
    for error, values in saved:
        error[lanes] = values


def _skipped(tape: Tape, first: int, last: int) -> NDArray[np.intp]:
    """The lanes that are skipped from ``first`` to ``last``."""
    if not tape.skip.some:
        return np.empty(0, np.intp)
    return np.flatnonzero(tape.skip.rows[first:last].all(axis=0))


@kernel
def _hold(rows, skip, fresh, first, last):
    """rows (K+1, B, Hp) in, out; skip, fresh (K, B) in."""
    for t in range(first, last):
        for b in range(rows.shape[1]):
            if skip[t, b]:
                for j in range(rows.shape[2]):
                    rows[t + 1, b, j] = 0 if fresh[t, b] else rows[t, b, j]
