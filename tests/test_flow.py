"""The map of lag and time, against the derivative by every state."""

import math

import naive
import numpy as np
import pytest
from helpers import (
    EXACT,
    a_model,
    a_state,
    an_input,
    assert_close,
    few,
    plain,
    some_marks,
    words,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt
from bptt import (
    GRU,
    LSTM,
    RNN,
    Activation,
    ActivationPenalty,
    BatchNorm,
    CrossEntropy,
    Embedding,
    LayerNorm,
    Linear,
    Max,
    Mean,
    Residual,
    ShapeError,
    SquaredError,
    Zoneout,
    gradient_flow,
)

LOSSES = [CrossEntropy(), SquaredError()]
STACKS = [
    *([RNN(3, 5, name), Linear(5, 4)] for name in sorted(naive.ACTIVATIONS)),
    [LSTM(3, 5), Linear(5, 4)],
    [LSTM(3, 9)],
    [Embedding(6, 3), LSTM(3, 5), Linear(5, 4)],
    [Embedding(300, 3), RNN(3, 5), Linear(5, 4)],
    [Linear(3, 2), RNN(2, 5), Linear(5, 3), LSTM(3, 4), Linear(4, 4)],
    [Embedding(6, 3), LSTM(3, 5), RNN(5, 7, "sigmoid")],
    [LSTM(3, 5, layer_norm=True), LSTM(5, 3, peepholes=True), Linear(3, 4)],
    [RNN(3, 5), Mean(5), Linear(5, 4)],
    [Residual(LSTM(3, 3)), Max(3)],
    [Zoneout(LSTM(3, 5), 0.2, 0.4), ActivationPenalty(5), Zoneout(GRU(5, 4), 0.3)],
    [RNN(3, 5, omega=0.1), LayerNorm(5), RNN(5, 4), BatchNorm(4), Activation(4, "tanh")],
]


def targets_for(model, loss, steps, lanes, seed=4):
    rng = np.random.default_rng(seed)
    if isinstance(loss, CrossEntropy):
        return rng.integers(-1, model.n_out, (steps, lanes))
    return rng.normal(size=(steps, lanes, model.n_out))


def slopes(layers, params, x, targets, state, name, resets=None):
    """(T, H, n, B): ∂ℓ_t/∂h_s or ∂c_s, s on axis 0, by a complex step in every direction.

    Lanes do not mix, so all of them are nudged at once.
    """
    i, state_name = int(name.split(".")[0]), name.split(".")[1]
    steps, units = len(x), layers[i].sizes[1]
    directions = 1e-30j * np.eye(steps * units).reshape(-1, steps, 1, units)
    if state_name == "h":
        nudges, carried = {i: directions}, None
    else:
        nudges, carried = {i: np.zeros_like(directions)}, {name: directions}
    y, _ = naive.forward(layers, params, x, state, nudges, carried, resets)
    found = naive.losses(y[:, steps - len(targets) :], targets).imag / 1e-30
    return found.reshape(steps, units, *targets.shape[:2])


def wanted_map(model, x, targets, state, name, mask=None, resets=None, ended=None):
    """(T, T, B) norms, nan where there is no loss or no such step."""
    found = slopes(model.layers, plain(model.params), x, targets, plain(state), name, resets)
    norms = np.sqrt((found**2).sum(axis=1))
    steps, before = len(x), len(x) - len(targets)
    wanted = np.full((steps, steps, x.shape[1]), np.nan)
    for t in range(before, steps):
        for lag in range(t + 1):
            wanted[t, lag] = norms[t - lag, t - before]
    wanted[before:].swapaxes(1, 2)[~naive.valid_targets(targets, mask)] = np.nan
    if resets is not None:
        own = np.zeros(wanted.shape, bool)
        for b, sequence in naive.pieces(resets, ended):
            for t in sequence:
                own[t, [t - s for s in sequence if s <= t], b] = True
        wanted[~own] = np.nan
    return wanted


def mean_of(norms, axis):
    """Without nan, nan where there is nothing else."""
    there = ~np.isnan(norms)
    sums, count = np.where(there, norms, 0).sum(axis), there.sum(axis)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)


def assert_same_map(got, want, rel=EXACT):
    assert got.shape == want.shape
    assert np.array_equal(np.isnan(got), np.isnan(want))
    assert_close(np.nan_to_num(got), np.nan_to_num(want), rel)
    newest = np.isfinite(want)
    np.testing.assert_allclose(got[newest], want[newest], rtol=1e-7, atol=1e-15)


