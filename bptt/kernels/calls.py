"""Calls of kernels from Python, which may be listed first, and made again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import numpy as np

from .compile import JIT

__all__ = ["Call", "Calls", "Known", "perform"]

Kernel = Callable[..., Any]
Call = Callable[[], object]
"""It does the same every time, to what its arrays then hold."""
Made = TypeVar("Made")
_MOST = 256
"""Of what was made: more than there are places for a window that slides over 100 steps."""


class Calls:
    """``calls.bind(kernel, *args)()`` is ``kernel(*args)``, for arguments of the same types always.

    Numba looks up the types of all arguments at every call, of tuples number by number, which
    takes as long as a small product. Here it does so for the first call of each kernel alone, and
    nobody does for the later ones: so the arguments have to be arrays of the library's own making.
    A number may be of another type, as far as it can be converted.
    """

    def __init__(self) -> None:
        self._known: dict[Kernel, Kernel] = {}

    def bind(self, kernel: Kernel, *args: Any) -> Call:
        """The call of ``kernel``, which is compiled now if it was not."""
        known = self._known.get(kernel)
        if known is None:
            known = self._known[kernel] = _compiled(kernel, args) if JIT else kernel
        return partial(known, *args)


class Known(dict[tuple[object, ...], Made]):
    """What was made before, by what it depends on; looked up as in any dictionary."""

    def keep(self, key: tuple[object, ...], made: Made) -> Made:
        """``made``, kept; what was kept before it is forgotten if that is too much."""
        if len(self) == _MOST:
            self.clear()
        self[key] = made
        return made


def perform(calls: Iterable[Call]) -> None:
    """Make them one after the other."""
    for call in calls:
        call()


def _compiled(kernel: Any, args: tuple[Any, ...]) -> Kernel:
    """What Numba runs for arguments like ``args``; asked only for kinds that are new to it.

    Its own answer takes a tenth of a millisecond, and whoever makes a new window, as
    `value_and_grad` does at every call, lists ten kernels or more.
    """
    kinds = _kind(args)
    compiled: Kernel | None = kernel.entries.get(kinds)
    if compiled is None:
        types = tuple(kernel.typeof_pyval(arg) for arg in args)
        kernel.compile(types)
        compiled = kernel.entries[kinds] = kernel.overloads[types].entry_point
    return compiled


def _kind(value: Any) -> object:
    """What Numba's type of ``value`` follows from."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.ndim, value.flags.num
    if isinstance(value, tuple):
        return type(value), *map(_kind, value)
    return type(value)
