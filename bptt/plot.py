"""Pictures of training and of the gradient's flow through time.

matplotlib is imported only when one is drawn. Every function takes the Axes to draw on, makes a
figure if there is none, returns the Axes, and leaves showing and saving to the caller.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .history import History

__all__ = ["gradient_flow", "training"]

_POINTS = 2000
_INK, _PALE, _ACCENT, _SHADE = "#30688e", "#b4c8d8", "#c8553d", "#f2f5f8"
_BEHIND_TEXT = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}


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
    ax, marker = _axes(ax, (7.5, 4.2)), "o" if steps <= 60 else None
    for (name, values), colour in zip(norms.items(), _by_depth(len(norms)), strict=True):
        lag = np.arange(len(values))[::-1]
        drawn = np.where(values > 0, values, np.nan)
        label = _layer(name) if isinstance(flow, Mapping) else None
        ax.plot(lag, drawn, color=colour, marker=marker, markersize=3.5, label=label)
    ax.set_yscale("log")
    _mark_window(ax, window, steps)
    _dress(ax, "Gradient flow through time")
    ax.set_xlabel("steps back from the newest (lag)")
    ax.set_ylabel("‖δ‖ = ‖∂L/∂h‖")
    ax.legend(frameon=False)
    return ax


def training(
    history: History,
    ax: Axes | None = None,
    *,
    against: Literal["updates", "seconds"] = "updates",
) -> Axes:
    """Draw the losses, and beneath them the gradient's norm with the threshold of its clipping.

    The place of ``ax`` is shared between two panels; the lower one is the figure's newest Axes.
    Long histories are thinned to the highest and the lowest point of each stretch.

    Parameters
    ----------
    history : what `Trainer.fit` returned.
    ax : where to draw; a new figure if None. The loss's panel is returned.
    against : what the horizontal axis counts: updates, or seconds of wall-clock time.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    ValueError : if the history has no update, or ``against`` is neither word.
    """
    if against not in ("updates", "seconds"):
        raise ValueError(f"against must be 'updates' or 'seconds', got {against!r}")
    columns = history.to_arrays()
    if not len(columns["update"]):
        raise ValueError("the history has no update to draw")
    ax = _axes(ax, (7.5, 5.4))
    seconds = against == "seconds"
    x = columns["seconds" if seconds else "update"]
    _draw_updates(ax, x, columns["loss"])
    _draw_validation(ax, columns["epoch_seconds" if seconds else "epoch_update"], history)
    _dress(ax, "Training")
    ax.set_ylabel("loss")
    ax.legend(frameon=False)
    below = _panel_below(ax)
    _draw_norm(below, x, columns["grad_norm"], history.clip_norm)
    _dress(below)
    below.set_xlabel("seconds of training" if seconds else "update")
    below.set_ylabel("gradient norm")
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


def _layer(name: str) -> str:
    """``"1.h"`` in words."""
    parts = re.fullmatch(r"(\d+)\.(\w+)", name)
    return f"layer {parts[1]} {parts[2]}" if parts else name


def _by_depth(count: int) -> NDArray:
    """(count, 4) colours, dark to light, evenly spaced to the eye and in grey."""
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0.1, 0.8, count) if count > 1 else [0.3])


def _mark_window(ax: Axes, window: int, steps: int) -> None:
    """Shade the lags 0 to window - 1, and draw the line that ends them."""
    end, last = window - 0.5, max(window, steps) - 0.5
    ax.set_xlim(-0.5, last + 0.03 * (last + 0.5))
    ax.axvspan(-0.5, end, color=_SHADE, zorder=0)
    style = {"color": _ACCENT, "linestyle": "--", "linewidth": 1.2}
    ax.axvline(end, label=f"window, k2 = {window}", **style)


def _draw_updates(ax: Axes, x: NDArray, values: NDArray) -> None:
    """Every update's value, pale, under their running mean; few updates need no mean."""
    span = max(1, len(values) // 50) | 1
    style = {"color": _INK, "marker": "."} if span == 1 else {"color": _PALE, "linewidth": 0.7}
    ax.plot(*_extremes(x, values), label="training, each update", **style)
    if span > 1:
        keep = np.unique(np.linspace(0, len(x) - 1, _POINTS).astype(int))
        mean = _running_mean(values, span)[keep]
        ax.plot(x[keep], mean, color=_INK, label=f"training, mean of {span} updates")


def _draw_validation(ax: Axes, x: NDArray, history: History) -> None:
    """The loss after each epoch, with a star and its value at the best one."""
    best = history.best
    if best is None:
        return
    marker = "o" if len(x) <= 60 else None
    label = "validation, each epoch"
    ax.plot(x, history.validation_loss, color=_ACCENT, marker=marker, markersize=3.5, label=label)
    at, label = (x[best.epoch - 1], best.loss), f"best validation, epoch {best.epoch}"
    star = {"marker": "*", "markersize": 14, "markeredgecolor": "white", "linestyle": "none"}
    ax.plot(*at, color=_ACCENT, label=label, zorder=5, **star)
    above = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center"}
    ax.annotate(f"{best.loss:.4g}", at, color=_ACCENT, bbox=_BEHIND_TEXT, **above)


def _draw_norm(ax: Axes, x: NDArray, norm: NDArray, clip_norm: float | None) -> None:
    """The gradient's norm on a log scale, and the threshold of its clipping."""
    from matplotlib.ticker import LogLocator, NullFormatter

    positive = np.where(norm > 0, norm, np.nan)
    _draw_updates(ax, x, positive)
    ax.set_yscale("log")
    drawn = positive[np.isfinite(positive)]
    within_two_decades = len(drawn) > 0 and drawn.max() < 100 * drawn.min()
    subs = (1.0, 2.0, 5.0) if within_two_decades else (1.0,)
    ax.yaxis.set_major_locator(LogLocator(subs=subs))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    if clip_norm is not None:
        label = f"clipped at {clip_norm:g} ({np.mean(norm > clip_norm):.1%} of updates)"
        line = ax.axhline(clip_norm, color=_ACCENT, linestyle="--", linewidth=1.2, label=label)
        above = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0}
        ax.legend(handles=[line], frameon=False, **above).set_in_layout(False)


