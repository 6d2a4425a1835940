"""The gradient's flow over the lag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..flow import GradientFlow
from .lags import symbol, topmost, vector
from .style import ACCENT, SHADE, by_depth, dress, layer, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["gradient_flow"]

_BAND = (0.1, 0.9)
_DEPTH = 1e-12
"""Of the peak of the lowest curve; what is smaller is outside the view."""


class _Curve(NamedTuple):
    """lag, values : (lags,); band : (2, lags), quantiles; half : half-life, inf if not known."""

    name: str
    label: str | None
    lag: NDArray
    values: NDArray
    band: NDArray | None = None
    half: float = np.inf


def gradient_flow(
    flow: GradientFlow | Mapping[str, GradientFlow] | Mapping[str, ArrayLike] | ArrayLike,
    ax: Axes | None = None,
    *,
    window: int | None = None,
    names: Sequence[str] | None = None,
) -> Axes:
    """Draw how far back the gradient reaches: its norm over the lag, on a log scale.

    Of a `GradientFlow` the mean over the losses is drawn, in a band that holds the middle 80 % of
    them; the mean may lie above the band. A dot marks where a curve has fallen to half its peak,
    and the legend says after how many steps. Norms below 1e-12 of the peak are outside the view,
    and zeros are left out.

    Parameters
    ----------
    flow : a `GradientFlow`; or label -> `GradientFlow`, to compare models; or layer -> (k2,) norms
        of δ_t, the newest step last, such as ``step.flow``; or one (k2,) array. Steps that do not
        exist are nan. Those of a reverse direction stand at their steps too: what comes to them
        comes from the right, from earlier steps, and to all others from the left.
    ax : where to draw; a new figure if None.
    window : k2, the steps that δ may flow back, marked in the picture. If None, that of the flows
        if they agree, or the number of steps in arrays.
    names : of the norms to draw, such as ``["1.h", "1.c"]``. If None, all of arrays, the h of every
        layer of a `GradientFlow`, and of the topmost recurrent layer where models are compared.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    TypeError : if `GradientFlow` and arrays are mixed.
    ValueError : if there is nothing to draw, an array is not a vector, ``names`` has one that no
        flow has, or ``window`` < 1.
    """
    flows = _flows(flow)
    curves = _vectors(flow, names) if flows is None else _means(flows, names)
    if window is None:
        window = max(len(c.lag) for c in curves) if flows is None else _window(flows)
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    ax = new_axes(ax, (7.5, 4.2))
    ax.set_yscale("log")
    seen = _limit(ax, curves)
    for curve, colour in zip(curves, by_depth(len(curves)), strict=True):
        if curve.band is None:
            _draw_vector(ax, curve, colour, "o" if seen <= 60 else None)
        else:
            _draw_mean(ax, curve, colour)
    if any(curve.band is not None for curve in curves):
        ax.fill_between([], [], [], color="0.4", alpha=0.25, linewidth=0, label="10-90 % of losses")
    _mark_window(ax, window, seen)
    dress(ax, "Gradient flow through time")
    ax.set_xlabel(f"steps back from the {'newest (lag)' if flows is None else 'loss (lag k)'}")
    ax.set_ylabel("‖δ‖ = ‖∂L/∂h‖" if flows is None else symbol(curve.name for curve in curves))
    ax.legend(frameon=False)
    return ax


def _flows(flow: object) -> dict[str, GradientFlow] | None:
    """Label -> flow, "" for a single one; None for arrays."""
    if isinstance(flow, GradientFlow):
        return {"": flow}
    found = [isinstance(of, GradientFlow) for of in flow.values()] if _maps(flow) else []
    if any(found) and not all(found):
        raise TypeError("flow must have GradientFlow for every label or for none, got both")
    return dict(flow) if any(found) else None


def _maps(flow: object) -> bool:
    return isinstance(flow, Mapping)


def _vectors(flow: object, names: Sequence[str] | None) -> list[_Curve]:
    """The norms of an update."""
    norms = flow if _maps(flow) else {"flow": flow}
    return [
        _Curve(name, layer(name) if _maps(flow) else None, np.arange(len(values))[::-1], values)
        for name in _chosen(list(norms), names, list(norms))
        for values in [vector(name, norms[name])]
    ]


def _means(flows: Mapping[str, GradientFlow], names: Sequence[str] | None) -> list[_Curve]:
    """The means over losses, with quantiles and half-life."""
    everything = list(dict.fromkeys(name for flow in flows.values() for name in flow.norms))
    if not everything:
        raise ValueError("flow has no layer to draw")
    curves = []
    for label, flow in flows.items():
        usual = [name for name in flow.norms if name.endswith(".h")] or list(flow.norms)
        usual = [topmost(usual)] if len(flows) > 1 else usual
        ours = [name for name in _chosen(usual, names, everything) if name in flow.norms]
        for name in ours:
            parts = [label] * (label != "") + [layer(name)] * (label == "" or len(ours) > 1)
            curve, band = flow.curve(name), flow.quantiles(name, _BAND)
            lag, half = np.arange(len(curve)), flow.half_life(name)
            curves.append(_Curve(name, ", ".join(parts), lag, curve, band, half))
    return curves


def _chosen(
    usual: Sequence[str], names: Sequence[str] | None, everything: Sequence[str]
) -> Sequence[str]:
    chosen = usual if names is None else [names] if isinstance(names, str) else list(names)
    if not chosen:
        raise ValueError("flow has no layer to draw" if names is None else "names is empty")
    for name in chosen:
        if name not in everything:
            raise ValueError(f"names must be among {', '.join(everything)}, got {name!r}")
    return chosen


def _window(flows: Mapping[str, GradientFlow]) -> int | None:
    windows = {flow.window for flow in flows.values()}
    return windows.pop() if len(windows) == 1 else None


def _limit(ax: Axes, curves: Sequence[_Curve]) -> int:
    """Set the norm's axis; return how many steps back there is something to see."""
    lengths = [len(curve.values) for curve in curves]
    shown = [np.where(np.isfinite(c.values), c.values, 0.0) for c in curves]
    peaks = [values.max() for values in shown if values.max() > 0]
    if not peaks:
        return max(lengths)
    low = _DEPTH * min(peaks)
    low = min(values[values > low].min() for values in shown if values.max() > 0)
    bands = [curve.band for curve in curves if curve.band is not None]
    high = max([*peaks, *(np.nanmax(band, initial=0.0, where=band < np.inf) for band in bands)])
    margin = (high / low) ** 0.05 if high > low else 2.0
    ax.set_ylim(low / margin, high * margin)
    return int(max(c.lag[v >= low].max(initial=0) for c, v in zip(curves, shown, strict=True))) + 1


