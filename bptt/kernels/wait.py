"""Waiting for another thread, awake and without the interpreter, for a moment."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .compile import JIT, kernel
from .vector import address, vector_op

__all__ = ["LOOKS", "await_change"]

LOOKS = 4000 if JIT else 0
"""So many take 50 to 200 us, about as long as it takes to be woken."""


@vector_op(lambda count: count[0])
def _look(typing_context: Any, count: Any) -> Any:
    """``count[0]`` as other threads left it, after a pause that spares the core's other thread."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if builder.module.triple.startswith(("x86_64", "i686")):
            kind = ir.FunctionType(ir.VoidType(), [])
            pause = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause")
            builder.call(pause, [])
        pointer = address(context, builder, signature.args[0], args[0], ir.IntType(64)(0))
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(count), emit


@kernel
def await_change(count, known, looks, more):
    """Return when ``count[0]``, (1,) int64, is not ``known``, and ``more`` looks after that; or
    after so many ``looks``."""
    for _ in range(looks):
        if _look(count) != known:
            for _ in range(more):
                _look(count)
            return
