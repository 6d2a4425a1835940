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


def exponents(layers, params, x, state, burn_in, resets=()):
    """(N,), by the QR method on the Jacobians of single steps.

    nan if they depend on how QR fills up the basis at a step that is not counted.
    """
    basis, growth, count = None, 0, 0
    for t in range(len(x)):
        if t in resets:
            state = {name: 0 * rows for name, rows in state.items()}
        one_step, state = jacobian(layers, params, x[t : t + 1], state)
        basis = np.eye(len(one_step)) if basis is None else basis
        basis, stretch = np.linalg.qr(one_step @ basis)
        if t >= burn_in and t not in resets:
            with np.errstate(divide="ignore"):
                growth, count = growth + np.log(np.abs(np.diag(stretch))), count + 1
        elif np.linalg.matrix_rank(one_step) < len(one_step):
            growth = np.nan
    return np.sort(growth / count)[::-1]


def assert_exponents(found, wanted):
    if np.isnan(wanted).any():
        return
    alive = wanted > -15  # a relu that rests makes the Jacobian singular, up to rounding
    assert np.array_equal(found > -15, alive)
    np.testing.assert_allclose(found[alive], wanted[alive], rtol=1e-8, atol=1e-8)


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
    assert_exponents(found.lyapunov, exponents(layers, params, x, plain(state), 1))
    found = jacobian_spectrum(model, x, state, burn_in=0)
    assert_exponents(found.lyapunov, exponents(layers, params, x, plain(state), 0))


@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_several_sequences_and_padding(layers):
    """Padding is no step; a reset begins again from zero, and the step is left out."""
    model, padding = a_model(layers), [2, 5, 6, 10]
    x, state, params = an_input(model, 11, 1), a_state(model, 1), plain(model.params)
    resets, ended = np.zeros((2, 11, 1), bool)
    resets[[3, 6]], ended[padding] = True, True
    there = np.delete(x, padding, axis=0)
    found = jacobian_spectrum(model, x, state, resets=resets, ended=ended, burn_in=1)
    zero, rows = plain(model.zero_state(1)), 0
    for first, last, began in ((0, 2, plain(state)), (2, 4, zero), (4, 7, zero)):
        for k in range(first + 1, last + 1):
            whole, _ = jacobian(layers, params, there[first:k], began)
            wanted = np.linalg.svd(whole, compute_uv=False)
            assert_close(found.state_values[k - 1], wanted, 1e-10)
            rows += 1
    assert len(found.state_values) == len(found.singular_values) == rows == 7
    wanted = exponents(layers, params, there, plain(state), 1, (2, 4))
    assert_exponents(found.lyapunov, wanted)


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
    for steps, options, error in (
        (400, {}, 1e-13),
        (100, {}, 1e-5),
        (60, {"burn_in": 59}, 1e-5),
        (400, {"burn_in": 0}, 0.02),
    ):
        found = jacobian_spectrum(linear(wh), np.zeros((steps, 1, 2)), **options).lyapunov
        np.testing.assert_allclose(found, np.log(np.abs(eigenvalues)), rtol=0, atol=error)


def test_the_exponents_of_complex_pairs():
    """They are equal, so their order turns on and on, and the mean over T steps is good to 1/T."""
    turn = 0.9 * np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    basis = np.random.default_rng(3).normal(size=(3, 3))
    whole = np.block([[turn, np.zeros((2, 1))], [np.zeros((1, 2)), np.full((1, 1), 0.4)]])
    wh = basis @ whole @ np.linalg.inv(basis)
    found = jacobian_spectrum(linear(wh), np.zeros((400, 1, 2))).lyapunov
    np.testing.assert_allclose(found[:2], math.log(0.9), atol=2 / 300)
    np.testing.assert_allclose([found[:2].sum(), found[2]], np.log([0.81, 0.4]), rtol=1e-12)


@pytest.mark.parametrize("rate", [2.0, 1e300, 0.5, 1e-300])
def test_however_far_it_grows_or_dies_out(rate):
    rates = rate * np.array([1, 0.99, 0.9])
    found = jacobian_spectrum(linear(np.diag(rates)), np.zeros((1500, 1, 2)))
    np.testing.assert_allclose(found.lyapunov, np.log(rates), rtol=1e-12)
    with np.errstate(over="ignore", under="ignore"):
        powers = rates ** np.arange(1, 1501)[:, np.newaxis]
    np.testing.assert_allclose(found.state_values, powers, rtol=1e-10, atol=1e-305)
    assert np.array_equal(np.isinf(found.state_values), np.isinf(powers))
    assert np.isinf(powers).any() == (rate > 1)


def test_a_network_that_never_settles():
    """λ₁ is above zero for longer than float64 could hold the Jacobian of all steps."""
    model = a_model([RNN(1, 20)])
    model.params.flat[:] = 0
    model.params["0.Wh"] = np.random.default_rng(0).normal(scale=1, size=(20, 20))
    found = jacobian_spectrum(model, np.zeros((4000, 1, 1)), a_state(model, 1))
    assert 709 < 4000 * found.lyapunov[0] < 4000
    assert np.isinf(found.state_values[-1, 0])


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
    assert math.isclose(
        jacobian_spectrum(model, x, state, burn_in=0).lyapunov.sum(), volume, rel_tol=1e-9
    )


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


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"burn_in": -1}, ValueError, "burn_in must be an integer from 0 on, got -1"),
        ({"burn_in": 0.5}, ValueError, "burn_in must be an integer from 0 on, got 0.5"),
        ({"burn_in": 4}, ValueError, "burn_in=4 leaves none of 4 steps, 0 of which begin a seq"),
        ({"resets": np.ones((4, 1), bool)}, ValueError, "burn_in=1 leaves none of 4 steps, 4 of"),
        ({"ended": np.ones((4, 1), bool)}, ValueError, "but all 4 are skipped"),
        ({"resets": np.ones((3, 1), bool)}, ShapeError, r"resets must be \(4, 1\) of bool"),
        ({"ended": np.ones(4, bool)}, ShapeError, r"ended must be \(4, 1\) of bool"),
    ],
)
def test_options_that_do_not_fit(options, error, said):
    with pytest.raises(error, match=said):
        jacobian_spectrum(a_model([RNN(3, 5)]), np.zeros((4, 1, 3)), **options)


def test_a_state_that_overflows():
    model = linear(np.array([[2.0, 1.0], [-1.0, 2.0]]))
    found = jacobian_spectrum(model, np.ones((1100, 1, 2)))
    np.testing.assert_allclose(found.lyapunov, [math.log(5) / 2] * 2, rtol=1e-12)
    model = a_model([RNN(2, 2, "relu")])
    model.params.flat[:] = [1, 0, 0, 1, 2, 3, 0, -1, 0, 0]
    with pytest.raises(ValueError, match=r"the state after step 102\d is not finite"):
        jacobian_spectrum(model, np.ones((1100, 1, 2)))
