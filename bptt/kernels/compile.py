"""The ``@kernel`` decorators: njit options, the on-disk cache and its freshness."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import event
from numba.core.caching import FunctionCache

__all__ = ["JIT", "allocating_kernel", "apart_kernel", "kernel", "piece", "summing_kernel"]

JIT = not numba.config.DISABLE_JIT
"""False under ``NUMBA_DISABLE_JIT=1``: kernels then run as plain Python on NumPy."""

_PACKAGE = Path(__file__).resolve().parent.parent


@cache
def _kernel_sources() -> bytes:
    """Digest of every file whose code can be compiled into a kernel.

    Numba looks only at the file of the function itself, and so would go on using a kernel whose
    inlined parts have changed in another file.
    """
    digest = hashlib.sha256()
    for folder in ("kernels", "layers"):
        for path in sorted((_PACKAGE / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.digest()


class _KernelCache(FunctionCache):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = (self._cache_file._source_stamp, _kernel_sources())

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The kernel from the disk, or None.

        An index that cannot be read, such as one that names a class of an older version, is as
        good as none.
        """
        try:
            return super().load_overload(signature, target_context)
        except Exception:
            self.flush()
            return None


class _Announcer(event.Listener):
    """Says once that compiling goes on, so that the first minute does not look like a hang."""

    said = False

    def on_start(self, event: event.Event) -> None:
        function = event.data["dispatcher"].py_func
        if not self.said and (function.__module__ or "").startswith("bptt."):
            self.said = True
            print("bptt: compiling kernels for this machine (once) ...", file=sys.stderr)

    def on_end(self, event: event.Event) -> None:
        """Nothing to say."""


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function`` at its first call: nogil, cached on disk, C semantics of division.

    ``contract`` lets the compiler fuse a*b+c. Nothing that could hide a NaN or reorder a sum
    is allowed.

    Arrays are borrowed from the caller. Numba would count references to them at every call and
    view, atomically, which took 20 to 40 % of a small step's time; in return a kernel cannot make
    arrays. One that has to is an `allocating_kernel`.

    Called by another kernel it becomes a part of that one. Else all its arrays would be written to
    memory at every call and read again: a fifth of the time of a loop over small steps.
    """
    return _compiled(function)


def apart_kernel(function: Callable[..., Any]) -> Any:
    """As `kernel`, but that others call it: for what takes long to compile, and long to run.

    Kernels alone may: what Python calls is not compiled, and the process would crash.
    """
    return _compiled(function, inlined=False)


def piece(function: Callable[..., Any]) -> Any:
    """A part of kernels alone: its lines are copied into each that calls it.

    As a `kernel` it would be compiled once more by itself, for nobody.
    """
    return _compiled(function, copied=True)


def summing_kernel(function: Callable[..., Any]) -> Any:
    """As `kernel`, but that the compiler may choose the order of a sum, the same at every call.

    One in the order of the source would wait for every addition.
    """
    return _compiled(function, reorders=("reassoc", "nsz"))


def allocating_kernel(function: Callable[..., Any]) -> Any:
    """As `kernel`, for a function that makes arrays for its own use."""
    return _compiled(function, counts_references=True)


def _compiled(
    function: Callable[..., Any],
    reorders: tuple[str, ...] = (),
    counts_references: bool = False,
    inlined: bool = True,
    copied: bool = False,
) -> Any:
    if not JIT:
        return function
    dispatcher = numba.njit(
        nogil=True,
        error_model="numpy",
        fastmath={"contract", *reorders},
        _nrt=counts_references,
        # Nobody needs the one; the other, as long to compile as a short kernel, is for Python.
        no_cfunc_wrapper=True,
        no_cpython_wrapper=not inlined,
        # Both are said in any case: what is not, Numba takes from the kernel that calls this one.
        forceinline=inlined and not copied,
        inline="always" if copied else "never",
    )(function)
    with suppress(RuntimeError):  # There is no place to write to: compile in every process.
        dispatcher._cache = _KernelCache(function)
    dispatcher.entries = {}
    """What `Calls` run, by the kinds of arguments."""
    return dispatcher


if JIT:
    event.register("numba:compile", _Announcer())
