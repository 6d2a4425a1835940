"""Jacobians of linear networks in closed form, and of all others by complex steps."""

import math

import naive
import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_close, plain, words

from bptt import (
    LSTM,
    RNN,
    DataError,
    Embedding,
    Linear,
    Max,
    Mean,
    Residual,
    ShapeError,
    VariationalDropout,
    Zoneout,
    jacobian_spectrum,
)  # fmt: skip

STACKS = [
    *([RNN(3, 5, name), Linear(5, 4)] for name in sorted(naive.ACTIVATIONS)),
    [LSTM(3, 5)],
    [Embedding(6, 3), LSTM(3, 4), Linear(4, 4)],
    [Linear(3, 2), RNN(2, 5), Linear(5, 3), LSTM(3, 4), Linear(4, 2)],
    [LSTM(3, 2), LSTM(2, 3)],
    [LSTM(3, 2, layer_norm=True), LSTM(2, 3, peepholes=True)],
    [LSTM(3, 2), Mean(2), RNN(2, 3)],
    [Residual(LSTM(3, 3)), Mean(3), Residual(Max(3))],
    [Zoneout(LSTM(3, 4), 0.2, 0.4), VariationalDropout(4), Zoneout(RNN(4, 3), 0.3)],
]


def jacobian(layers, params, x, state):
    """(N, N), the final state by the one that came in, without counts; and the final state."""
    names = [name for name in state if not name.endswith(("count", "mask"))]
    flat = np.concatenate([state[name].ravel() for name in names])
    tried = flat + 1e-30j * np.eye(flat.size)
    pieces = np.split(tried, np.cumsum([state[name].size for name in names])[:-1], axis=1)
    given = dict(zip(names, (piece[:, np.newaxis] for piece in pieces), strict=True))
    _, final = naive.forward(layers, params, x, state | given)
    columns = np.concatenate([final[name][:, 0] for name in names], axis=1)
    ended = {name: rows.real.reshape(-1, *state[name].shape)[0] for name, rows in final.items()}
    return columns.imag.T / 1e-30, ended


def is_output(model):
    """(N,), which components of the state are an h."""
    return np.concatenate(
        [
            np.full(rows.size, name.endswith("h"))
            for name, rows in model.zero_state(1).items()
            if not name.endswith(("count", "mask"))
        ]
    )


def exponents(layers, params, x, state):
    """(N,), by the QR method on the Jacobians of single steps."""
    basis, growth = None, 0
    for t in range(len(x)):
        one_step, state = jacobian(layers, params, x[t : t + 1], state)
        basis = np.eye(len(one_step)) if basis is None else basis
        basis, stretch = np.linalg.qr(one_step @ basis)
        with np.errstate(divide="ignore"):
            growth = growth + np.log(np.abs(np.diag(stretch)))
    return np.sort(growth / len(x))[::-1]


def linear(wh):
    model = a_model([RNN(2, len(wh), "identity"), Linear(len(wh), 3)])
    model.params["0.Wh"] = wh
    return model


@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_the_jacobians_of_every_stack(layers):
    model = a_model(layers)
    x, state = an_input(model, 6, 1), a_state(model, 1)
    params, h = plain(model.params), is_output(model)
    found = jacobian_spectrum(model, x, state)
    assert found.singular_values.shape == (6, h.sum())
    for k in range(1, 7):
        whole, _ = jacobian(layers, params, x[:k], plain(state))
        wanted = np.linalg.svd(whole[np.ix_(h, h)], compute_uv=False)
        assert_close(found.singular_values[k - 1], wanted, 1e-10)
        assert_close(found.state_values[k - 1], np.linalg.svd(whole, compute_uv=False), 1e-10)
    wanted = exponents(layers, params, x, plain(state))
    alive = wanted > -15  # a relu that rests makes the Jacobian singular, up to rounding
    assert np.array_equal(found.lyapunov > -15, alive)
    np.testing.assert_allclose(found.lyapunov[alive], wanted[alive], rtol=1e-8, atol=1e-8)


def test_without_a_state_the_trajectory_starts_at_zero():
    model = a_model([LSTM(3, 5)])
    x = an_input(model, 4, 1)
    found = jacobian_spectrum(model, x)
    from_zeros = jacobian_spectrum(model, x, model.zero_state(1))
    elsewhere = jacobian_spectrum(model, x, a_state(model, 1))
    assert np.array_equal(found.singular_values, from_zeros.singular_values)
    assert np.abs(found.lyapunov - elsewhere.lyapunov).max() > 1e-3


def test_a_linear_network_has_the_powers_of_its_matrix():
    wh = np.random.default_rng(0).normal(size=(5, 5)) / 2
    found = jacobian_spectrum(linear(wh), np.ones((8, 1, 2)))
    for k in range(1, 9):
        wanted = np.linalg.svd(np.linalg.matrix_power(wh, k), compute_uv=False)
        assert_close(found.singular_values[k - 1], wanted)