def check(model, loss, x, targets, state, mask=None, lags=None, **marks):
    """The map, lane by lane and on the mean, is what the oracle finds."""
    options = {"mask": mask, "lags": lags, **marks}
    flow = gradient_flow(model, loss, x, targets, state, per_lane=True, **options)
    means = gradient_flow(model, loss, x, targets, state, **options)
    began = model.zero_state(x.shape[1]) if state is None else state
    names = {f"{i}.{name}" for i, layer in enumerate(model.layers) for name in layer.flowing}
    assert set(flow.norms) == set(means.norms) == names
    for name in names:
        wanted = wanted_map(model, x, targets, began, name, mask, **marks)[:, :lags]
        assert_same_map(flow.norms[name], wanted)
        assert_same_map(means.norms[name], mean_of(wanted, 2))


@pytest.mark.parametrize("layers", STACKS, ids=words)
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_the_map_of_every_stack(layers, loss):
    model = a_model(layers)
    x, state = an_input(model, 7, 3), a_state(model, 3)
    mask = np.random.default_rng(5).random((5, 3)) < 0.7
    check(model, loss, x, targets_for(model, loss, 5, 3), state, mask)
    check(model, loss, x, targets_for(model, loss, 7, 3), None, lags=3)


@pytest.mark.parametrize("layers", STACKS, ids=words)
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_losses_reach_to_the_beginning_of_their_sequence_and_padding_has_none(layers, loss):
    model, (resets, ended) = a_model(layers), some_marks(9, 4)
    x, state, targets = an_input(model, 9, 4), a_state(model, 4), targets_for(model, loss, 8, 4)
    check(model, loss, x, targets, state, resets=resets, ended=ended)
    flow = gradient_flow(model, loss, x, targets, state, resets=resets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bptt.flow._ROWS", 12)
        parts = gradient_flow(model, loss, x, targets, state, resets=resets)
    for name, norms in flow.norms.items():
        assert_same_map(parts.norms[name], norms, 1e-13)
        no_end = {"resets": resets, "ended": ended & False}
        wanted = wanted_map(model, x, targets, state, name, **no_end)
        assert_same_map(norms, mean_of(wanted, 2))


@settings(max_examples=few(25), deadline=None)
@given(data=st.data())
def test_the_map_at_random_sizes_and_blocks(data):
    def draw(low, high):
        return data.draw(st.integers(low, high))

    features, units, above = draw(1, 4), draw(1, 17), draw(1, 5)
    cell = data.draw(st.sampled_from([LSTM, RNN]))
    model = a_model([cell(features, units), LSTM(units, above), Linear(above, 3)][: draw(1, 3)])
    loss = data.draw(st.sampled_from(LOSSES))
    steps, lanes = draw(1, 8), draw(1, 5)
    rows = draw(1, steps)
    mask = np.random.default_rng(draw(0, 9)).random((rows, lanes)) < 0.8 if draw(0, 1) else None
    state = a_state(model, lanes) if draw(0, 1) else None
    lags = data.draw(st.sampled_from([None, 1, 3, steps + 2]))
    targets = targets_for(model, loss, rows, lanes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bptt.flow._ROWS", draw(1, 20))
        check(model, loss, an_input(model, steps, lanes), targets, state, mask, lags)


@pytest.mark.parametrize("rows", [1, 4, 9])
def test_more_losses_than_go_back_at_a_time(monkeypatch, rows):
    model, loss = a_model([LSTM(3, 5), RNN(5, 3), Linear(3, 4)]), SquaredError()
    x, state = an_input(model, 9, 2), a_state(model, 2)
    targets = targets_for(model, loss, 8, 2)
    whole = gradient_flow(model, loss, x, targets, state, per_lane=True)
    monkeypatch.setattr("bptt.flow._ROWS", rows)
    parts = gradient_flow(model, loss, x, targets, state, per_lane=True)
    for name, norms in whole.norms.items():
        assert_same_map(parts.norms[name], norms, 1e-14)


def test_the_map_agrees_with_finite_differences_of_the_model_itself():
    model, loss, size = a_model([LSTM(2, 3), Linear(3, 4)]), SquaredError(), 1e-3
    x, state = an_input(model, 6, 1), a_state(model, 1)
    targets = targets_for(model, loss, 6, 1)
    flow = gradient_flow(model, loss, x, targets, state)

    def later_losses(s, name, unit, by):
        _, after = model(x[: s + 1], state)
        after = {n: rows.copy() for n, rows in after.items()}
        after[name][0, unit] += by
        return ((model(x[s + 1 :], after)[0] - targets[s + 1 :]) ** 2).mean(axis=(1, 2))

    for name in ("0.h", "0.c"):
        for s in range(5):
            found = []
            for unit in range(3):
                near, far = (
                    later_losses(s, name, unit, by) - later_losses(s, name, unit, -by)
                    for by in (size, 2 * size)
                )
                found.append((8 * near - far) / (12 * size))
            for t in range(s + 1, 6):
                wanted = np.linalg.norm([slope[t - s - 1] for slope in found])
                assert math.isclose(flow.norms[name][t, t - s], wanted, rel_tol=1e-8)
        assert flow.norms["0.c"][0, 0] == 0


@pytest.mark.parametrize("layers", [STACKS[1], STACKS[6], STACKS[7], STACKS[9]], ids=words)
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_the_map_of_one_loss_is_the_delta_of_training_on_it(layers, loss):
    model = a_model(layers)
    x, state = an_input(model, 6, 3), a_state(model, 3)
    targets = np.abs(targets_for(model, loss, 6, 3))
    flow = gradient_flow(model, loss, x, targets, state, per_lane=True)
    for t in range(6):
        only = np.zeros((6, 3), bool)
        only[t] = True
        trained = bptt.gradients(model, loss, x, targets, state, mask=only)
        for name, norms in trained.flow.items():
            lanes = flow.norms[name][t, : t + 1]
            assert_close(np.linalg.norm(lanes, axis=1)[::-1], norms[: t + 1] * 3)
            assert not norms[t + 1 :].any()


@pytest.mark.parametrize("weight", [0.8, -0.8])
def test_the_map_adds_up_to_the_delta_of_training(weight):
    """With one unit an error is its norm and a sign, so all losses of a window can be added up."""
    model, loss = a_model([RNN(1, 1, "sigmoid")]), SquaredError()
    model.params["0.Wh"][...] = weight
    x, state, targets = an_input(model, 9, 1), a_state(model, 1), np.linspace(-1, 2, 9)
    targets = targets.reshape(9, 1, 1)
    map_ = gradient_flow(model, loss, x, targets, state).norms["0.h"]
    sign = np.sign(model(x, state)[0] - targets)[:, 0, 0]
    assert set(sign) == {-1, 1}
    deltas = [
        sum(sign[t] * np.sign(weight) ** (t - s) * map_[t, t - s] for t in range(s, 9)) / 9
        for s in range(9)
    ]
    assert_close(bptt.gradients(model, loss, x, targets, state).flow["0.h"], np.abs(deltas))


def test_float32_is_as_good_as_its_rounding():
    model, loss = a_model([Embedding(6, 3), LSTM(3, 5), Linear(5, 4)], "float32"), CrossEntropy()
    x, state, targets = an_input(model, 6, 3), a_state(model, 3), np.ones((6, 3), int)
    flow = gradient_flow(model, loss, x, targets, state, per_lane=True)
    for name, norms in flow.norms.items():
        wanted = wanted_map(model, x, targets, state, name)
        assert norms.dtype == np.float64
        assert_close(np.nan_to_num(norms), np.nan_to_num(wanted), 3e-6)


def test_the_arguments_are_left_alone():
    model = a_model([LSTM(3, 5), Linear(5, 4)])
    x, state, targets = an_input(model, 4, 2), a_state(model, 2), np.ones((4, 2, 4))
    before = [array.copy() for array in (x, targets, state.flat, model.params.flat)]
    gradient_flow(model, SquaredError(), x, targets, state)
    for array, copy in zip((x, targets, state.flat, model.params.flat), before, strict=True):
        assert np.array_equal(array, copy)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"lags": 0}, ValueError, "lags must be a positive integer, got 0"),
        ({"lags": 2.0}, ValueError, "lags must be a positive integer, got 2.0"),
        ({"window": -1}, ValueError, "window must be a positive integer, got -1"),
        ({"loss": "l2"}, TypeError, "loss must be a Loss, got 'l2'"),
        ({"targets": np.zeros((4, 2), int)}, ShapeError, "targets have 4 steps, but x has 3"),
        ({"mask": np.ones((2, 2), bool)}, ShapeError, r"mask must be \(3, 2\) of bool"),
        ({"resets": np.ones((3, 1), bool)}, ShapeError, r"resets must be \(3, 2\) of bool"),
        ({"ended": np.ones((3, 2), int)}, ShapeError, r"ended must be \(3, 2\) of bool"),
        ({"state": {}}, ShapeError, "state has no '0.h'"),
        ({"x": np.zeros((3, 3))}, ShapeError, r"x must be \(T, B, 3\) floats"),
    ],
)
def test_what_does_not_fit(options, error, said):
    model = a_model([LSTM(3, 5), Linear(5, 4)])
    x, targets = np.zeros((3, 2, 3)), np.zeros((3, 2), int)
    given = {"model": model, "loss": CrossEntropy(), "x": x, "targets": targets}
    with pytest.raises(error, match=said):
        gradient_flow(**given | options)
