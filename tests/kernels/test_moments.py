"""Mean, variance and errors of rows of gates, against NumPy on the units alone."""

import naive
import numpy as np
import pytest
from helpers import assert_close

from bptt.kernels.moments import gate_errors, gate_moments
from bptt.kernels.target import lanes_of, padded

ZERO, FOUR = np.int64(0), np.int64(4)


def interleaved(gates, width):
    """(4, H) as kernels have it, (4·Hp,)."""
    filled = np.zeros((4, width))
    filled[:, : gates.shape[1]] = gates
    return filled.reshape(4, -1, lanes_of("float64")).swapaxes(0, 1).ravel()


@pytest.mark.parametrize("n", [1, 3, 17])
def test_a_row_and_its_errors(n):
    rng, width = np.random.default_rng(n), padded(n, "float64")
    a, gains, errors = 5 + rng.normal(size=(4, n)), rng.normal(size=(4, n)), rng.normal(size=(4, n))
    real = np.where(np.arange(width) < n, 1.0, 0.0)
    row, size = interleaved(a, width), np.int64(lanes_of("float64"))
    mean, scale = gate_moments(row, ZERO, FOUR, size, real, ZERO, n)
    y, wanted = naive.standard(a.ravel())
    assert_close(mean, a.mean(), 1e-14)
    assert_close(scale, wanted[0], 1e-13)
    packed = [interleaved(given, width) for given in (errors, gains, y.reshape(4, n))]
    found = np.empty(4 * width)
    gate_errors(packed[0], packed[1], ZERO, packed[2], ZERO, scale, n, found, ZERO)
    wanted = naive.standard_back((errors * gains).ravel(), a.ravel())
    real = interleaved(np.ones((4, n)), width)
    assert_close(found * real, interleaved(wanted.reshape(4, n), width), 1e-12)
