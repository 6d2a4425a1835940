"""The error of one loss on its way back, as a film."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..flow import GradientFlow
from .heat import clipped, last_lag
from .lags import chosen, given_flow, lane_mean, symbol
from .style import ACCENT, INK, dress, layer, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["animate_flow"]

_FRAMES = 100
"""At most; longer flows go back several steps a frame."""
_FLOOR = 0.5
"""Of the smallest norm, where the bars stand on the log axis."""


def animate_flow(
    flow: GradientFlow,
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    t: int | None = None,
    fps: float = 12,
) -> Path:
    """Write a GIF of the error of one loss as it goes back through time, lag by lag.

    Bars are ‖∂ℓ_t/∂h_{t-k}‖ over the step t - k, on a log scale down to 1e-8 of the highest; the
    film ends where all that follow are lower. The last picture stays for a second.

    Parameters
    ----------
    flow : what `bptt.gradient_flow` returned; norms are averaged over lanes.
    path : of the file, ending in ``.gif``; one that exists is replaced.
    name : of the norms, such as ``"1.c"``; h of the topmost recurrent layer if None.
    t : step of the loss; the last one that has a loss if None.
    fps : pictures a second.

    Returns
    -------
    Path : of the file.

    Raises
    ------
    ImportError : if matplotlib or Pillow is not installed.
    TypeError : if ``flow`` is not a `GradientFlow`.
    ValueError : if ``flow`` has no norms of that ``name``, step ``t`` has no loss, ``path`` does
        not end in ``.gif``, or ``fps`` is not positive.
    """
    name = chosen(given_flow(flow), name)
    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise ValueError(f"path must end in .gif, got {str(path)!r}")
    if not fps > 0:
        raise ValueError(f"fps must be positive, got {fps!r}")
    t, norms = _of_loss(lane_mean(flow, name), t)
    ax = new_axes(None, (7.5, 4.2))
    from matplotlib import pyplot

    try:
        writer = _writer(fps)
        frames = _film(ax, t, norms, name, flow.window)
        next(frames)
        ax.figure.canvas.draw()
        ax.figure.set_layout_engine(None)
        with writer.saving(ax.figure, path, dpi=100):
            for held in frames:
                for _ in range(max(1, round(fps)) if held else 1):
                    writer.grab_frame()
    finally:
        pyplot.close(ax.figure)
    return path


def _writer(fps: float) -> object:
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise ImportError("animate_flow needs Pillow: pip install pillow") from error
    from matplotlib.animation import PillowWriter

    return PillowWriter(fps=fps)


def _of_loss(norms: NDArray, t: int | None) -> tuple[int, NDArray]:
    """Step of the loss, and (lags,) its norms."""
    losses = np.flatnonzero(~np.isnan(norms[:, 0]))
    if not losses.size:
        raise ValueError("flow has no loss to draw")
    t = int(losses[-1]) if t is None else t
    if t not in losses:
        raise ValueError(f"t must be a step with a loss, {losses[0]} to {losses[-1]}, got {t!r}")
    found = norms[int(t)]
    return int(t), found[~np.isnan(found)]


def _film(ax: Axes, t: int, norms: NDArray, name: str, window: int | None) -> Iterator[bool]:
    """Prepare the Axes, and then draw picture after picture; whether it is the last one.

    norms : (lags,), of the loss at step t.
    """
    drawn, low, high = clipped(norms)
    last = last_lag(norms, low)
    floor = low * _FLOOR
    total = norms.sum()
    held = np.cumsum(norms) / total if total > 0 else np.ones(len(norms))
    edges = t + 0.5 - np.arange(last + 2)[::-1]
    bars = np.full(last + 1, np.nan)
    style = {"baseline": floor, "fill": True, "edgecolor": "white", "linewidth": 0.5}
    behind = ax.stairs(bars, edges, facecolor=INK, **style)
    front = ax.stairs(bars, edges, facecolor=ACCENT, **style)
    _prepare(ax, t, last, name)
    ax.set_ylim(floor, high * (high / floor) ** 0.06)
    if window is not None and window <= last:
        line = {"color": "0.4", "linestyle": "--", "linewidth": 1.2}
        ax.axvline(t - window + 0.5, label=f"window, k2 = {window}", **line)
        ax.legend(loc="upper left", framealpha=0.8, edgecolor="none")
    lags = np.unique(np.linspace(0, last, min(last + 1, _FRAMES)).astype(int))
    ax.set_title(_title(name, last, "100.0%"), loc="left")
    yield False
    for k in lags:
        lag = np.arange(last, -1, -1)
        newest_last = np.where(norms > 0, drawn, np.nan)[last::-1]
        behind.set_data(np.where(lag < k, newest_last, np.nan))
        front.set_data(np.where(lag == k, newest_last, np.nan))
        share = "over 99.9%" if k < last and held[k] >= 0.9995 else f"{held[k]:.1%}"
        ax.set_title(_title(name, int(k), share), loc="left")
        yield bool(k == last)


def _prepare(ax: Axes, t: int, last: int, name: str) -> None:
    ax.set_yscale("log")
    ax.minorticks_off()
    dress(ax)
    ax.set_xlim(t - last - 0.5, t + 0.5)
    ax.set_xlabel(f"step t - k; the loss is that of step t = {t}")
    ax.set_ylabel(symbol([name]))


def _title(name: str, lag: int, share: str) -> str:
    return f"Backward through time, {layer(name)}: lag {lag}, {share} of the summed flow"
