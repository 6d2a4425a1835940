"""What every unit does over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import numbers_of
from ..checks import check_natural
from .colours import around_zero, from_zero
from .signs import place_of_one, visible
from .style import dress, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["activations"]

_CHARACTER = 0.1
"""Inches from one character beneath the picture to the next."""


def activations(
    values: ArrayLike, ax: Axes | None = None, *, lane: int = 0, text: str | None = None
) -> Axes:
    """Draw the activation of every unit at every step, as a map of unit × time.

    Signed values are blue below and red above zero; values that are nowhere negative, such as those
    of sigmoid gates, go from dark at 0 to bright.

    Parameters
    ----------
    values : (T, B, H), such as ``histories(model, x)["1.h"]``, or (T, H).
    ax : where to draw; a new figure if None.
    lane : which of the B lanes.
    text : T characters, those that the model read, written beneath their steps.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    ValueError : if ``values`` is empty or of another shape, there is no such lane, or ``text`` is
        not of T characters.
    """
    units = _one_lane(values, lane)
    steps, count = units.shape
    if text is not None and len(text) != steps:
        raise ValueError(
            f"text must have a character for each of the {steps} steps, got {len(text)} characters"
        )
    width = 7.5 if text is None else min(max(7.5, _CHARACTER * steps + 1.5), 20)
    ax = new_axes(ax, (width, min(max(2.4, 0.07 * count + 1.4), 6)))
    cmap, norm = around_zero(units) if (units < 0).any() else from_zero(units)
    image = ax.imshow(units.T, aspect="auto", cmap=cmap, norm=norm)
    ax.figure.colorbar(image, ax=ax, label="activation", pad=0.02)
    dress(ax, "Activations")
    ax.grid(visible=False)
    _whole_ticks(ax)
    ax.set_ylabel("unit")
    ax.set_xlabel("step" if text is None else "step, and the character read")
    if text is not None:
        _write_beneath(ax, text)
    return ax


def _one_lane(values: ArrayLike, lane: int) -> NDArray:
    """(T, H) floats."""
    given = numbers_of("values", values).astype(float)
    if given.ndim not in (2, 3) or not given.size:
        raise ValueError(f"values must be (T, B, H) or (T, H), got shape {given.shape}")
    if given.ndim == 2:
        given = given[:, np.newaxis]
    if not check_natural("lane", lane) < given.shape[1]:
        raise ValueError(f"lane must be below {given.shape[1]}, got {lane}")
    return given[:, lane]


def _whole_ticks(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))


def _write_beneath(ax: Axes, text: str) -> None:
    """Each character at its step, as large as fits between its neighbours."""
    size = min(10, 1.5 * place_of_one(ax)[0])
    style = {"family": "monospace", "fontsize": size, "parse_math": False}
    signs = [visible(character) for character in text]
    ax.xaxis.remove_overlapping_locs = False
    ax.set_xticks(np.arange(len(text)), signs, minor=True, **style)
    ax.tick_params(axis="x", which="minor", length=0, pad=2)
    ax.tick_params(axis="x", which="major", length=0, pad=15)
