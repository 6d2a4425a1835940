"""Vectors as values inside kernels: one register of lanes, with the arithmetic a cell needs.

``load(a, i)`` reads the lanes of the C-contiguous array ``a`` that start at flat index ``i``.
Operators ``+ - * /`` work on vectors and on a vector with a scalar. With the JIT off a vector
is a NumPy slice, and the same kernels run as plain Python.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.extending import intrinsic, lower_builtin, type_callable

from .compile import JIT, piece
from .target import lanes_of

__all__ = [
    "Vec",
    "address",
    "ask",
    "ask_ir",
    "ask_row",
    "call_llvm",
    "flat",
    "lanes",
    "load",
    "overload",
    "splat",
    "splat_ir",
    "splat_like",
    "store",
    "vector_op",
]


class Vec(types.Type):
    """The type of one vector: ``lanes`` numbers of ``dtype``."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.lanes = lanes_of(str(dtype))
        super().__init__(name=f"Vec({dtype}x{self.lanes})")


@register_default(Vec)
class _VecModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vec: Vec) -> None:
        scalar = manager.lookup(vec.dtype).get_value_type()
        super().__init__(manager, vec, ir.VectorType(scalar, vec.lanes))


def address(context: Any, builder: ir.IRBuilder, array_type: Any, array: Any, index: Any) -> Any:
    """Pointer to element ``index`` of the C-contiguous array."""
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    return builder.gep(data, [index])


def splat_ir(builder: ir.IRBuilder, vector: ir.VectorType, scalar: Any) -> Any:
    """``scalar`` in every lane."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.IntType(32)(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), mask)


def ask_ir(builder: ir.IRBuilder, pointer: Any, nearness: int) -> None:
    """Ask for the line at ``pointer``, which need not exist, to come to the first cache (3) or the
    second (2)."""
    byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    builder.call(function, [builder.bitcast(pointer, byte), flag(0), flag(nearness), flag(1)])


def call_llvm(builder: ir.IRBuilder, name: str, args: list[Any], result: Any = None) -> Any:
    """Call the LLVM intrinsic ``name``, overloaded on the type of its first argument."""
    kind = args[0].type
    signature = ir.FunctionType(result or kind, [arg.type for arg in args])
    name = f"llvm.{name}.{overload(kind)}"
    function = cgutils.get_or_insert_function(builder.module, signature, name)
    return builder.call(function, args)


def overload(kind: ir.VectorType) -> str:
    """How the names of LLVM's intrinsics say that they are for vectors of ``kind``: "v16f32"."""
    return f"v{kind.count}f{64 if isinstance(kind.element, ir.DoubleType) else 32}"


def vector_op(python: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Use the intrinsic when compiling and ``python`` where the JIT is off."""
    return lambda compiled: intrinsic(compiled) if JIT else python


def _load_slice(a: np.ndarray, i: int) -> np.ndarray:
    return a.reshape(-1)[i : i + lanes_of(a.dtype)].copy()


def _store_slice(a: np.ndarray, i: int, value: np.ndarray) -> None:
    a.reshape(-1)[i : i + lanes_of(a.dtype)] = value


@vector_op(lambda a: lanes_of(a.dtype))
def lanes(typing_context: Any, a: Any) -> Any:
    """Lanes of a vector of the dtype of array ``a``; a constant once compiled."""
    count = Vec(a.dtype).lanes

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.IntType(64)(count)

    return types.intp(a), emit


@vector_op(_load_slice)
def load(typing_context: Any, a: Any, i: Any) -> Any:
    """The vector at flat index ``i`` of ``a``."""
    vec = Vec(a.dtype)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = address(context, builder, signature.args[0], args[0], args[1])
        kind = context.get_value_type(vec)
        pointer = builder.bitcast(pointer, kind.as_pointer())
        return builder.load(pointer, align=vec.dtype.bitwidth // 8)

    return vec(a, types.intp), emit


@vector_op(_store_slice)
def store(typing_context: Any, a: Any, i: Any, value: Any) -> Any:
    """Write the vector ``value`` at flat index ``i`` of ``a``."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = address(context, builder, signature.args[0], args[0], args[1])
        pointer = builder.bitcast(pointer, args[2].type.as_pointer())
        builder.store(args[2], pointer, align=value.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.none(a, types.intp, value), emit


@vector_op(lambda a, i: None)
def ask(typing_context: Any, a: Any, i: Any) -> Any:
    """Ask for the line of flat index ``i`` of ``a`` to come to the second cache; it need not
    exist."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        ask_ir(builder, address(context, builder, signature.args[0], args[0], args[1]), nearness=2)
        return context.get_dummy_value()

    return types.none(a, types.intp), emit


@vector_op(lambda a, x: np.full(lanes_of(a.dtype), x, a.dtype))
def splat(typing_context: Any, a: Any, x: Any) -> Any:
    """A vector of the dtype of array ``a`` with ``x`` in every lane."""
    vec = Vec(a.dtype)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return splat_ir(builder, context.get_value_type(vec), args[1])

    return vec(a, vec.dtype), emit


@vector_op(lambda v, x: np.full_like(v, x))
def splat_like(typing_context: Any, v: Any, x: Any) -> Any:
    """A vector like ``v`` with ``x`` in every lane."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return splat_ir(builder, args[0].type, args[1])

    return v(v, v.dtype), emit


@vector_op(lambda a: a.reshape(-1))
def flat(typing_context: Any, a: Any) -> Any:
    """All numbers of the C-contiguous array ``a`` in one dimension: a view, in a `kernel`.

    Numba's own ``reshape`` calls a function that looks whether it has to copy, which takes as long
    as a small product.
    """
    line = types.Array(a.dtype, 1, "C")

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        given = context.make_array(a)(context, builder, args[0])
        view = context.make_array(line)(context, builder)
        fields = {"data": given.data, "itemsize": given.itemsize, "meminfo": given.meminfo}
        context.populate_array(view, shape=[given.nitems], strides=[given.itemsize], **fields)
        return view._getvalue()

    return line(a), emit


@piece
def ask_row(a, first, count):
    """`ask` for ``count`` numbers from flat index ``first`` on."""
    for i in range(first, first + count, lanes(a)):
        ask(a, i)


def _register_operator(function: Callable[..., Any], instruction: str) -> None:
    def typer(context: Any) -> Any:
        def result(a: Any, b: Any) -> Any:
            if isinstance(a, Vec) and a == b:
                return a(a, a)
            if isinstance(a, Vec) and isinstance(b, types.Number):
                return a(a, a.dtype)
            if isinstance(b, Vec) and isinstance(a, types.Number):
                return b(b.dtype, b)
            return None

        return result

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_value_type(signature.return_type)
        a, b = (arg if arg.type == kind else splat_ir(builder, kind, arg) for arg in args)
        return getattr(builder, instruction)(a, b, flags=("contract",))

    type_callable(function)(typer)
    for left, right in ((Vec, Vec), (Vec, types.Float), (types.Float, Vec)):
        lower_builtin(function, left, right)(emit)


for _function, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _register_operator(_function, _instruction)
