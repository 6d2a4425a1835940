"""Colour scales of activations: signed around zero, or from zero up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.colors import Colormap, Normalize

__all__ = ["around_zero", "diverging", "from_zero"]

_BLUE = ("#00659c", "#4e88b3", "#8bacca", "#c3d2e2")
_WHITE = "#f9f9f9"
_RED = ("#f0c7be", "#e09686", "#cb6451", "#b12d1f")
"""At even distances in CIELAB, and as light at one distance from the middle as at the other."""


def diverging() -> Colormap:
    """Blue over white to red, even to the eye and pale enough for black text around zero."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("blue_to_red", (*_BLUE, _WHITE, *_RED))


def around_zero(values: NDArray) -> tuple[Colormap, Normalize]:
    """For signed values: zero in the middle, the largest size at the ends."""
    from matplotlib.colors import Normalize

    limit = _largest(values)
    return diverging(), Normalize(-limit, limit)


def from_zero(values: NDArray) -> tuple[Colormap, Normalize]:
    """For values from 0 up: to 1, as gates reach, or to the largest if that is more."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    return colormaps["viridis"], Normalize(0, max(1.0, _largest(values)))


def _largest(values: NDArray) -> float:
    """The largest finite size; 1 if there is none but zero."""
    return float(np.abs(values, where=np.isfinite(values), out=np.zeros(values.shape)).max()) or 1.0
