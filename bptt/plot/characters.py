"""A text, coloured by what one unit does at each of its characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import numbers_of
from .colours import around_zero
from .signs import place_of_one, visible
from .style import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["characters"]

_CELL = (0.105, 0.2)
"""Inches across and down that a character gets in a new figure."""
_NARROWEST = 24
"""Columns that the title and the colour bar need."""


def characters(text: str, values: ArrayLike, ax: Axes | None = None, *, width: int = 60) -> Axes:
    """Draw a text with each character on the colour of one unit's activation.

    A unit that keeps track of something one can name - quotes, brackets, the length of the line -
    shows it (Karpathy, Johnson & Li 2015). Blue is below zero, red above. A line's end is written
    as ↵ and a tab as →.

    Parameters
    ----------
    text : T characters, those that the model read.
    values : (T,), such as ``histories(model, x)["1.h"][:, 0, unit]``.
    ax : where to draw; a new figure if None.
    width : characters after which a line is broken.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    ValueError : if ``text`` is empty, ``values`` has another length or shape, or ``width`` < 1.
    """
    shades = numbers_of("values", values).astype(float)
    if not text:
        raise ValueError("text must have at least one character, got none")
    if shades.shape != (len(text),):
        raise ValueError(
            f"values must be (T,), one for each of the {len(text)} characters, "
            f"got shape {shades.shape}"
        )
    if width < 1:
        raise ValueError(f"width must be at least 1, got {width}")
    rows, columns = _layout(text, width)
    shape = (int(rows[-1]) + 1, max(int(columns.max()) + 1, _NARROWEST))
    size = (_CELL[0] * shape[1] + 0.2, _CELL[1] * (shape[0] + 2) + 0.8)
    ax = new_axes(ax, size)
    page = np.full(shape, np.nan)
    page[rows, columns] = shades
    cmap, norm = around_zero(shades)
    image = ax.imshow(page, cmap=cmap, norm=norm, aspect=_CELL[1] / _CELL[0])
    ax.set_anchor("NW")
    ax.set_axis_off()
    ax.set_title("A unit's activation", loc="left")
    bar = ax.inset_axes((0, -1.2 / shape[0], _NARROWEST / shape[1], 0.7 / shape[0]))
    ax.figure.colorbar(image, cax=bar, orientation="horizontal", label="activation")
    _write(ax, image, text, (rows, columns))
    return ax


def _layout(text: str, width: int) -> tuple[NDArray, NDArray]:
    """(T,) rows and columns: a new row after each line's end and after ``width`` characters."""
    rows, columns = np.zeros((2, len(text)), int)
    row = column = 0
    for i, character in enumerate(text):
        if column == width:
            row, column = row + 1, 0
        rows[i], columns[i] = row, column
        column += 1
        if character == "\n":
            row, column = row + 1, 0
    return rows, columns


def _write(ax: Axes, image: AxesImage, text: str, at: tuple[NDArray, NDArray]) -> None:
    """The characters, as large as their cells allow, light on dark."""
    across, down = place_of_one(ax)
    style = {"family": "monospace", "fontsize": min(1.4 * across, 0.72 * down)}
    middle = {"ha": "center", "va": "center_baseline", "parse_math": False}
    values = image.get_array()[at]
    light = image.cmap(image.norm(values))[:, :3] @ [0.299, 0.587, 0.114] > 0.55
    for character, row, column, on_light in zip(text, *at, light, strict=True):
        if character != " ":
            colour = "black" if on_light else "white"
            ax.text(column, row, visible(character), color=colour, **style, **middle)
