"""Arrays for kernels: on a cache line, and as wide as whole vectors."""

import numpy as np
import pytest
from helpers import python

from bptt.kernels.compile import JIT
from bptt.kernels.target import ALIGNMENT, empty, lanes_of, padded, target, zeros


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 7, 16, 17, 128, 650])
def test_padded_is_the_next_whole_vector(n, dtype):
    lanes = lanes_of(dtype)
    assert padded(n, dtype) % lanes == 0
    assert 0 <= padded(n, dtype) - n < lanes


@pytest.mark.parametrize("make", [empty, zeros])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 5), (0, 4), (3, 2, 7), ()])
def test_arrays_start_on_a_cache_line(make, dtype, shape):
    array = make(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.ctypes.data % ALIGNMENT == 0 or array.size == 0
    array[...] = 3
    assert (array == 3).all()
    if make is zeros:
        assert not zeros(shape, dtype).any()


def test_a_double_takes_two_floats_room():
    assert lanes_of(np.float32) == 2 * lanes_of(np.float64) == target().vector_bytes // 4


@pytest.mark.skipif(not JIT, reason="needs the JIT")
def test_the_cpu_that_is_asked_for_decides():
    code = "from bptt.kernels.target import target; print(*target())"
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    assert python(code, **plain)[0].split()[0] == "16"
    assert python(code, NUMBA_DISABLE_JIT="1")[0].split() == ["16", "6", "6"]
