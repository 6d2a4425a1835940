"""Layers, losses and policies as plain words, for files: a class's name and its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from .errors import FileFormatError

__all__ = ["build", "describe"]


def describe(thing: Any) -> Any:
    """A frozen dataclass as ``{"type": name, argument: value, ...}``; plain values as they are."""
    if not is_dataclass(thing):
        return thing
    arguments = {field.name: describe(getattr(thing, field.name)) for field in fields(thing)}
    return {"type": type(thing).__name__, **arguments}


def build(config: Any, known: Mapping[str, type]) -> Any:
    """What `describe` described, if its class is among ``known``.

    Raises
    ------
    FileFormatError : if a class is not known, or does not take the arguments.
    """
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
