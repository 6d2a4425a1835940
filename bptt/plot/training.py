"""Losses and gradient norms while training goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ..checks import check_kind, check_word
from ..history import History
from .panels import panels
from .style import ACCENT, BEHIND_TEXT, INK, PALE, dress, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["training"]

_POINTS = 2000


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
    check_kind("history", history, History)
    check_word("against", against, ("updates", "seconds"))
    columns = history.to_arrays()
    if not len(columns["update"]):
        raise ValueError("the history has no update to draw")
    ax = new_axes(ax, (7.5, 5.4))
    seconds = against == "seconds"
    x = columns["seconds" if seconds else "update"]
    _draw_updates(ax, x, columns["loss"])
    _draw_validation(ax, columns["epoch_seconds" if seconds else "epoch_update"], history)
    dress(ax, "Training")
    ax.set_ylabel("loss")
    ax.legend(frameon=False)
    ax.tick_params(labelbottom=False)
    below = panels(ax, (5, 3))[1, 0]
    below.sharex(ax)
    _draw_norm(below, x, columns["grad_norm"], history.clip_norm)
    dress(below)
    below.set_xlabel("seconds of training" if seconds else "update")
    below.set_ylabel("gradient norm")
    return ax


def _draw_updates(ax: Axes, x: NDArray, values: NDArray) -> None:
    """Every update's value, pale, under their running mean; few updates need no mean."""
    span = max(1, len(values) // 50) | 1
    style = {"color": INK, "marker": "."} if span == 1 else {"color": PALE, "linewidth": 0.7}
    ax.plot(*_extremes(x, values), label="training, each update", **style)
    if span > 1:
        keep = np.unique(np.linspace(0, len(x) - 1, _POINTS).astype(int))
        mean = _running_mean(values, span)[keep]
        ax.plot(x[keep], mean, color=INK, label=f"training, mean of {span} updates")


def _draw_validation(ax: Axes, x: NDArray, history: History) -> None:
    """The loss after each epoch, with a star and its value at the best one."""
    best = history.best
    if best is None:
        return
    marker = "o" if len(x) <= 60 else None
    label = "validation, each epoch"
    ax.plot(x, history.validation_loss, color=ACCENT, marker=marker, markersize=3.5, label=label)
    at, label = (x[best.epoch - 1], best.loss), f"best validation, epoch {best.epoch}"
    star = {"marker": "*", "markersize": 14, "markeredgecolor": "white", "linestyle": "none"}
    ax.plot(*at, color=ACCENT, label=label, zorder=5, **star)
    above = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center"}
    ax.annotate(f"{best.loss:.4g}", at, color=ACCENT, bbox=BEHIND_TEXT, **above)


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
        line = ax.axhline(clip_norm, color=ACCENT, linestyle="--", linewidth=1.2, label=label)
        above = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0}
        ax.legend(handles=[line], frameon=False, **above).set_in_layout(False)


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
