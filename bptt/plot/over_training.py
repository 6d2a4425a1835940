"""How the reach of the gradient changes while the network learns."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..flow import GradientFlow
from .heat import COLOURS, clipped, colourbar, dress_map, last_lag, mark_window, outlined
from .lags import as_flow, chosen
from .style import layer, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["flow_over_training"]

_HIGHEST = 1e4
"""Of a column's lag 0; a flow that explodes must not hide the others."""
_SHARE = 0.99


def flow_over_training(
    flows: Mapping[int, GradientFlow | Mapping[str, ArrayLike] | ArrayLike],
    name: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the gradient's flow over the lag as a column of colours for each update, on a log scale.

    Every column is relative to its own lag 0 (lag 1 for c, where the error through the next step's
    cell begins), and stretches half-way to its neighbours. The line is the reach: the steps beneath
    it hold 99 % of the column's sum. White is where there is no norm, or nothing to be relative to.
    Lags at which all columns are below the colours are outside the view. Of a reverse direction the
    lag is still that from the newest step, though its errors come from earlier ones.

    Parameters
    ----------
    flows : number of an update -> its flow, a `GradientFlow`, of which the mean over the losses is
        drawn; or ``step.flow``; or one (k2,) array of norms, the newest step last. The numbers may
        lie unevenly, and the flows may have different numbers of lags.
    name : of the norms, such as ``"1.c"``; h of the topmost recurrent layer if None.
    ax : where to draw; a new figure if None.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    TypeError : if ``flows`` is not a mapping from numbers.
    ValueError : if ``flows`` is empty, or one of them has no norms of that ``name``.
    """
    updates, columns, names = _read(flows, name)
    ratios, first = _relative([flow.curve(of) for flow, of in zip(columns, names, strict=True)])
    reach = [
        flow.reach(of, _SHARE) - 0.5 if np.nansum(flow.curve(of)) > 0 else np.nan
        for flow, of in zip(columns, names, strict=True)
    ]
    drawn, low, high = clipped(ratios, _HIGHEST)
    windows = {flow.window for flow in columns}
    window = windows.pop() if len(windows) == 1 else None
    window = window if window is not None and window <= ratios.shape[1] else None
    ax = new_axes(ax, (7.5, 4.6))
    from matplotlib.colors import LogNorm

    mapped = ax.pcolormesh(
        _edges(updates),
        np.arange(ratios.shape[1] + 1) - 0.5,
        drawn.T,
        norm=LogNorm(low, high),
        cmap=COLOURS,
        rasterized=True,
    )
    what = layer(names[0]) if "." in names[0] else ""
    seen = max(last_lag(ratios, low), int(np.nanmax([0.0, *reach]) + 0.5), window or 0)
    title = "Gradient flow over training" + (f", {what}" if what else "")
    dress_map(ax, title, min(seen, ratios.shape[1] - 1))
    ax.set_xlim(*_edges(updates)[[0, -1]])
    ax.set_xlabel("update")
    _draw_reach(ax, updates, reach)
    mark_window(ax, window, "right")
    colourbar(mapped, ax, ratios, f"norm relative to lag {first} of the same update")
    return ax


def _read(flows: object, name: str | None) -> tuple[NDArray, list[GradientFlow], list[str]]:
    """Updates in order, their flows, and the name in each."""
    if not isinstance(flows, Mapping) or not all(isinstance(update, Real) for update in flows):
        raise TypeError(f"flows must be a mapping from numbers of updates, got {flows!r:.60}")
    if not flows:
        raise ValueError("flows has no update to draw")
    updates = sorted(flows)
    columns = [as_flow(flows[update], f"flows[{update}]") for update in updates]
    names = [
        chosen(flow, name, f"flows[{update}]")
        for update, flow in zip(updates, columns, strict=True)
    ]
    return np.array(updates, float), columns, names


def _relative(curves: list[NDArray]) -> tuple[NDArray, int]:
    """(updates, lags), each curve by its norm at the first lag that has any, and that lag.

    The error at an LSTM's c begins at lag 1. nan beyond a curve's end.
    """
    norms = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(norms, curves, strict=True):
        row[: len(curve)] = curve
    first = int((norms > 0).any(axis=0).argmax())
    least = norms[:, first, None]
    return norms / np.where(least > 0, least, np.nan), first


def _edges(updates: NDArray) -> NDArray:
    """(updates + 1,): half-way between neighbours, and as far beyond the ends."""
    if len(updates) == 1:
        return updates[0] + np.array([-0.5, 0.5])
    between = (updates[1:] + updates[:-1]) / 2
    return np.concatenate([[2 * updates[0] - between[0]], between, [2 * updates[-1] - between[-1]]])


def _draw_reach(ax: Axes, updates: NDArray, reach: list[float]) -> None:
    few = len(updates) <= 60
    style = {"color": "black", "linewidth": 1.6 if few else 1.0, **outlined(3.5 if few else 2)}
    dots = {"marker": "o", "markersize": 3.5} if few else {}
    (line,) = ax.plot(updates, reach, label=f"reach, {_SHARE:.0%} of the flow", **style, **dots)
    above = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0}
    ax.legend(handles=[line], frameon=False, **above).set_in_layout(False)
