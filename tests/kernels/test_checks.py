"""A vector is finite if all its numbers are, wherever they are."""

import numpy as np
import pytest

from bptt.kernels.checks import all_finite


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 3, 16, 37])
def test_finite_numbers(size, dtype):
    numbers = np.random.default_rng(0).normal(size=size).astype(dtype)
    assert all_finite(numbers)
    assert all_finite(np.sign(numbers) * np.finfo(dtype).max)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_that_is_not_is_found_wherever_it_is(bad, dtype):
    for where in range(37):
        numbers = np.ones(37, dtype)
        numbers[where] = bad
        assert not all_finite(numbers)
