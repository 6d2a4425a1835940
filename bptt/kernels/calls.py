"""Calls of kernels from Python whose arguments have the same types every time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .compile import JIT

__all__ = ["Calls"]

Kernel = Callable[..., Any]


class Calls(dict[Kernel, Kernel]):
    """``calls[kernel](*args)`` is ``kernel(*args)``, for arguments of the same types every time.

    Numba looks up the types of all arguments at every call, of tuples number by number, which
    takes as long as a small product. Here it does so at the first call of each kernel alone, and
    nobody does at the later ones: so the arguments have to be arrays of the library's own making.
    A number may be of another type, as far as it can be converted.
    """

    def __missing__(self, kernel: Kernel) -> Kernel:
        return partial(self._call_first, kernel)

    def _call_first(self, kernel: Kernel, *args: Any) -> Any:
        result = kernel(*args)
        self[kernel] = _compiled(kernel, args) if JIT else kernel
        return result


def _compiled(kernel: Any, args: tuple[Any, ...]) -> Kernel:
    """What Numba runs for arguments like ``args``, which it has seen before."""
    types = tuple(kernel.typeof_pyval(arg) for arg in args)
    compiled: Kernel = kernel.overloads[types].entry_point
    return compiled
