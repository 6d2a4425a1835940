"""Checks of numbers that users give, each with one clear error."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from numbers import Real

import numpy as np

__all__ = [
    "check_amount",
    "check_bound",
    "check_count",
    "check_flag",
    "check_fraction",
    "check_held",
    "check_kind",
    "check_lag",
    "check_natural",
    "check_numbers",
    "check_path",
    "check_seed",
    "check_share",
    "check_watch",
    "check_word",
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
    if not _is_integer(value) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return int(value)


def check_flag(name: str, value: bool) -> None:
    """Refuse what is neither True nor False.

    Raises
    ------
    ValueError : naming it.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")


def check_fraction(name: str, value: float) -> None:
    """Refuse what is not a number from 0 to below 1.

    Raises
    ------
    ValueError : naming it.
    """
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value!r}")


def check_held(name: str, value: object, dtype: np.dtype) -> None:
    """Refuse a finite number that is infinite in ``dtype``, or 0 without being 0; and let pass what
    is no number.

    Raises
    ------
    ValueError : naming it.
    """
    if not is_number(value) or not 0 < abs(value) < math.inf:
        return
    with np.errstate(over="ignore", under="ignore"):
        held = dtype.type(value)
    if held == 0 or np.isinf(held):
        raise ValueError(f"{name} is {value!r}, which is {held} in {dtype}")


def check_numbers(policy: object, dtype: np.dtype) -> None:
    """`check_held` for all that a policy has.

    Raises
    ------
    ValueError : naming one that the dtype does not hold.
    """
    for name, value in vars(policy).items():
        check_held(f"{name} of {type(policy).__name__}", value, dtype)


def check_kind(name: str, value: object, kind: type | tuple[type, ...]) -> None:
    """Refuse what is no object of that kind, or of one of several.

    Raises
    ------
    TypeError : naming it, the kind, and what came.
    """
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        words = " or ".join(k.__name__ for k in kinds)
        raise TypeError(f"{name} must be a {words}, got {value!r}")


def check_lag(name: str, value: float) -> None:
    """Refuse what is not a finite number of steps above 2.

    Raises
    ------
    ValueError : naming it.
    """
    if not is_number(value) or not 2 < value < math.inf:
        raise ValueError(f"{name} must be a finite number above 2, got {value!r}")


def check_natural(name: str, value: int) -> int:
    """``value`` as an int.

    Raises
    ------
    ValueError : if it is not an integer from 0 on.
    """
    if not _is_integer(value) or value < 0:
        raise ValueError(f"{name} must be an integer from 0 on, got {value!r}")
    return int(value)


def check_path(name: str, path: str | bytes | os.PathLike[str]) -> str:
    """``path`` as a str.

    Raises
    ------
    TypeError : if it is neither a str, bytes nor a path.
    """
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(f"{name} must be a str or a path, got {path!r}")
    return os.fsdecode(path)


def check_seed(seed: int) -> int:
    """``seed`` as an int.

    Raises
    ------
    ValueError : if it is not an integer from 0 to 2**64 - 1: so many differ in what they draw.
    """
    if not _is_integer(seed) or not 0 <= seed < 2**64:
        raise ValueError(f"seed must be a non-negative integer of at most 64 bits, got {seed!r}")
    return int(seed)


def check_watch(watch: str) -> None:
    """Refuse what is not the name of a loss that an epoch has.

    Raises
    ------
    ValueError : saying what came.
    """
    check_word("watch", watch, ("validation", "training"))


def check_word(name: str, value: str, words: Iterable[str]) -> None:
    """Refuse what is none of ``words``.

    Raises
    ------
    ValueError : naming it, and them.
    """
    if not isinstance(value, str) or value not in words:
        *known, last = map(repr, words)
        raise ValueError(f"{name} must be {', '.join(known)} or {last}, got {value!r}")


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
    if workers is not None and (not _is_integer(workers) or workers < 1):
        raise ValueError(f"workers must be a positive integer or None, got {workers!r}")


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
