"""How parameters begin: limits, spread, and matrices that keep lengths."""

import math

import numpy as np
import pytest

from bptt.initializers import glorot_uniform, orthogonal


@pytest.mark.parametrize("shape", [(30, 50), (200, 4)])
def test_glorot_fills_its_interval_evenly(shape):
    drawn = glorot_uniform(shape, np.random.default_rng(0))
    limit = math.sqrt(6 / sum(shape))
    assert drawn.shape == shape
    assert np.abs(drawn).max() <= limit
    assert np.abs(drawn).max() > 0.98 * limit
    assert abs(drawn.mean()) < 0.1 * limit
    assert math.isclose(drawn.var(), limit**2 / 3, rel_tol=0.1)


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (1, 5), (1, 1)])
def test_orthogonal_rows_or_columns(shape):
    q = orthogonal(shape, np.random.default_rng(0))
    assert q.shape == shape
    gram = q.T @ q if shape[0] >= shape[1] else q @ q.T
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-14)


def test_orthogonal_is_uniform_and_not_of_one_sign():
    """A QR factorisation alone would give a diagonal of R, and so of Q, of one sign."""
    rng = np.random.default_rng(0)
    corners = np.array([orthogonal((3, 3), rng)[0, 0] for _ in range(400)])
    assert 0.4 < (corners > 0).mean() < 0.6
    assert math.isclose((corners**2).mean(), 1 / 3, rel_tol=0.15)


def test_the_generator_decides():
    for draw in (glorot_uniform, orthogonal):
        first, second = (draw((4, 4), np.random.default_rng(7)) for _ in range(2))
        assert np.array_equal(first, second)
