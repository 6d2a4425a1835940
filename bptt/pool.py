"""Threads that wait for the next piece of work: one piece each, the caller's thread the first.

To be woken takes a thread as long as many a piece of work. So it stays awake for a moment after its
last one, and so does the caller who waits for it. Who asks for the interpreter while another thread
has it is put to sleep too. So each waits, awake, for those before it to be inside a kernel.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

import numpy as np

from .kernels.wait import LOOKS, await_change

__all__ = ["Pool", "cpu_count", "shares"]

_TURN, _LEAVE = 400, 50
"""Looks, of 12 to 50 ns each, in which a thread that was given a piece of work comes to its first
kernel; and in which one that gave an answer leaves the interpreter."""

Task = Callable[[], None]
Item = TypeVar("Item")


def cpu_count() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shares(size: int, pieces: int) -> list[int]:
    """Where each of so many pieces begins, as equal as can be, and where the last one ends."""
    return [size * i // pieces for i in range(pieces + 1)]


class _Box(Generic[Item]):
    """A queue from one thread to another, whose reader looks for a moment before it sleeps.

    One that is still awake takes what has been put ``later`` by so many looks.
    """

    def __init__(self, later: int) -> None:
        self._queue: SimpleQueue[Item] = SimpleQueue()
        self._put, self._got = np.zeros(1, np.int64), 0
        self._later = later

    def put(self, item: Item) -> None:
        self._queue.put(item)
        self._put[0] += 1

    def get(self) -> Item:
        await_change(self._put, self._got, LOOKS, self._later)
        item = self._queue.get()
        self._got += 1
        return item


class _Helper:
    """A thread that runs tasks one after the other, and begins when so many others have begun."""

    def __init__(self, others: int) -> None:
        self.inbox: _Box[Task | None] = _Box(later=others * _TURN)
        self.outbox: _Box[BaseException | None] = _Box(later=_LEAVE)
        # The thread knows the boxes, but not this object: so that it can end with the pool.
        work = threading.Thread(target=_work, args=(self.inbox, self.outbox), daemon=True)
        work.start()


class Pool:
    """``size`` - 1 threads, started when first needed, and again in a forked child."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._process: int | None = None
        self._helpers: list[_Helper] = []

    def run(self, tasks: Sequence[Task]) -> None:
        """Run at most ``size`` tasks at the same time, and wait until all are done.

        Raises
        ------
        Whatever the first task that failed raised, after all have come to an end.
        """
        if len(tasks) > 1 and self._process != os.getpid():
            self._start()
        busy = self._helpers[: len(tasks) - 1]
        for task, helper in zip(tasks[1:], busy, strict=True):
            helper.inbox.put(task)
        failures = [_outcome(tasks[0])]
        for helper in busy:
            failures += _end_of(helper)
        for failure in failures:
            if failure is not None:
                raise failure

    def _start(self) -> None:
        self._helpers = [_Helper(others) for others in range(1, self.size)]
        weakref.finalize(self, _stop, self._helpers)
        self._process = os.getpid()


def _end_of(helper: _Helper) -> list[BaseException | None]:
    """How its task ended, once it has; and the interrupts until then."""
    found: list[BaseException | None] = []
    while True:
        try:
            return [*found, helper.outbox.get()]
        except KeyboardInterrupt as interrupt:
            found.append(interrupt)


def _work(inbox: _Box[Task | None], outbox: _Box[BaseException | None]) -> None:
    while (task := inbox.get()) is not None:
        outbox.put(_outcome(task))
        del task


def _stop(helpers: Sequence[_Helper]) -> None:
    for helper in helpers:
        helper.inbox.put(None)


def _outcome(task: Task) -> BaseException | None:
    try:
        task()
    except BaseException as error:
        return error
    return None
