"""Whole vectors copied and transposed."""

import numpy as np
import pytest

from bptt.kernels.compile import kernel
from bptt.kernels.moves import copier, transpose
from bptt.kernels.target import lanes_of

copy_four = copier(4)


@kernel
def copy_at(a, i, b, j):
    copy_four(a, i, b, j)


@kernel
def transpose_at(a, i, row, b, j, column):
    transpose(a, i, row, b, j, column)


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
