"""How the learning rate changes while training goes on.

A new one is a class here and a row in `SCHEDULES`.
"""

from .base import NO_MEMO, Schedule, ScheduleMemo, check_rate
from .functions import Cosine, Exponential, StepDecay
from .on_plateau import OnPlateau
from .warm_up import WarmUp

__all__ = [
    "NO_MEMO",
    "SCHEDULES",
    "Cosine",
    "Exponential",
    "OnPlateau",
    "Schedule",
    "ScheduleMemo",
    "StepDecay",
    "WarmUp",
    "check_rate",
]

SCHEDULES = {
    schedule.__name__: schedule for schedule in (Exponential, StepDecay, Cosine, OnPlateau, WarmUp)
}
"""Name -> class, by which files name them."""
