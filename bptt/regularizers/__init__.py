"""Regularizers: policies that take hold of whole parameters in training, one family a file."""

from .base import Noise, Penalty, Regularizer
from .noise import WeightDrop, WeightNoise
from .penalties import L1, L2

__all__ = [
    "L1",
    "L2",
    "REGULARIZERS",
    "Noise",
    "Penalty",
    "Regularizer",
    "WeightDrop",
    "WeightNoise",
]

REGULARIZERS = {kind.__name__: kind for kind in (L1, L2, WeightNoise, WeightDrop)}
"""Name -> class, by which files name them."""
