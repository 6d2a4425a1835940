"""How parameters begin: limits, spread, and matrices that keep lengths."""

import math

import numpy as np
import pytest

import bptt
from bptt.initializers import (
    chrono,
    glorot_uniform,
    he_normal,
    he_uniform,
    identity,
    orthogonal,
    uniform,
)


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
    for draw in (glorot_uniform, he_normal, he_uniform, orthogonal):
        first, second = (draw((4, 4), np.random.default_rng(7)) for _ in range(2))
        assert np.array_equal(first, second)


@pytest.mark.parametrize("shape", [(30, 50), (200, 8)])
def test_he_depends_on_the_inputs_alone(shape):
    rng = np.random.default_rng(0)
    drawn, normal = he_uniform(shape, rng), he_normal(shape, rng)
    assert 0.98 * math.sqrt(6 / shape[0]) < np.abs(drawn).max() <= math.sqrt(6 / shape[0])
    for weights in (drawn, normal):
        assert weights.shape == shape
        assert math.isclose(weights.var(), 2 / shape[0], rel_tol=0.1)
        assert abs(weights.mean()) < 0.1 * weights.std()
    assert np.abs(normal).max() > 2.5 * normal.std()


def test_he_keeps_the_size_of_what_goes_through_relus():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 300))
    for draw in (he_uniform, he_normal) * 5:
        x = np.maximum(x @ draw((300, 300), rng), 0)
    assert 0.5 < (x**2).mean() < 2


def test_uniform_between_its_limits():
    drawn = uniform((40, 50), 0.1, np.random.default_rng(0))
    assert drawn.shape == (40, 50)
    assert 0.099 < drawn.max() <= 0.1
    assert -0.1 <= drawn.min() < -0.099
    assert uniform(5, 0.1, np.random.default_rng(0)).shape == (5,)


def test_an_identity_keeps_a_positive_state_through_relu():
    model = bptt.Model([bptt.RNN(2, 4, "relu")], dtype="float64")
    model.params["0.Wh"] = identity(4)
    state = {"0.h": np.array([[0.5, 0, 2, 1]])}
    y, _ = model(np.zeros((50, 1, 2)), state)
    assert np.array_equal(y[-1], state["0.h"])
    assert np.array_equal(identity(3, 0.01), np.diag([0.01] * 3))


@pytest.mark.parametrize("t_max", [3, 100, 1e4])
def test_chrono_spreads_how_long_memories_last(t_max):
    i, f, g, o = np.split(chrono(2000, t_max, np.random.default_rng(0)), 4)
    assert np.array_equal(i, -f)
    assert not g.any()
    assert not o.any()
    lasting = np.exp(f)
    assert lasting.min() >= 1
    assert lasting.max() <= t_max - 1
    counts, _ = np.histogram(lasting, 4, (1, t_max - 1))
    assert counts.min() > 400


def test_chrono_fits_an_lstm():
    """A cell of memory T forgets a share 1/T of itself in a step without input."""
    model = bptt.Model([bptt.LSTM(1, 8)], dtype="float64")
    model.params.flat[:] = 0
    model.params["0.b"] = bias = chrono(8, 50, np.random.default_rng(0))
    _, state = model(np.zeros((1, 1, 1)), {"0.h": np.zeros((1, 8)), "0.c": np.ones((1, 8))})
    lasting = np.exp(bias[8:16])
    np.testing.assert_allclose(state["0.c"][0], 1 - 1 / (1 + lasting), rtol=1e-14)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda rng: chrono(4, 2, rng), "t_max must be a finite number above 2, got 2"),
        (lambda rng: chrono(4, math.inf, rng), "t_max must be a finite number above 2, got inf"),
        (lambda rng: chrono(0, 50, rng), "units must be a positive integer, got 0"),
        (lambda rng: identity(2.5), "units must be a positive integer, got 2.5"),
        (lambda rng: identity(2, math.nan), "scale must be a finite number, got nan"),
        (lambda rng: uniform((2, 2), 0, rng), "limit must be a positive number, got 0"),
    ],
)
def test_numbers_that_cannot_be(make, said):
    with pytest.raises(ValueError, match=said):
        make(np.random.default_rng(0))
