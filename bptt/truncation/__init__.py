"""Truncation policies: how far back through time the error of an update flows."""

from .adaptive import AdaptiveTBPTT
from .base import Memo, Plan, Probe, Truncation
from .fixed import TBPTT, FullBPTT
from .random import ARTBP, RandomTBPTT

__all__ = [
    "ARTBP",
    "TBPTT",
    "TRUNCATIONS",
    "AdaptiveTBPTT",
    "FullBPTT",
    "Memo",
    "Plan",
    "Probe",
    "RandomTBPTT",
    "Truncation",
]

TRUNCATIONS = {
    truncation.__name__: truncation
    for truncation in (TBPTT, FullBPTT, RandomTBPTT, ARTBP, AdaptiveTBPTT)
}
"""Name -> class, by which files name them."""
