"""What goes with the two directions of a layer, by name: the reverse one's end with `REVERSE`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

__all__ = ["REVERSE", "apart", "both", "joined"]

T = TypeVar("T")
REVERSE = "_reverse"


def joined(ahead: Mapping[str, T], reverse: Mapping[str, T]) -> dict[str, T]:
    """What each direction has, under the names of both."""
    return {**ahead, **{name + REVERSE: of for name, of in reverse.items()}}


def both(one: Mapping[str, T]) -> dict[str, T]:
    """The same for both directions."""
    return joined(one, one)


def apart(named: Mapping[str, T]) -> tuple[dict[str, T], dict[str, T]]:
    """What each direction has, as the layer inside calls it."""
    ahead, reverse = {}, {}
    for name, of in named.items():
        if name.endswith(REVERSE):
            reverse[name.removesuffix(REVERSE)] = of
        else:
            ahead[name] = of
    return ahead, reverse
