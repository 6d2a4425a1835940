"""Losses, one file each: value and gradient in one pass over the outputs.

The loss of an update is the mean over its valid targets, one per step and lane. A new one is a new
file and a row in `LOSSES`.
"""

from .absolute_error import AbsoluteError
from .base import Loss
from .binary_cross_entropy import BinaryCrossEntropy
from .cross_entropy import CrossEntropy
from .huber import Huber
from .squared_error import SquaredError

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Huber",
    "Loss",
    "SquaredError",
]

LOSSES = {
    loss.__name__: loss
    for loss in (CrossEntropy, BinaryCrossEntropy, SquaredError, AbsoluteError, Huber)
}
"""Name -> class, by which files name them."""
