"""What went wrong first, when a loss or a gradient is not finite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .layers import Layer
from .packed import layer_number
from .workers import Workers

__all__ = ["first_in", "first_not_finite"]


def first_not_finite(team: Workers) -> tuple[str, str]:
    """What it was in the newest window, in words; and the layer it is in."""
    layers = team.model.layers
    loss = "the loss", f"{len(layers) - 1} ({type(layers[-1]).__name__})"
    return first_in(layers, _suspects(team)) or loss


def first_in(
    layers: Sequence[Layer], suspects: Iterable[tuple[str, int, NDArray]]
) -> tuple[str, str] | None:
    """The first of ``suspects``, in words, layer and values, that is not finite; and the layer."""
    for what, i, values in suspects:
        if not np.isfinite(values).all():
            return what, f"{i} ({type(layers[i]).__name__})"
    return None


def _suspects(team: Workers) -> Iterator[tuple[str, int, NDArray]]:
    """What may not be finite, its layer and its values, in the order in which they came."""
    for name, values in team.model.params.items():
        yield f"the parameter {name}", layer_number(name), values
    for window in team.windows:
        for i, rows in window.outputs(team.weights):
            yield f"the output of layer {i} ({type(team.model.layers[i]).__name__})", i, rows
    for name in reversed(list(team.gradient)):
        yield f"the gradient of {name}", layer_number(name), team.gradient[name]
