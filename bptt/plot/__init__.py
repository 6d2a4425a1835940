"""Pictures of training and of the gradient's flow through time.

matplotlib is imported only when one is drawn. Every function takes the Axes to draw on, makes a
figure if there is none, returns the Axes, and leaves showing and saving to the caller;
`animate_flow` alone writes a file.
"""

from .animation import animate_flow
from .flow import gradient_flow
from .map import gradient_map
from .over_training import flow_over_training
from .training import training
from .truncation import truncation_report

__all__ = [
    "animate_flow",
    "flow_over_training",
    "gradient_flow",
    "gradient_map",
    "training",
    "truncation_report",
]