def _draw_vector(ax: Axes, curve: _Curve, colour: NDArray, marker: str | None) -> None:
    drawn = np.where(curve.values > 0, curve.values, np.nan)
    ax.plot(curve.lag, drawn, color=colour, marker=marker, markersize=3.5, label=curve.label)


def _draw_mean(ax: Axes, curve: _Curve, colour: NDArray) -> None:
    """The line with a dot at its half-life, or at a point that stands alone, and the band."""
    drawn, label = np.where(curve.values > 0, curve.values, np.nan), curve.label
    points = np.flatnonzero(~np.isnan(drawn))
    dots = points.tolist() if len(points) == 1 else []
    if len(points) and np.isfinite(curve.half):
        dots = [int(np.nan_to_num(curve.values).argmax() + curve.half)]
        label = f"{label}, half after {curve.half:.0f}"
    dot = {"marker": "o", "markersize": 7, "markeredgecolor": "white", "markevery": dots}
    ax.plot(curve.lag, drawn, color=colour, label=label, zorder=2.1, **dot)
    least = ax.get_ylim()[0] * 1e-3
    low, high = np.where(np.isnan(curve.band), np.nan, np.maximum(curve.band, least))
    ax.fill_between(curve.lag, low, high, color=colour, alpha=0.18, linewidth=0)


def _mark_window(ax: Axes, window: int | None, steps: int) -> None:
    """Shade the lags 0 to window - 1, and draw the line that ends them."""
    last = max(window or 0, steps) - 0.5
    ax.set_xlim(-0.5, last + 0.03 * (last + 0.5))
    if window is None:
        return
    end = window - 0.5
    ax.axvspan(-0.5, end, color=SHADE, zorder=0)
    style = {"color": ACCENT, "linestyle": "--", "linewidth": 1.2}
    ax.axvline(end, label=f"window, k2 = {window}", **style)
