"""What all pictures share: Axes, colours, grid."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..checks import check_kind
from ..requirements import check_version

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "ACCENT",
    "BEHIND_TEXT",
    "INK",
    "PALE",
    "SHADE",
    "by_depth",
    "dress",
    "layer",
    "new_axes",
]

INK, PALE, ACCENT, SHADE = "#30688e", "#b4c8d8", "#c8553d", "#f2f5f8"
BEHIND_TEXT = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}


def new_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """``ax``, or the Axes of a new figure of ``size`` inches.

    Raises
    ------
    ImportError : if there is no matplotlib, or too old a one.
    TypeError : if ``ax`` is something else.
    """
    if ax is not None:
        from matplotlib.axes import Axes

        check_kind("ax", ax, Axes)
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install matplotlib") from error
    check_version("matplotlib")
    return pyplot.subplots(figsize=size, layout="constrained")[1]


def dress(ax: Axes, title: str = "") -> None:
    from matplotlib.ticker import MaxNLocator

    ax.grid(color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    ax.set_title(title, loc="left")


def by_depth(count: int) -> NDArray:
    """(count, 4) colours, dark to light, evenly spaced to the eye and in grey."""
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0.1, 0.8, count) if count > 1 else [0.3])


def layer(name: str) -> str:
    """``"1.h"`` in words."""
    parts = re.fullmatch(r"(\d+)\.(\w+)", name)
    return f"layer {parts[1]} {parts[2]}".replace("_", " ") if parts else name
