"""What threads tell each other without the interpreter: numbers, and that one of them waits."""

from __future__ import annotations

import sys
import time
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .vector import address, vector_op

__all__ = ["give_way", "look", "pause", "tell"]

_ALIGNMENT = 8
"""Bytes that an access is aligned to: those of an int64."""


@vector_op(lambda marks, i: marks[i])
def look(typing_context: Any, marks: Any, i: Any) -> Any:
    """``marks[i]``, int64, as other threads left it, and all that they wrote before it."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = address(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(pointer, "acquire", _ALIGNMENT)

    return types.int64(marks, types.intp), emit


def _tell_plain(marks: Any, i: int, value: int) -> None:
    marks[i] = value


@vector_op(_tell_plain)
def tell(typing_context: Any, marks: Any, i: Any, value: Any) -> Any:
    """Write ``marks[i]``, int64, so that who `look`s at it sees all that was written before."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = address(context, builder, signature.args[0], args[0], args[1])
        builder.store_atomic(args[2], pointer, "release", _ALIGNMENT)
        return context.get_dummy_value()

    return types.none(marks, types.intp, types.int64), emit


@vector_op(lambda: time.sleep(0))
def pause(typing_context: Any) -> Any:
    """Wait for a moment, and spare the core's other thread."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if builder.module.triple.startswith(("x86_64", "i686")):
            _call(builder, "llvm.x86.sse2.pause", ir.VoidType())
        return context.get_dummy_value()

    return types.none(), emit


@vector_op(lambda: time.sleep(0))
def give_way(typing_context: Any) -> Any:
    """Let a thread that has no core have this one."""
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _call(builder, name, ir.IntType(32))
        return context.get_dummy_value()

    return types.none(), emit


def _call(builder: ir.IRBuilder, name: str, result: Any) -> None:
    kind = ir.FunctionType(result, [])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
