"""The threads that go through a layer together, each with some of its units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ..kernels.calls import Call, perform
from ..kernels.crew import ALONE, Member, free, marks

__all__ = ["Crew"]

Tasks = Sequence[Callable[[], None]]


class Crew:
    """As many threads as ``size``; by itself the caller's alone.

    Parameters
    ----------
    size : number of members.
    run_all : runs so many tasks at the same time, and raises what one of them raised when all have
        come to an end.
    """

    def __init__(self, size: int = 1, run_all: Callable[[Tasks], None] | None = None) -> None:
        self.size, self._run_all = size, run_all
        self._marks = marks(size)
        self._members: list[Member] = [(i, size, self._marks) for i in range(size)]

    def run(self, work: Callable[[Member], list[Call]]) -> None:
        """Make the calls that ``work`` gives, for every member at the same time.

        They may meet in them, as often each.
        """
        perform(self.calls(work))

    def calls(self, work: Callable[[Member], list[Call]]) -> list[Call]:
        """What `run` does, listed."""
        if self.size == 1:
            return work(ALONE)
        tasks = [partial(_run, work(member), member) for member in self._members]
        return [partial(self._marks.fill, 0), partial(self._run_all, tasks)]


def _run(calls: list[Call], member: Member) -> None:
    try:
        perform(calls)
    except BaseException:
        free(member)
        raise
