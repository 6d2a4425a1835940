"""The gradient's flow, loss by loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..flow import GradientFlow
from .heat import COLOURS, clipped, colourbar, dress_map, last_lag, mark_window
from .lags import chosen, given_flow, lane_mean, symbol
from .style import layer, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["gradient_map"]


def gradient_map(flow: GradientFlow, name: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw ‖∂ℓ_t/∂h_{t-k}‖ as a colour for every loss and lag, on a log scale.

    A column is one loss, its own step at the bottom. White is where step t has no loss or t - k is
    before the first step. Colours reach down to 1e-8 of the highest norm; lags at which all are
    below are outside the view, as are steps before the first loss.

    Parameters
    ----------
    flow : what `bptt.gradient_flow` returned; norms are averaged over lanes. Its ``window`` is
        marked where it ends.
    name : of the norms, such as ``"1.c"``; h of the topmost recurrent layer if None.
    ax : where to draw; a new figure if None.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    TypeError : if ``flow`` is not a `GradientFlow`.
    ValueError : if ``flow`` has no norms of that ``name``.
    """
    name = chosen(given_flow(flow), name)
    norms = lane_mean(flow, name)
    steps, lags = norms.shape
    drawn, low, high = clipped(norms)
    ax = new_axes(ax, (7.5, 4.6))
    from matplotlib.colors import LogNorm

    mapped = ax.imshow(
        drawn.T,
        norm=LogNorm(low, high),
        cmap=COLOURS,
        origin="lower",
        extent=(-0.5, steps - 0.5, -0.5, lags - 0.5),
        aspect="auto",
    )
    window = flow.window if flow.window is not None and flow.window <= lags else None
    dress_map(ax, f"Gradient of every loss, {layer(name)}", max(last_lag(norms, low), window or 0))
    losses = np.flatnonzero(~np.isnan(norms).all(axis=1))
    ax.set_xlim((losses[0] if losses.size else 0) - 0.5, steps - 0.5)
    ax.set_xlabel("step of the loss, t")
    mark_window(ax, window, "left")
    colourbar(mapped, ax, norms, symbol([name]))
    return ax
