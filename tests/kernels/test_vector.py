"""Vector operations, lane by lane, against NumPy."""

import numpy as np
import pytest

from bptt.kernels.arithmetic import (
    absolute,
    copysign,
    fma,
    maximum,
    minimum,
    power_of_two,
    rounder,
    total,
    where_positive,
)
from bptt.kernels.compile import kernel
from bptt.kernels.target import lanes_of
from bptt.kernels.vector import flat, lanes, load, splat, splat_like, store

RNG = np.random.default_rng(5)
DTYPES = ["float32", "float64"]


@kernel
def _arithmetic(a, b, c, out):
    size = lanes(a)
    x, y, z = load(a, 0), load(b, 0), load(c, 0)
    store(out, 0, x + y)
    store(out, size, x - y)
    store(out, 2 * size, x * y)
    store(out, 3 * size, x / y)
    store(out, 4 * size, 2.0 - x)
    store(out, 5 * size, x * 3.0)
    store(out, 6 * size, fma(x, y, z))
    store(out, 7 * size, splat(a, 1.5) + splat_like(x, 0.25))


@kernel
def _selection(a, b, out):
    size = lanes(a)
    x, y = load(a, 0), load(b, 0)
    store(out, 0, maximum(x, y))
    store(out, size, minimum(x, y))
    store(out, 2 * size, where_positive(x, x, y))
    store(out, 3 * size, absolute(x))
    store(out, 4 * size, copysign(x, y))
    store(out, 5 * size, x + rounder(x) - rounder(x))


@kernel
def _powers(n, out):
    x = load(n, 0)
    store(out, 0, power_of_two(x + rounder(x)))


@kernel
def _count(a):
    numbers = flat(a)
    for i in range(numbers.size):
        numbers[i] += i


@kernel
def _whole(a, i, out):
    out[0] = total(load(a, i))


def vectors(count, dtype, scale=3.0):
    return (RNG.normal(size=(count, lanes_of(dtype))) * scale).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arithmetic(dtype):
    a, b, c = vectors(3, dtype)
    out = np.empty((8, a.size), dtype)
    _arithmetic(a, b, c, out)
    wanted = [a + b, a - b, a * b, a / b, 2 - a, a * 3, a * b + c, np.full_like(a, 1.75)]
    np.testing.assert_allclose(out, wanted, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_selection(dtype):
    a, b = vectors(2, dtype)
    out = np.empty((6, a.size), dtype)
    _selection(a, b, out)
    wanted = [np.maximum(a, b), np.minimum(a, b), np.where(a > 0, a, b), np.abs(a),
              np.copysign(a, b), np.rint(a)]  # fmt: skip
    assert np.array_equal(out, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_of_the_first_is_kept(dtype):
    a, b = np.full(lanes_of(dtype), np.nan, dtype), np.ones(lanes_of(dtype), dtype)
    out = np.empty((6, a.size), dtype)
    _selection(a, b, out)
    assert np.isnan(out[[0, 1, 3, 4, 5]]).all()
    assert np.array_equal(out[2], b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_rounder_breaks_ties_to_even(dtype):
    halves = np.resize(np.array([0.5, 1.5, 2.5, -0.5, -1.5, 2.0], dtype), lanes_of(dtype))
    out = np.empty((6, halves.size), dtype)
    _selection(halves, halves, out)
    assert np.array_equal(out[5], np.rint(halves))


@pytest.mark.parametrize(("dtype", "power"), [("float32", 126), ("float64", 1022)])
def test_all_normal_powers_of_two(dtype, power):
    size = lanes_of(dtype)
    powers = np.arange(-power, power + 1)
    powers = np.resize(powers, (-(-powers.size // size), size))
    for n in powers[:: 1 + len(powers) // 40]:
        out = np.empty(size, dtype)
        _powers(n.astype(dtype), out)
        assert np.array_equal(out, np.ldexp(np.ones(size, dtype), n))


@pytest.mark.parametrize("dtype", DTYPES)
def test_total(dtype):
    a = vectors(3, dtype)
    for row in range(3):
        out = np.empty(1)
        _whole(a, row * a.shape[1], out)
        assert abs(out[0] - a[row].astype(float).sum()) <= 1e-5 * np.abs(a[row]).sum()


@pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 0), (4, 1, 5)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_flat_is_a_view_of_all_numbers(shape, dtype):
    a = np.full(shape, 2, dtype)
    _count(a)
    np.testing.assert_array_equal(a, 2 + np.arange(a.size, dtype=dtype).reshape(shape))
