"""Turns of threads that use one object."""

from __future__ import annotations

import os
import threading
import weakref
from typing import NoReturn

__all__ = ["Turn"]


class Turn:
    """``with turn.lock:`` only one thread at a time, while others wait; a thread may take it twice.

    Raises
    ------
    RuntimeError : in a process that was forked while another thread had its turn: what that thread
        was at is never finished there.
    """

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock: threading.RLock | _Lost = threading.RLock()
        _TURNS.add(self)

    def after_fork(self) -> None:
        """Go on in the child, where of all threads only the one that forked is left."""
        if self.lock.acquire(False):
            self.lock.release()
        else:
            self.lock = _Lost()


class _Lost:
    """The lock of a thread that is not in this process."""

    def __enter__(self) -> NoReturn:
        raise RuntimeError(
            "this process was forked while another thread was at work with the trainer; "
            "fork between its updates, or load a trainer here"
        )

    def __exit__(self, *_: object) -> None:
        pass

    def acquire(self, _: bool) -> bool:
        return False


# To ask for the process at every turn would take longer than the lock.
_TURNS: weakref.WeakSet[Turn] = weakref.WeakSet()


def _after_fork() -> None:
    for turn in _TURNS:
        turn.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
