"""Checks of numbers that users give, each with one clear error."""

from __future__ import annotations

import math
import os
from numbers import Real

import numpy as np

__all__ = [
    "check_amount",
    "check_bound",
    "check_count",
    "check_fraction",
    "check_natural",
    "check_path",
    "check_seed",
    "check_share",
    "check_watch",
    "check_workers",
    "is_number",
]


def check_amount(name: str, value: float) -> None:
    """Refuse what is not a finite number from 0 on.

    Raises
    ------
    ValueError : naming it.
    """
    if not is_number(value) or not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a number from 0 on, got {value!r}")


def check_bound(name: str, value: float) -> None:
    """Refuse a bound that is not a positive number.

    Raises
    ------
    ValueError : naming it.
    """
    if not is_number(value) or not value > 0:
        raise ValueError(f"{name} must be a positive number, got {value!r}")


def check_count(name: str, value: int) -> int:
    """``value`` as an int.

    Raises
    ------
    ValueError : if it is not a positive integer.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return int(value)


def check_fraction(name: str, value: float) -> None:
    """Refuse what is not a number from 0 to below 1.

    Raises
    ------
    ValueError : naming it.
    """
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value!r}")


def check_natural(name: str, value: int) -> int:
    """``value`` as an int.

    Raises
    ------
    ValueError : if it is not an integer from 0 on.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ValueError(f"{name} must be an integer from 0 on, got {value!r}")
    return int(value)


def check_path(name: str, path: str | os.PathLike[str]) -> str:
    """``path`` as a str.

    Raises
    ------
    TypeError : if it is neither a str nor a path.
    """
    given = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(given, str):
        raise TypeError(f"{name} must be a str or a path, got {path!r}")
    return given


def check_seed(seed: int) -> None:
    """Refuse a seed that is not a non-negative integer.

    Raises
    ------
    ValueError : saying what came.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a non-negative integer, got {seed!r}")


def check_watch(watch: str) -> None:
    """Refuse what is not the name of a loss that an epoch has.

    Raises
    ------
    ValueError : saying what came.
    """
    if watch not in ("validation", "training"):
        raise ValueError(f"watch must be 'validation' or 'training', got {watch!r}")


def check_share(name: str, value: float) -> None:
    """Refuse what is not a number above 0 and up to 1.

    Raises
    ------
    ValueError : naming it.
    """
    if not is_number(value) or not 0 < value <= 1:
        raise ValueError(f"{name} must be in (0, 1], got {value!r}")


def is_number(value: float) -> bool:
    """Whether ``value`` is a real number, and not True or False."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_workers(workers: int | None) -> None:
    """Refuse a number of workers that is not a positive integer or None.

    Raises
    ------
    ValueError : saying what came.
    """
    if workers is None:
        return
    if isinstance(workers, bool) or not isinstance(workers, int | np.integer) or workers < 1:
        raise ValueError(f"workers must be a positive integer or None, got {workers!r}")
