"""What truncation misses, over the length of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..checks import check_kind
from ..report import TruncationReport
from .style import ACCENT, BEHIND_TEXT, PALE, by_depth, dress, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["truncation_report"]

_ROUNDING = 1e-4
"""Errors below come from float32."""


def truncation_report(report: TruncationReport, ax: Axes | None = None) -> Axes:
    """Draw the relative error of truncated gradients over their windows.

    The error in all is bold, that of each layer thin; dashed is the bound from the decay of the
    error, dotted the tolerance; a ring marks the recommended window. Windows with k1 < k2 are
    squares, beside the dots of those with k1 = k2. Layers above the topmost recurrent one, whose
    gradient truncation does not touch, are left out.

    Parameters
    ----------
    report : what `bptt.truncation_report` returned.
    ax : where to draw; a new figure if None.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    """
    check_kind("report", report, TruncationReport)
    ax = new_axes(ax, (8.5, 4.4))
    k1, k2 = np.array(report.windows).T
    chunks = k1 == k2
    layers = [n for n in report.error if n != "all" and np.nanmax(report.error[n]) > _ROUNDING]
    for name, colour in zip(layers, by_depth(len(layers)), strict=True):
        _draw(
            ax, k2, report.error[name], chunks, color=colour, linewidth=0.9, label=f"layer {name}"
        )
    bound = np.where(np.isfinite(report.bound), report.bound, np.nan)
    _draw(ax, k2, bound, chunks, color=PALE, linestyle="--", label="bound from the decay")
    _draw(ax, k2, report.error["all"], chunks, color="black", linewidth=2.4, label="all parameters")
    for i in np.flatnonzero(~chunks):
        at = (k2[i], report.error["all"][i])
        beside = {"xytext": (7, 0), "textcoords": "offset points", "va": "center"}
        ax.annotate(f"k1 = {k1[i]}", at, fontsize="small", bbox=BEHIND_TEXT, **beside)
    line = {"color": ACCENT, "linestyle": ":", "linewidth": 1.4}
    ax.axhline(report.tolerance, label=f"tolerance, {report.tolerance:.0%}", **line)
    if report.recommended is not None:
        i = report.windows.index(report.recommended)
        ring = {"marker": "o", "markersize": 14, "markerfacecolor": "none", "linestyle": "none"}
        label = "recommended, k1 = {}, k2 = {}".format(*report.recommended)
        ax.plot(k2[i], report.error["all"][i], color=ACCENT, label=label, **ring)
    ax.set_xscale("log")
    ax.set_yscale("log")
    dress(ax, f"Error of the truncated gradient ({report.steps:,} steps, {report.lanes} lanes)")
    ticks = np.unique(k2)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.margins(x=0.08)
    ax.set_xlabel("window, k2 (steps)")
    ax.set_ylabel("‖truncated - full‖ / ‖full‖")
    ax.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(1, 0))
    return ax


def _draw(ax: Axes, k2: NDArray, values: NDArray, chunks: NDArray, **style: object) -> None:
    """A line through the windows with k1 = k2 in order, and squares for the others."""
    order = np.flatnonzero(chunks)[np.argsort(k2[chunks], kind="stable")]
    ax.plot(k2[order], values[order], marker="o", markersize=4, **style)
    if not chunks.all():
        mark = {"marker": "s", "markersize": 5, "linestyle": "none", "markerfacecolor": "none"}
        ax.plot(k2[~chunks], values[~chunks], color=style["color"], **mark)
