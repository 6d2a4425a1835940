"""Threads that wait for the next piece of work: one piece each, the caller's thread the first."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from queue import SimpleQueue

__all__ = ["Pool", "cpu_count"]

Task = Callable[[], None]


def cpu_count() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool:
    """``size`` - 1 threads, started when first needed, and again in a forked child."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._process: int | None = None
        self._inboxes: list[SimpleQueue[Task | None]] = []
        self._outbox: SimpleQueue[BaseException | None] = SimpleQueue()

    def run(self, tasks: Sequence[Task]) -> None:
        """Run at most ``size`` tasks at the same time, and wait until all are done.

        Raises
        ------
        Whatever the first task to fail raised, after all have come to an end.
        """
        if len(tasks) > 1 and self._process != os.getpid():
            self._start()
        for task, inbox in zip(tasks[1:], self._inboxes, strict=False):
            inbox.put(task)
        failure = _outcome(tasks[0])
        left = len(tasks) - 1
        while left:
            try:
                failure = self._outbox.get() or failure
                left -= 1
            except KeyboardInterrupt as interrupt:
                failure = interrupt
        if failure is not None:
            raise failure

    def _start(self) -> None:
        self._inboxes = [SimpleQueue() for _ in range(self.size - 1)]
        self._outbox = SimpleQueue()
        for inbox in self._inboxes:
            work = threading.Thread(target=_work, args=(inbox, self._outbox), daemon=True)
            work.start()
        weakref.finalize(self, _stop, self._inboxes)
        self._process = os.getpid()


def _work(inbox: SimpleQueue[Task | None], outbox: SimpleQueue[BaseException | None]) -> None:
    while (task := inbox.get()) is not None:
        outbox.put(_outcome(task))
        del task


def _stop(inboxes: Sequence[SimpleQueue[Task | None]]) -> None:
    for inbox in inboxes:
        inbox.put(None)


def _outcome(task: Task) -> BaseException | None:
    try:
        task()
    except BaseException as error:
        return error
    return None
