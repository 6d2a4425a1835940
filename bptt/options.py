"""What layers and policies are made of: options, as plain Python values."""

from __future__ import annotations

from abc import ABCMeta
from numbers import Real
from typing import Any

import numpy as np

__all__ = ["Options"]


class _TakesPlain(ABCMeta):
    """Classes that are called with plain values, whatever numbers a caller has."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        plain = {name: _plain(value) for name, value in options.items()}
        return super().__call__(*map(_plain, args), **plain)


class Options(metaclass=_TakesPlain):
    """The base of frozen dataclasses that a file holds by name and arguments.

    Numbers of NumPy's, and others that are neither int nor float, become Python's before anything
    looks at them: an `np.uint8` would wrap around in a product of sizes, and no file could hold an
    `np.float32`.
    """


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Real) and not isinstance(value, int | float):
        return float(value)
    return value
