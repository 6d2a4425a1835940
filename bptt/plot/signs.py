"""Characters in a picture: each can be seen, and fits its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["place_of_one", "visible"]

_SIGNS = {"\n": "↵", "\t": "→"}


def visible(character: str) -> str:
    """The character, or a sign for one that has no shape: a line's end, a tab, a control code."""
    return _SIGNS.get(character, character if character.isprintable() else "�")


def place_of_one(ax: Axes) -> tuple[float, float]:
    """How many points one unit of data is across and down, once the figure is laid out."""
    ax.figure.draw_without_rendering()
    size = abs(ax.transData.transform((1, 1)) - ax.transData.transform((0, 0)))
    return tuple(size * 72 / ax.figure.dpi)
