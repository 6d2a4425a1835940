"""Waiting for another thread, awake and without the interpreter, for a moment."""

from __future__ import annotations

from .atomics import look, pause
from .compile import JIT, kernel, piece

__all__ = ["LOOKS", "await_change"]

LOOKS = 4000 if JIT else 0
"""So many take 50 to 200 us, about as long as it takes to be woken."""


@piece
def _look(count):
    """The count, after a pause."""
    pause()
    return look(count, 0)


@kernel
def await_change(count, known, looks, more):
    """Return when ``count[0]``, (1,) int64, is not ``known``, and ``more`` looks after that; or
    after so many ``looks``."""
    for _ in range(looks):
        if _look(count) != known:
            for _ in range(more):
                _look(count)
            return
