"""How fast small changes of the state grow or die out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .panels import panels
from .style import ACCENT, BEHIND_TEXT, INK, by_depth, dress, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..spectrum import JacobianSpectrum

__all__ = ["lyapunov"]

_FARTHEST = 1e150
"""Far beyond it the ticks of a logarithmic axis are no numbers any more."""


def lyapunov(spectrum: JacobianSpectrum, ax: Axes | None = None) -> Axes:
    """Draw the Lyapunov exponents in order, and beside them the Jacobian's singular values over k.

    Where the largest exponent λ₁ is below zero, gradients vanish on the long run; above, they
    explode. The singular values of the whole state's Jacobian over k steps tell it step by step:
    largest, median and smallest. What is below the rounding of the largest is left out, and what is
    not between 1e-150 and 1e150. Where a sequence begins they start again.

    The place of ``ax`` is shared between two panels; the right one is the figure's newest Axes.

    Parameters
    ----------
    spectrum : what `bptt.jacobian_spectrum` returned.
    ax : where to draw; a new figure if None. The exponents' panel is returned.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    TypeError : if ``spectrum`` is something else.
    """
    for name in ("lyapunov", "state_values"):
        if not hasattr(spectrum, name):
            raise TypeError(
                f"spectrum must be what jacobian_spectrum returned, got {type(spectrum).__name__}"
            )
    ax = new_axes(ax, (9.0, 4.0))
    beside = panels(ax, (1,), 2, labelled=True)[0, 1]
    _draw_exponents(ax, spectrum)
    _draw_singular_values(beside, spectrum)
    return ax


def _draw_exponents(ax: Axes, spectrum: JacobianSpectrum) -> None:
    exponents = spectrum.lyapunov
    number = np.arange(1, len(exponents) + 1)
    drawn = np.where(np.isfinite(exponents), exponents, np.nan)
    ax.axhline(0, color=ACCENT, linestyle="--", linewidth=1.2)
    marker = "o" if len(number) <= 100 else "."
    ax.plot(number, drawn, color=INK, marker=marker, markersize=3.5)
    dress(ax, "Lyapunov exponents")
    ax.set_xlabel("exponent, in order")
    ax.set_ylabel("growth per step (natural log)")
    first = {"xytext": (10, 8), "textcoords": "offset points", "color": INK, "bbox": BEHIND_TEXT}
    if np.isfinite(exponents[0]):
        ax.annotate(f"λ₁ = {exponents[0]:.3g}", (1, exponents[0]), **first)
    ax.margins(y=0.12)
    missing = len(exponents) - np.isfinite(exponents).sum()
    if missing:
        said = f"{missing} of {len(exponents)} are -∞"
        ax.text(0.03, 0.04, said, transform=ax.transAxes, bbox=BEHIND_TEXT)


def _draw_singular_values(ax: Axes, spectrum: JacobianSpectrum) -> None:
    values = spectrum.state_values
    k = np.arange(1, len(values) + 1)
    rounding = values.shape[1] * np.finfo(float).eps
    drawn = (values > rounding * values[:, :1]) & (values > 1 / _FARTHEST) & (values < _FARTHEST)
    seen = np.where(drawn, values, np.nan)
    ax.set_yscale("log")
    lines = {"largest": seen[:, 0]}
    if values.shape[1] > 2:
        lines["median"] = seen[:, values.shape[1] // 2]
    if values.shape[1] > 1:
        lines["smallest"] = seen[:, -1]
    marker = "o" if len(k) <= 60 else None
    for (name, line), colour in zip(lines.items(), by_depth(len(lines)), strict=True):
        label = name if np.isfinite(line).any() else f"{name} (all zero)"
        ax.plot(k, line, color=colour, marker=marker, markersize=3.5, label=label)
    dress(ax, "Singular values of the Jacobian")
    ax.set_xlabel("steps, k")
    ax.set_ylabel("singular value")
    ax.legend(frameon=False)
