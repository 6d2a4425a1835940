"""Several panels in the place of one Axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["panels"]


def panels(
    ax: Axes,
    heights: Sequence[float],
    columns: int = 1,
    *,
    labelled: bool = False,
) -> NDArray[np.object_]:
    """(rows, columns) Axes that share the place of ``ax``, which becomes the first of them.

    Parameters
    ----------
    heights : of the rows, relative to each other.
    labelled : whether ticks, labels or titles stand between the panels.
    """
    hspace, wspace = _spaces(ax, labelled)
    figure, place = ax.figure, ax.get_subplotspec()
    rows = len(heights)
    found = np.full((rows, columns), ax, dtype=object)
    if place is not None:
        grid = place.subgridspec(rows, columns, height_ratios=heights, hspace=hspace, wspace=wspace)
        ax.set_subplotspec(grid[0, 0])
        for at in list(np.ndindex(rows, columns))[1:]:
            found[at] = figure.add_subplot(grid[at])
        return found
    (x0, y0), (width, height) = ax.get_position().min, ax.get_position().size
    across = width / (columns + wspace * (columns - 1))
    mean = height / (rows + hspace * (rows - 1))
    tall = mean * rows * np.array(heights) / sum(heights)
    for i, j in np.ndindex(rows, columns):
        top = y0 + height - tall[:i].sum() - i * hspace * mean
        box = (x0 + j * (1 + wspace) * across, top - tall[i], across, tall[i])
        if i == j == 0:
            ax.set_position(box)
        else:
            found[i, j] = figure.add_axes(box)
    return found


def _spaces(ax: Axes, labelled: bool) -> tuple[float, float]:
    """Between rows and between columns, relative to the mean panel.

    A constrained layout adds what labels need, other layouts do not look inside a place.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not labelled:
        return 0.16, 0.16
    adapts = isinstance(ax.figure.get_layout_engine(), ConstrainedLayoutEngine)
    return (0.04, 0.04) if adapts else (0.6, 0.3)
