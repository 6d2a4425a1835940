"""How far open the gates of each layer are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import numbers_of
from ..checks import check_kind
from .panels import panels
from .style import ACCENT, INK, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["saturation"]

_LOWEST = {"i": 0, "f": 0, "o": 0, "r": 0, "z": 0, "g": -1, "n": -1}
"""Where the range of each gate begins, that of a sigmoid or of tanh; all of them end at 1."""
_BINS = 20
_FLAT = 0.1
"""How near the ends of its range a gate counts as saturated."""


def saturation(histories: Mapping[str, ArrayLike], ax: Axes | None = None) -> Axes:
    """Draw histograms of the gates: a row for each layer and direction, a column for each gate.

    Above each stands the share of activations below 0.1 and above 0.9 (for tanh: below -0.9), which
    are drawn red: there the gate is nearly flat, and little gradient passes through it.

    The place of ``ax`` is shared between the panels, which are the figure's newest Axes.

    Parameters
    ----------
    histories : what `bptt.histories` returned; ``"1.f"`` -> (T, B, H). What is no gate is left
        out, and nan, which stands for padding.
    ax : where to draw; a new figure if None. The first panel is returned.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    ValueError : if there is no gate, or one has no value or some outside its range.
    """
    rows = _gates(histories)
    columns = max(map(len, rows.values()))
    ax = new_axes(ax, (max(5.0, 2.4 * columns + 0.4), 1.9 * len(rows) + 0.6))
    grid = panels(ax, (1,) * len(rows), columns, labelled=True)
    for (layer, gates), row in zip(rows.items(), grid, strict=True):
        row[0].set_ylabel(f"layer {layer}\n% of activations")
        for (gate, values), panel in zip(gates.items(), row, strict=False):
            _draw(panel, gate, values)
        for panel in row[len(gates) :]:
            panel.set_axis_off()
    for panel in grid[-1]:
        panel.set_xlabel("activation")
    return ax


def _gates(histories: Mapping[str, ArrayLike]) -> dict[str, dict[str, NDArray]]:
    """Layer, and direction -> gate -> (N,) activations."""
    check_kind("histories", histories, Mapping)
    rows: dict[str, dict[str, NDArray]] = {}
    for name, given in histories.items():
        layer, _, what = name.rpartition(".")
        gate, *reverse = what.split("_")
        if gate in _LOWEST:
            values, lowest = numbers_of(f"histories[{name!r}]", given), _LOWEST[gate]
            values = values.astype(float).ravel()
            values = values[~np.isnan(values)]
            if not values.size:
                raise ValueError(f"histories[{name!r}] has no value")
            if not ((values >= lowest) & (values <= 1)).all():
                raise ValueError(
                    f"histories[{name!r}] must lie between {lowest} and 1, "
                    f"got {values.min():g} to {values.max():g}"
                )
            rows.setdefault(" ".join([layer, *reverse]), {})[gate] = values
    if not rows:
        raise ValueError(f"histories has no gate to draw, only {', '.join(histories) or 'nothing'}")
    return rows


def _draw(ax: Axes, gate: str, values: NDArray) -> None:
    """One gate's histogram in percent, its saturated ends red."""
    lowest = _LOWEST[gate]
    low, high = lowest + _FLAT, 1 - _FLAT
    bins = _BINS * (1 - lowest)
    edges = np.linspace(lowest, 1, bins + 1)
    share = np.histogram(values, edges)[0] / len(values) * 100
    middle = (edges[:-1] + edges[1:]) / 2
    colours = np.where((middle < low) | (middle > high), ACCENT, INK)
    ax.bar(middle, share, np.diff(edges), color=colours)
    below, above = np.mean(values < low), np.mean(values > high)
    said = f"{gate}: {below:.0%} < {low:g}\n    {above:.0%} > {high:g}"
    ax.set_title(said, loc="left", fontsize="medium")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlim(lowest, 1)
    ax.set_xticks(np.linspace(lowest, 1, 3))
    ax.locator_params(axis="y", nbins=4)
