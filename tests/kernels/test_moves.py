"""Vectors copied, whole and in part, and transposed."""

import ctypes
import mmap
import sys

import numpy as np
import pytest

from bptt.kernels.compile import kernel
from bptt.kernels.moves import copier, load_part, store_part, transpose
from bptt.kernels.target import lanes_of

copy_four = copier(4)


@kernel
def copy_at(a, i, b, j):
    copy_four(a, i, b, j)


@kernel
def transpose_at(a, i, row, b, j, column):
    transpose(a, i, row, b, j, column)


@kernel
def copy_part_at(a, i, count, b, j, written):
    store_part(b, j, written, load_part(a, i, count))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copy(dtype):
    a, b = np.arange(12, dtype=dtype).reshape(3, 4), np.zeros(9, dtype)
    copy_at(a, 5, b, 2)
    assert b.tolist() == [0, 0, 5, 6, 7, 8, 0, 0, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transpose(dtype):
    size = lanes_of(dtype)
    a = np.arange((size + 1) * (size + 3), dtype=dtype).reshape(size + 1, size + 3)
    b = np.full((size + 2, size + 5), -1, dtype)
    transpose_at(a, (size + 3) + 2, size + 3, b, 3, size + 5)
    wanted = np.full_like(b, -1)
    wanted[:size, 3 : 3 + size] = a[1 : 1 + size, 2 : 2 + size].T
    assert np.array_equal(b, wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parts_of_vectors(dtype):
    """What lies beyond a part is neither read nor written; lanes that were not read are zero."""
    size = lanes_of(dtype)
    for count in range(size + 1):
        for written in range(size + 1):
            a, b = np.full(size + 3, np.nan, dtype), np.full(size + 5, -1, dtype)
            a[3 : 3 + count] = wanted = np.arange(1, count + 1)
            copy_part_at(a, 3, count, b, 2, written)
            moved = np.zeros(size)
            moved[:count] = wanted
            assert b.tolist() == [-1, -1, *moved[:written], *[-1] * (size + 3 - written)]


@pytest.mark.skipif(sys.platform != "linux", reason="protects memory as Linux does")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_part_may_end_where_memory_does(dtype):
    """At the last number of a page behind which there is none: a whole vector would crash."""
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert protect(ctypes.c_void_p(start + page), ctypes.c_size_t(page), 0) == 0
    a = np.frombuffer(memory, dtype, count=page // np.dtype(dtype).itemsize)
    a[-1] = 7
    b = np.zeros(lanes_of(dtype), dtype)
    copy_part_at(a, a.size - 1, 1, b, 0, 1)
    copy_part_at(b, 0, 1, a, a.size - 1, 1)
    assert (b[0], a[-1]) == (7, 7)