@pytest.mark.parametrize("rate", [0.5, 1.0, 1.1])
def test_an_orthogonal_network_has_one_exponent(rate):
    wh = rate * np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    found = jacobian_spectrum(linear(wh), np.ones((20, 1, 2)))
    powers = rate ** np.arange(1, 21)[:, np.newaxis] * np.ones(4)
    np.testing.assert_allclose(found.singular_values, powers, rtol=1e-10)
    np.testing.assert_allclose(found.lyapunov, np.full(4, math.log(rate)), atol=1e-12)


def test_the_exponents_of_a_linear_network_are_those_of_its_eigenvalues():
    eigenvalues = np.array([1.2, -0.9, 0.5, 0.1])
    exact = jacobian_spectrum(linear(np.diag(eigenvalues[::-1])), np.ones((15, 1, 2)))
    np.testing.assert_allclose(exact.lyapunov, np.log(np.abs(eigenvalues)), rtol=1e-10)
    basis = np.random.default_rng(0).normal(size=(4, 4))
    wh = basis @ np.diag(eigenvalues) @ np.linalg.inv(basis)
    errors = [
        np.abs(
            jacobian_spectrum(linear(wh), np.zeros((steps, 1, 2))).lyapunov
            - np.log(np.abs(eigenvalues))
        ).max()
        for steps in (100, 400)
    ]
    assert errors[1] < errors[0] / 3
    assert errors[1] < 0.02


def test_the_exponents_of_an_lstm_are_the_growth_of_a_long_product():
    model = a_model([LSTM(2, 2)])
    x, params = an_input(model, 150, 1), plain(model.params)
    whole, _ = jacobian(model.layers, params, x, plain(model.zero_state(1)))
    largest = np.linalg.svd(whole, compute_uv=False)[0]
    found = jacobian_spectrum(model, x).lyapunov
    assert found.shape == (4,)
    assert math.isclose(found[0], math.log(largest) / 150, abs_tol=0.02)
    assert found[0] < -0.05


def test_the_exponents_add_up_to_the_change_of_volume():
    model = a_model([LSTM(3, 3), RNN(3, 2)])
    x, state, params = an_input(model, 12, 1), a_state(model, 1), plain(model.params)
    now, volume = plain(state), 0.0
    for t in range(12):
        one_step, now = jacobian(model.layers, params, x[t : t + 1], now)
        volume += np.linalg.slogdet(one_step)[1] / 12
    assert math.isclose(jacobian_spectrum(model, x, state).lyapunov.sum(), volume, rel_tol=1e-9)


def test_dead_units_have_no_exponent():
    model = a_model([RNN(2, 3, "relu")])
    model.params["0.b"][...] = -100
    found = jacobian_spectrum(model, an_input(model, 4, 1))
    assert not found.singular_values.any()
    assert np.array_equal(found.lyapunov, np.full(3, -np.inf))


def test_float32_is_as_good_as_its_rounding():
    layers = [Embedding(6, 3), LSTM(3, 5), Linear(5, 4)]
    model = a_model(layers, "float32")
    x, state, h = an_input(model, 4, 1), a_state(model, 1), is_output(model)
    found = jacobian_spectrum(model, x, state)
    assert found.singular_values.dtype == found.lyapunov.dtype == np.float64
    whole, _ = jacobian(layers, plain(model.params), x, plain(state))
    wanted = np.linalg.svd(whole[np.ix_(h, h)], compute_uv=False)
    assert_close(found.singular_values[3], wanted, 3e-6)


def test_the_arguments_are_left_alone():
    model = a_model([LSTM(3, 5)])
    x, state = an_input(model, 4, 1), a_state(model, 1)
    before = [array.copy() for array in (x, state.flat, model.params.flat)]
    jacobian_spectrum(model, x, state)
    for array, copy in zip((x, state.flat, model.params.flat), before, strict=True):
        assert np.array_equal(array, copy)


@pytest.mark.parametrize(
    ("layers", "x", "state", "error", "said"),
    [
        ([RNN(3, 5)], np.zeros((4, 2, 3)), None, ShapeError, "x must have one lane, got 2"),
        ([Linear(3, 5)], np.zeros((4, 1, 3)), None, ValueError, "has no recurrent layer"),
        ([RNN(3, 5)], np.full((4, 1, 3), np.nan), None, DataError, r"x\[0, 0, 0\] is nan"),
        ([RNN(3, 5)], np.zeros((4, 1, 3)), {}, ShapeError, "state has no '0.h'"),
    ],
)
def test_what_does_not_fit(layers, x, state, error, said):
    with pytest.raises(error, match=said):
        jacobian_spectrum(a_model(layers), x, state)
