"""Passes over flat vectors."""

import numpy as np
import pytest

from bptt.kernels.vectors import add, add_norms, norm

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
def test_norm(size, dtype):
    flat = RNG.normal(size=size).astype(dtype)
    wanted = np.sqrt((flat.astype(np.longdouble) ** 2).sum())
    assert abs(norm(flat) - wanted) <= 1e-14 * wanted


def test_the_norm_of_nothing_is_zero():
    assert norm(np.empty(0)) == norm(np.zeros(9)) == 0


SIZES = [("float32", 1e-44), ("float32", 1e-30), ("float32", 1e38), ("float64", 5e-324),
         ("float64", 1e-170), ("float64", 1e-140), ("float64", 1e160),
         ("float64", 1e307)]  # fmt: skip


@pytest.mark.parametrize(("dtype", "size"), SIZES)
def test_norms_of_any_size(dtype, size):
    flat = np.full(25, size, dtype)
    with np.errstate(over="ignore", under="ignore"):
        assert np.isclose(norm(flat), 5 * flat.astype(float)[0], rtol=1e-14, atol=0)


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-170, 1.0, 1e160, 1e300])
def test_norms_of_rows_join_those_before(size):
    rows = size * np.array([[9.0, 9, 9], [3, 4, 0], [0, 0, 0], [3, 40, 0]])
    norms = np.array([12.0 * size, 0, 0])
    with np.errstate(over="ignore", under="ignore"):
        add_norms(rows, 1, 4, 4 * size, norms)
    np.testing.assert_allclose(norms, np.array([13, 0, 5]) * size, rtol=1e-14)


def test_norms_of_rows_keep_what_is_not_a_number():
    norms = np.zeros(2)
    add_norms(np.array([[1.0, np.nan], [3, 4]]), 0, 2, np.inf, norms)
    assert np.isnan(norms[0])
    assert norms[1] == 5


@pytest.mark.parametrize("place", [0, 9, 16])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_seen(place, value):
    flat = np.ones(17, np.float32)
    flat[place] = value
    assert not np.isfinite(norm(flat))
