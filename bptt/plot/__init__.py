"""Pictures of training and of the gradient's flow through time.

matplotlib is imported only when one is drawn. Every function takes the Axes to draw on, makes a
figure if there is none, returns the Axes, and leaves showing and saving to the caller;
`animate_flow` alone writes a file.
"""

from .activations import activations
from .animation import animate_flow
from .characters import characters
from .flow import gradient_flow
from .lyapunov import lyapunov
from .map import gradient_map
from .over_training import flow_over_training
from .parameters import parameters
from .saturation import saturation
from .spectrum import spectrum
from .training import training
from .truncation import truncation_report

__all__ = [
    "activations",
    "animate_flow",
    "characters",
    "flow_over_training",
    "gradient_flow",
    "gradient_map",
    "lyapunov",
    "parameters",
    "saturation",
    "spectrum",
    "training",
    "truncation_report",
]
