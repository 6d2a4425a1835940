"""Passes over flat vectors."""

import numpy as np
import pytest

from bptt.kernels.vectors import add, sum_of_squares

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100])
def test_add(size, dtype):
    total, part = RNG.normal(size=(2, size)).astype(dtype)
    wanted = total + part
    add(total, part)
    assert np.array_equal(total, wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 7, 8, 9, 100, 1001])
def test_sum_of_squares(size, dtype):
    flat = RNG.normal(size=size).astype(dtype)
    wanted = (flat.astype(np.longdouble) ** 2).sum()
    assert abs(sum_of_squares(flat) - wanted) <= 1e-14 * wanted


def test_the_squares_of_nothing_are_zero():
    assert sum_of_squares(np.empty(0)) == 0


def test_squares_of_large_float32_do_not_overflow():
    flat = np.full(20, 1e30, np.float32)
    np.testing.assert_allclose(sum_of_squares(flat), 20e60, rtol=1e-6)


@pytest.mark.parametrize("place", [0, 9, 16])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_seen(place, value):
    flat = np.ones(17, np.float32)
    flat[place] = value
    assert not np.isfinite(sum_of_squares(flat))
