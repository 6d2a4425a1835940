"""What went wrong first, when a loss or a gradient is not finite."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .packed import layer_number
from .workers import Workers

__all__ = ["first_not_finite"]


def first_not_finite(team: Workers) -> tuple[str, str]:
    """What it was in the newest window, in words; and the layer it is in."""
    layers = team.model.layers
    for what, i, values in _suspects(team):
        if not np.isfinite(values).all():
            return what, f"{i} ({type(layers[i]).__name__})"
    return "the loss", f"{len(layers) - 1} ({type(layers[-1]).__name__})"


def _suspects(team: Workers) -> Iterator[tuple[str, int, NDArray]]:
    """What may not be finite, its layer and its values, in the order in which they came."""
    for name, values in team.model.params.items():
        yield f"the parameter {name}, after the last step,", layer_number(name), values
    for window in team.windows:
        for i, rows in window.outputs(team.weights):
            yield f"the output of layer {i} ({type(team.model.layers[i]).__name__})", i, rows
    for name in reversed(list(team.gradient)):
        yield f"the gradient of {name}", layer_number(name), team.gradient[name]
