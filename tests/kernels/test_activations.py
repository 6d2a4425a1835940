"""Activations and their slopes, against the oracle's."""

import naive
import numpy as np
import pytest

from bptt.kernels.activations import ACTIVATIONS, activate, slope
from bptt.kernels.compile import kernel
from bptt.kernels.vector import lanes, load, store


@kernel
def _run(number, x, values, slopes):
    for i in range(0, x.size, lanes(x)):
        y = activate(number, load(x, i))
        store(values, i, y)
        store(slopes, i, slope(number, y))


def run(name, x):
    values, slopes = np.empty_like(x), np.empty_like(x)
    _run(ACTIVATIONS[name], x, values, slopes)
    return values, slopes


def test_each_has_an_oracle():
    assert ACTIVATIONS.keys() == naive.ACTIVATIONS.keys()
    assert len(set(ACTIVATIONS.values())) == len(ACTIVATIONS)


@pytest.mark.parametrize(("dtype", "rel"), [("float32", 1e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_and_slope(name, dtype, rel):
    x = np.linspace(-3, 3, 64).astype(dtype)
    function, derivative = naive.ACTIVATIONS[name]
    values, slopes = run(name, x)
    np.testing.assert_allclose(values, function(x.astype(float)), rtol=rel)
    np.testing.assert_allclose(slopes, derivative(x.astype(float)), rtol=100 * rel)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "wanted"),
    [("identity", 1), ("tanh", 1), ("sigmoid", 0.25), ("relu", 0), ("leaky_relu", 0.01)],
)
def test_slope_at_zero(name, wanted, dtype):
    _, slopes = run(name, np.zeros(16, dtype))
    assert np.array_equal(slopes, np.full(16, wanted, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_stays_nan(name, dtype):
    x = np.full(16, 0.5, dtype)
    x[[2, 9]] = np.nan
    values, _ = run(name, x)
    assert np.flatnonzero(np.isnan(values)).tolist() == [2, 9]
