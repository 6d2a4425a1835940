"""What the compiled code is made for: vector width, registers, and the tile that fits them."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import DTypeLike

__all__ = ["ALIGNMENT", "FAR", "NEAR", "Target", "empty", "lanes_of", "padded", "target", "zeros"]

ALIGNMENT = 64
"""Bytes: arrays that kernels read start on a cache line."""

_AVX512_CPUS = ("avx512", "cannonlake", "icelake", "tigerlake", "rocketlake", "cascadelake",
                "cooperlake", "rapids", "znver4", "znver5", "x86-64-v4")  # fmt: skip


NEAR = 2**15
"""Bytes that the first cache holds."""
FAR = 2**21
"""Numbers that no cache still holds when a loop comes back to them."""


class Target(NamedTuple):
    """Vector unit of the CPU that is compiled for.

    vector_bytes : width of a vector register.
    tile_rows : rows of the product's register tile; it is 4 vectors wide, so that
        4 * tile_rows accumulators, the 4 panel vectors and a broadcast fit the register file.
    narrow_rows : rows of a tile of 3 vectors or less.
    """

    vector_bytes: int
    tile_rows: int
    narrow_rows: int


@cache
def target() -> Target:
    """The target of this process (``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` are obeyed)."""
    if numba.config.DISABLE_JIT:
        return Target(16, 6, 6)
    from numba.core.registry import cpu_target

    triple, name, features = cpu_target.target_context.codegen().magic_tuple()
    if not triple.startswith(("x86_64", "i686")):
        return Target(16, 6, 6)
    have = set(features.split(","))
    named = numba.config.CPU_NAME
    if "+avx512f" in have and (named is None or any(cpu in name for cpu in _AVX512_CPUS)):
        return Target(64, 6, 6)
    return Target(32, 3, 4) if "+avx2" in have else Target(16, 3, 4)


def lanes_of(dtype: DTypeLike) -> int:
    """Numbers of ``dtype`` in one vector."""
    return target().vector_bytes // np.dtype(dtype).itemsize


def padded(n: int, dtype: DTypeLike) -> int:
    """``n`` rounded up to whole vectors: the width of every array that kernels work on."""
    lanes = lanes_of(dtype)
    return -(-n // lanes) * lanes


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Uninitialised C-contiguous array that starts on a cache line."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def zeros(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Array of zeros that starts on a cache line."""
    array = empty(shape, dtype)
    array.fill(0)
    return array
