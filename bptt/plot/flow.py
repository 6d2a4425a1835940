"""The gradient's flow over the lag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .style import ACCENT, SHADE, by_depth, dress, layer, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["gradient_flow"]


def gradient_flow(
    flow: Mapping[str, ArrayLike] | ArrayLike,
    ax: Axes | None = None,
    *,
    window: int | None = None,
) -> Axes:
    """Draw how far back the error signal reaches: ‖δ‖ over the lag, on a log scale.

    Parameters
    ----------
    flow : layer -> (k2,) norms of δ_t, the newest step last, such as ``step.flow``; or one (k2,)
        array. Steps that do not exist are nan. Zeros have no place on a log scale and are left out.
    ax : where to draw; a new figure if None.
    window : k2, the steps that δ may flow back, marked in the picture; the number of steps in
        ``flow`` if None.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    ValueError : if ``flow`` has no steps or an array that is not a vector, or ``window`` < 1.
    """
    norms = _vectors(flow)
    steps = max(map(len, norms.values()))
    window = steps if window is None else window
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    ax, marker = new_axes(ax, (7.5, 4.2)), "o" if steps <= 60 else None
    for (name, values), colour in zip(norms.items(), by_depth(len(norms)), strict=True):
        lag = np.arange(len(values))[::-1]
        drawn = np.where(values > 0, values, np.nan)
        label = layer(name) if isinstance(flow, Mapping) else None
        ax.plot(lag, drawn, color=colour, marker=marker, markersize=3.5, label=label)
    ax.set_yscale("log")
    _mark_window(ax, window, steps)
    dress(ax, "Gradient flow through time")
    ax.set_xlabel("steps back from the newest (lag)")
    ax.set_ylabel("‖δ‖ = ‖∂L/∂h‖")
    ax.legend(frameon=False)
    return ax


def _vectors(flow: Mapping[str, ArrayLike] | ArrayLike) -> dict[str, NDArray]:
    """Layer -> norms, (k2,) floats."""
    given = flow if isinstance(flow, Mapping) else {"flow": flow}
    norms = {name: np.asarray(values, float) for name, values in given.items()}
    for name, values in norms.items():
        if values.ndim != 1 or not len(values):
            raise ValueError(f"{name} must be (k2,) norms, got shape {values.shape}")
    if not norms:
        raise ValueError("flow has no layer to draw")
    return norms


def _mark_window(ax: Axes, window: int, steps: int) -> None:
    """Shade the lags 0 to window - 1, and draw the line that ends them."""
    end, last = window - 0.5, max(window, steps) - 0.5
    ax.set_xlim(-0.5, last + 0.03 * (last + 0.5))
    ax.axvspan(-0.5, end, color=SHADE, zorder=0)
    style = {"color": ACCENT, "linestyle": "--", "linewidth": 1.2}
    ax.axvline(end, label=f"window, k2 = {window}", **style)
