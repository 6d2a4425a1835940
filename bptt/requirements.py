"""The oldest versions of other packages that do; pip sees to them, other installers may not."""

from __future__ import annotations

import re
from importlib import import_module

__all__ = ["OLDEST", "check_version"]

OLDEST = {
    "numpy": "2.0",
    "numba": "0.61",
    "matplotlib": "3.10.7",
    "tqdm": "4.60",
    "safetensors": "0.4.4",
}


def check_version(package: str) -> None:
    """Refuse a ``package`` that is older than it may be.

    Raises
    ------
    ImportError : naming both versions.
    """
    found, oldest = import_module(package).__version__, OLDEST[package]
    if _numbers(found) < _numbers(oldest):
        raise ImportError(f"bptt needs {package} {oldest} or newer, but {found} is installed")


def _numbers(version: str) -> list[int]:
    """Of a version, such as [2, 0] for "2.0rc1"."""
    return [int(number) for number in re.match(r"\d+(\.\d+)*", version)[0].split(".")]