def _panel_below(ax: Axes) -> Axes:
    """A second panel in the lower part of the place that ``ax`` had."""
    figure, place = ax.figure, ax.get_subplotspec()
    ax.tick_params(labelbottom=False)
    if place is not None:
        upper, lower = place.subgridspec(2, 1, height_ratios=(5, 3), hspace=0.16)
        ax.set_subplotspec(upper)
        return figure.add_subplot(lower, sharex=ax)
    box = ax.get_position()
    ax.set_position((box.x0, box.y0 + 0.42 * box.height, box.width, 0.58 * box.height))
    return figure.add_axes((box.x0, box.y0, box.width, 0.34 * box.height), sharex=ax)


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """``ax``, or the Axes of a new figure of ``size`` inches."""
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install matplotlib") from error
    return pyplot.subplots(figsize=size, layout="constrained")[1]


def _dress(ax: Axes, title: str = "") -> None:
    from matplotlib.ticker import MaxNLocator

    ax.grid(color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    ax.set_title(title, loc="left")


def _extremes(x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """The points, thinned to the lowest and the highest of each stretch if they are too many."""
    if len(x) <= _POINTS:
        return x, y
    low, high = np.where(np.isnan(y), np.inf, y), np.where(np.isnan(y), -np.inf, y)
    stretches = np.array_split(np.arange(len(y)), _POINTS // 2)
    keep = np.unique([(s[low[s].argmin()], s[high[s].argmax()]) for s in stretches])
    return x[keep], y[keep]


def _running_mean(y: NDArray, span: int) -> NDArray:
    """Mean of the finite ones among ``span`` neighbours (odd), fewer at the ends."""
    i, half = np.arange(len(y)), span // 2
    start, stop = np.maximum(i - half, 0), np.minimum(i + half + 1, len(y))
    finite = np.concatenate([[False], np.isfinite(y)])
    total = np.cumsum(np.where(finite, np.concatenate([[0.0], y]), 0.0))
    count = np.cumsum(finite)
    with np.errstate(invalid="ignore"):
        return (total[stop] - total[start]) / (count[stop] - count[start])
