"""Gradients and updates of every parameter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .panels import panels
from .style import ACCENT, BEHIND_TEXT, INK, PALE, dress, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..watch import Watch

__all__ = ["parameters"]

_USUAL = -3
"""log₁₀ of the update by the weight at which training usually goes well."""
_LETTER = 6.5
"""Points across that a letter of a name takes."""


def parameters(watch: Watch, ax: Axes | None = None) -> Axes:
    """Draw each parameter's mean and largest |gradient|, and beneath its update by its weight.

    Lower layers with far shorter bars are what vanishing gradients look like. The lower panel shows
    log₁₀ of the root mean square of the update by that of the weight: about -3 is usual, much less
    means a parameter that hardly learns, much more one that is thrown about. What is zero has no
    place on a log scale: a 0 stands there instead.

    The place of ``ax`` is shared between the two panels; the lower one is the figure's newest Axes.

    Parameters
    ----------
    watch : what `Trainer.watch` returned.
    ax : where to draw; a new figure if None. The gradients' panel is returned.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    TypeError : if ``watch`` is something else, such as the trainer's method itself.
    """
    found = getattr(watch, "parameters", None)
    if not found:
        raise TypeError(f"watch must be what Trainer.watch() returned, got {watch!r}")
    value, _, update, mean, largest = np.array(list(found.values()), float).T
    place = _places(list(found))
    ax = new_axes(ax, (max(7.5, 0.17 * place[-1]), 5.4))
    below = panels(ax, (5, 3))[1, 0]
    below.sharex(ax)
    _draw_gradients(ax, place, mean, largest)
    _draw_ratios(below, place, update, value)
    dress(ax, f"Gradients and updates of the parameters, update {watch.n}")
    dress(below)
    for panel in (ax, below):
        panel.grid(visible=False, axis="x")
    ax.tick_params(bottom=False, labelbottom=False)
    below.set_xlim(-0.8, place[-1] + 0.8)
    _name(below, place, list(found))
    return ax


def _places(names: Sequence[str]) -> NDArray:
    """Where each bar stands: side by side, with a gap between layers."""
    layers = [name.rpartition(".")[0] for name in names]
    gaps = np.cumsum([0, *(0.6 * (a != b) for a, b in pairwise(layers))])
    return np.arange(len(names)) + gaps


def _draw_gradients(ax: Axes, place: NDArray, mean: NDArray, largest: NDArray) -> None:
    """Two bars, one in the other, from the decade below the smallest up."""
    drawn = mean[mean > 0]
    floor = 10.0 ** np.floor(np.log10(drawn.min()) - 0.3) if len(drawn) else 0.1
    top = largest.max() * (largest.max() / floor) ** 0.25 if len(drawn) else 1.0
    for values, width, colour, label in (
        (largest, 0.8, PALE, "largest |gradient|"),
        (mean, 0.5, INK, "mean |gradient|"),
    ):
        height = np.where(values > 0, values - floor, np.nan)
        ax.bar(place, height, width, bottom=floor, color=colour, label=label)
    ax.set_yscale("log")
    ax.set_ylim(floor, top)
    _mark_zeros(ax, place[largest == 0])
    ax.set_ylabel("|gradient|, before clipping")
    ax.legend(frameon=False, ncols=2, loc="upper left")


def _draw_ratios(ax: Axes, place: NDArray, update: NDArray, value: NDArray) -> None:
    """Stems from the usual ratio, so that one sees who is above it and who below."""
    drawn = (update > 0) & (value > 0)
    ratio = np.full(len(place), np.nan)
    ratio[drawn] = np.log10(update[drawn] / value[drawn])
    ax.vlines(place, _USUAL, ratio, color=PALE, linewidth=3)
    ax.plot(place, ratio, color=INK, marker="o", linestyle="none", label="update / weight")
    ax.axhline(_USUAL, color=ACCENT, linestyle="--", linewidth=1.2)
    beside = {"color": ACCENT, "va": "center", "transform": ax.get_yaxis_transform()}
    ax.text(1.01, _USUAL, "1e-3", **beside)
    seen = ratio[drawn] if drawn.any() else np.array([_USUAL])
    ax.set_ylim(min(seen.min(), _USUAL - 1) - 0.2, max(seen.max(), _USUAL + 1) + 0.2)
    _mark_zeros(ax, place[update == 0])
    if np.isnan(update).all():
        said = "the optimizer does not say what it added"
        middle = {"ha": "center", "va": "center", "bbox": BEHIND_TEXT}
        ax.text(0.5, 0.75, said, transform=ax.transAxes, **middle)
    ax.set_ylabel("log₁₀(update / weight)")


def _name(ax: Axes, place: NDArray, names: Sequence[str]) -> None:
    """The names, turned if they do not fit beside each other."""
    between = 72 * ax.figure.get_figwidth() * ax.get_position().width / (place[-1] + 1.6)
    fit = (max(map(len, names)) + 1) * _LETTER < between
    ax.set_xticks(place, names, rotation=0 if fit else 90)


def _mark_zeros(ax: Axes, place: NDArray) -> None:
    for x in place:
        ax.annotate(
            "0",
            (x, 0),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
        )
