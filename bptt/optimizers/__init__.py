"""Optimizers, one file each: one pass over the flat parameters, with the clipping of the gradient
in it. A new one is a new file and a row in `OPTIMIZERS`.
"""

from .adagrad import AdaGrad
from .adam import Adam, AdamW
from .base import Optimizer
from .rmsprop import RMSProp
from .sgd import SGD

__all__ = ["OPTIMIZERS", "SGD", "AdaGrad", "Adam", "AdamW", "Optimizer", "RMSProp"]

OPTIMIZERS = {optimizer.__name__: optimizer for optimizer in (SGD, AdaGrad, RMSProp, Adam, AdamW)}
"""Name -> class, by which files name them."""
