"""What heat maps over the lag share: a logarithmic scale of colours, and marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from .style import ACCENT, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

__all__ = ["COLOURS", "clipped", "colourbar", "dress_map", "last_lag", "mark_window", "outlined"]

COLOURS = "viridis"
_DEPTH = 1e-8
"""Of the highest value; what is smaller has the colour of this one."""


def clipped(values: NDArray, highest: float | None = None) -> tuple[NDArray, float, float]:
    """``values`` between two limits, which fit a logarithmic scale, and the limits.

    highest : upper limit at most; the highest value if None.
    """
    positive = values[(values > 0) & np.isfinite(values)]
    high = float(positive.max(initial=0.0)) or 1.0
    high = high if highest is None else min(high, highest)
    low = float(positive.min(initial=high / 10))
    low = max(low, high * _DEPTH)
    return np.where(np.isnan(values), np.nan, np.clip(values, low, high)), low, high


def last_lag(values: NDArray, low: float) -> int:
    """The greatest lag (last axis) at which something reaches ``low``; the last if nothing is."""
    seen = np.flatnonzero((values >= low).reshape(-1, values.shape[-1]).any(axis=0))
    return int(seen[-1]) if seen.size else values.shape[-1] - 1


def colourbar(mapped: ScalarMappable, ax: Axes, values: NDArray, label: str) -> None:
    """Beside ``ax``, with pointed ends where ``values`` go beyond its limits."""
    low, high = mapped.get_clim()
    below, above = bool((values < low).any()), bool((values > high).any())
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
    bar = ax.figure.colorbar(mapped, ax=ax, pad=0.02, extend=extend)
    bar.set_label(label)
    bar.outline.set_visible(False)


def dress_map(ax: Axes, title: str, lag: int) -> None:
    """Title and the lag's axis, from 0 to ``lag``."""
    from matplotlib.ticker import MaxNLocator

    dress(ax, title)
    ax.grid(visible=False)
    ax.yaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    ax.set_ylim(-0.5, lag + 0.5)
    ax.set_ylabel("steps back from the loss (lag k)")


def mark_window(ax: Axes, window: int | None, side: Literal["left", "right"]) -> None:
    """A line where the window ends, with its k2 at one ``side``."""
    if window is None:
        return
    end = window - 0.5
    ax.axhline(end, color=ACCENT, linewidth=1.4, **outlined(3))
    below, right = end > np.mean(ax.get_ylim()), side == "right"
    ax.annotate(
        f"window, k2 = {window}",
        (int(right), end),
        (-5 if right else 5, -4 if below else 4),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        ha=side,
        va="top" if below else "bottom",
        color=ACCENT,
        fontsize="small",
        **outlined(3),
    )


def outlined(width: float) -> dict[str, list]:
    """White around a line or a text, so that it is seen on any colour."""
    from matplotlib.patheffects import withStroke

    return {"path_effects": [withStroke(linewidth=width, foreground="white")]}
