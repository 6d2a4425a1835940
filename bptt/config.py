"""Layers, losses and policies as plain words, for files: a class's name and its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from .errors import FileFormatError

__all__ = ["build", "describe"]


def describe(thing: Any, known: Mapping[str, type]) -> Any:
    """A frozen dataclass as ``{"type": name, argument: value, ...}``; plain values as they are, and
    several things as a list.

    Raises
    ------
    TypeError : if its class is not among ``known``, so that `build` could not make it again.
    """
    if isinstance(thing, np.generic):
        return thing.item()
    if isinstance(thing, list | tuple):
        return [describe(part, known) for part in thing]
    if not is_dataclass(thing):
        return thing
    name = type(thing).__name__
    if known.get(name) is not type(thing):
        raise TypeError(f"{thing!r} cannot be saved: {name} is none of {', '.join(known)}")
    values = {field.name: getattr(thing, field.name) for field in fields(thing)}
    return {"type": name, **{name: describe(value, known) for name, value in values.items()}}


def build(config: Any, known: Mapping[str, type]) -> Any:
    """What `describe` described, if its class is among ``known``.

    Raises
    ------
    FileFormatError : if a class is not known, or does not take the arguments.
    """
    if isinstance(config, list):
        return [build(part, known) for part in config]
    if not isinstance(config, dict):
        return config
    arguments = {name: build(value, known) for name, value in config.items() if name != "type"}
    name = config.get("type")
    if name not in known:
        raise FileFormatError(f"{name!r} is none of {', '.join(known)}")
    try:
        return known[name](**arguments)
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{name} cannot be made from {arguments}: {error}") from error
