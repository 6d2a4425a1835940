"""Pictures of training and of the gradient's flow through time.

matplotlib is imported only when one is drawn. Every function takes the Axes to draw on, makes a
figure if there is none, returns the Axes, and leaves showing and saving to the caller.
"""

from .flow import gradient_flow
from .training import training
from .truncation import truncation_report

__all__ = ["gradient_flow", "training", "truncation_report"]
