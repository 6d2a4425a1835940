"""What a truncation policy is: it plans, update by update, how the error flows back."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple, TypeAlias

from numpy.typing import NDArray

from ..checks import check_bound
from ..memory import Memory, check_memory
from ..options import Options

__all__ = ["Memo", "Plan", "Probe", "Truncation"]

Memo: TypeAlias = Mapping[str, int]
"""What a policy remembers from update to update; the trainer keeps it."""
Probe: TypeAlias = Callable[[int], NDArray | None]
"""From a number of steps to the δ of single losses so many steps back, as `last_loss_errors` gives
them; None if the stream has fewer left."""


class Plan(NamedTuple):
    """One update.

    k1 : new steps.
    k2 : steps that the error flows back, counted from the newest.
    losses : how many of the new steps, the newest, have a loss that enters.
    rate : by which the learning rate is multiplied.
    weights : (k1,), by which the error that comes back to each new step from the next is
        multiplied; None for 1.
    per : the gradient is that of the sum of the losses over ``per`` · B; None for their mean over
        the valid targets.
    """

    k1: int
    k2: int
    losses: int
    rate: float = 1.0
    weights: NDArray | None = None
    per: float | None = None


@dataclass(frozen=True)
class Truncation(Options):
    """How far back through time the error of an update flows.

    Parameters
    ----------
    clip_delta : largest norm of δ_t of a lane. At every step back through time, a δ_t whose norm is
        larger is scaled down to it. δ_t is the error of the update's loss, which is a mean over
        its targets. None for no bound.
    memory : None to store what every step of a window leaves for the way back. "sqrt" to store the
        states of every √k2 steps only, and run the steps between them again; or a number, to do
        so with the longest stretches for which the tapes of all lanes fit into so many MB
        (10⁶ bytes). The gradient is the same. Where windows overlap, the older steps are then run
        again with today's parameters, and otherwise stay as older parameters left them, but for
        rows of an `Embedding`.
    """

    clip_delta: float | None = field(default=None, kw_only=True)
    memory: Memory = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.clip_delta is not None:
            check_bound("clip_delta", self.clip_delta)
        check_memory(self.memory)

    @abstractmethod
    def plan(self, n: int, left: int, memo: Memo) -> Plan:
        """The update after ``n`` others, when ``left`` >= 1 steps of the stream are left."""

    @abstractmethod
    def usual(self, steps: int) -> int:
        """The steps back of a usual update on a stream of ``steps`` steps."""

    def older(self, n: int, left: int, memo: Memo) -> int:
        """How many steps before its new ones the update after ``n`` others, or a later one, may
        reach back into, when ``left`` >= 1 steps are left: so many stay on the tape.

        A policy whose windows may grow by more than the new steps in between says so here.
        """
        plan = self.plan(n, left, memo)
        return plan.k2 - plan.k1

    def adapt(self, memo: Memo, n: int, probe: Probe) -> Memo:
        """What to remember from now on, after ``n`` updates."""
        return memo

    def __repr__(self) -> str:
        """The arguments that are not the usual ones."""
        own_first = sorted(fields(self), key=lambda f: f.kw_only)
        given = [(f, getattr(self, f.name)) for f in own_first]
        words = [f"{f.name}={v!r}" for f, v in given if not f.kw_only or v is not None]
        return f"{type(self).__name__}({', '.join(words)})"

    def keeps_whole(self, steps: int) -> bool:
        """Whether every update runs a sequence of up to ``steps`` steps as a whole."""
        return False

    @property
    def slides(self) -> bool:
        """Whether windows overlap: more steps back than new ones."""
        return False

    @property
    def bound(self) -> float:
        """``clip_delta``, or inf."""
        return math.inf if self.clip_delta is None else float(self.clip_delta)
