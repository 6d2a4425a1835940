"""Layers that read a sequence from both ends, and so have to have all of it at once."""

from __future__ import annotations

from collections.abc import Iterable

from .base import Layer

__all__ = ["check_whole"]


def check_whole(layers: Iterable[Layer], cut: str) -> None:
    """Refuse what would cut a sequence, if one of ``layers`` reads whole ones.

    cut : what would, and what to do instead.

    Raises
    ------
    ValueError : naming the layer.
    """
    for layer in layers:
        if layer.whole:
            raise ValueError(f"{layer} reads whole sequences, but {cut}")
