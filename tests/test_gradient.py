"""Gradients of parameters, input and state, against the oracle and finite differences."""

import math
from functools import partial

import naive
import numpy as np
import pytest
from helpers import (
    EXACT,
    a_model,
    a_state,
    an_input,
    assert_all_close,
    assert_close,
    few,
    plain,
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
    BatchNorm,
    CrossEntropy,
    DataError,
    Embedding,
    Last,
    LayerNorm,
    Linear,
    Max,
    Mean,
    Residual,
    ShapeError,
    SquaredError,
)

ACTIVATIONS = sorted(naive.ACTIVATIONS)
NORMED, PEEPING = partial(LSTM, layer_norm=True), partial(LSTM, peepholes=True)
GATED = [LSTM(3, 5), GRU(3, 5), GRU(3, 5, reset_after=False), NORMED(3, 5), PEEPING(3, 5)]
STACKS = [
    *([RNN(3, 5, name), Linear(5, 4)] for name in ACTIVATIONS),
    *([RNN(3, 7, name), RNN(7, 5, name), Linear(5, 4)] for name in ACTIVATIONS),
    [LSTM(3, 7), Linear(7, 4)],
    [LSTM(3, 5), LSTM(5, 11), Linear(11, 4)],
    [Embedding(6, 3), LSTM(3, 5), RNN(5, 7), Linear(7, 4)],
    [Linear(3, 2), LSTM(2, 5), Linear(5, 4), Linear(4, 3)],
    [LSTM(3, 5)],
    [GRU(3, 7), Linear(7, 4)],
    [GRU(3, 5), GRU(5, 11), Linear(11, 4)],
    [GRU(3, 7, reset_after=False), Linear(7, 4)],
    [Embedding(6, 3), GRU(3, 5), GRU(5, 7, reset_after=False), Linear(7, 4)],
    [Embedding(2, 3), GRU(3, 5, reset_after=False), GRU(5, 4)],
    [NORMED(3, 17), PEEPING(17, 5), Linear(5, 4)],
    [Embedding(2, 3), NORMED(3, 5), PEEPING(5, 3), NORMED(3, 4)],
    [RNN(3, 5, "sigmoid")],
    [Embedding(6, 5)],
    [Embedding(6, 4), Linear(4, 5)],
    [Linear(3, 5)],
    *([Linear(3, 7), Activation(7, name), Linear(7, 4)] for name in ACTIVATIONS),
    [Linear(3, 7), LayerNorm(7), LSTM(7, 17), LayerNorm(17), RNN(17, 4)],
    [Embedding(6, 3), BatchNorm(3), GRU(3, 5), Residual(BatchNorm(5)), RNN(5, 4)],
    [Mean(3)],
    [Max(3)],
    [Last(3)],
    [LSTM(3, 5), Mean(5), Linear(5, 4)],
    [Embedding(6, 5), Max(5), GRU(5, 7), Max(7)],
    [RNN(3, 5), Mean(5), RNN(5, 4), Last(4)],
    [Residual(LSTM(3, 3)), Residual(Linear(3, 3))],
    [Embedding(6, 5), Residual(GRU(5, 5)), Residual(RNN(5, 5)), Residual(Mean(5)), Linear(5, 4)],
]


def targets_for(model, loss, steps, lanes, seed=4):
    rng = np.random.default_rng(seed)
    if isinstance(loss, CrossEntropy):
        return rng.integers(-1, model.n_out, (steps, lanes))
    return rng.normal(size=(steps, lanes, model.n_out))


def check(model, loss, x, targets, state, mask=None, clip_delta=None, workers=1):
    """All that `gradients` returns is what the oracle finds."""
    found = bptt.gradients(
        model, loss, x, targets, state, mask=mask, clip_delta=clip_delta, workers=workers
    )
    bound = math.inf if clip_delta is None else clip_delta
    began = naive.zero_state(model.layers, x.shape[1]) if state is None else plain(state)
    params = plain(model.params)
    wanted = naive.backward(model.layers, params, x, targets, began, mask, bound)
    assert math.isclose(found.loss, wanted.loss, rel_tol=EXACT)
    assert_all_close(found.params, wanted.params)
    assert_all_close(found.state, wanted.state)
    assert_all_close(found.final_state, naive.forward(model.layers, params, x, began)[1])
    if model.reads_ids:
        assert found.x is None
    else:
        assert_close(found.x, wanted.x)
    flow = {f"{i}.h": np.sqrt((d**2).sum(axis=(1, 2))) for i, d in wanted.delta.items()}
    assert_all_close(found.flow, flow)
    return found


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("layers", STACKS, ids=words)
@pytest.mark.parametrize("loss", [CrossEntropy(), SquaredError()], ids=str)
def test_every_gradient_of_every_stack(layers, loss, workers):
    model = a_model(layers)
    x, state = an_input(model, 5, 3), a_state(model, 3)
    mask = np.random.default_rng(5).random((4, 3)) < 0.8
    check(model, loss, x, targets_for(model, loss, 4, 3), state, mask, workers=workers)


@settings(max_examples=few(40))
@given(data=st.data())
def test_gradients_at_random_sizes(data):
    def draw(low, high):
        return data.draw(st.integers(low, high))

    features, units, above = draw(1, 5), draw(1, 19), draw(1, 9)
    cells = [LSTM, RNN, GRU, partial(GRU, reset_after=False), NORMED, PEEPING]
    cell = data.draw(st.sampled_from(cells))
    layers = [cell(features, units), RNN(units, above, data.draw(st.sampled_from(ACTIVATIONS)))]
    model = a_model(layers[: draw(1, 2)])
    loss = data.draw(st.sampled_from([CrossEntropy(), SquaredError()]))
    steps, lanes = draw(1, 7), draw(1, 8)
    rows = draw(1, steps)
    mask = np.random.default_rng(draw(0, 9)).random((rows, lanes)) < 0.7
    state = a_state(model, lanes) if draw(0, 1) else None
    clip_delta = data.draw(st.sampled_from([None, 0.02, 0.2]))
    targets = targets_for(model, loss, rows, lanes)
    check(model, loss, an_input(model, steps, lanes), targets, state, mask, clip_delta, draw(1, 4))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("layers", STACKS[:2] + STACKS[10:22] + STACKS[-5:], ids=words)
def test_clip_delta_bounds_every_delta(layers, workers):
    model = a_model(layers)
    loss, x, state = SquaredError(), an_input(model, 7, 3), a_state(model, 3)
    targets = targets_for(model, loss, 7, 3)
    free = bptt.gradients(model, loss, x, targets, state)
    tight = check(model, loss, x, targets, state, clip_delta=0.03, workers=workers)
    assert np.abs(free.params.flat - tight.params.flat).max() > 1e-3
    for norms in tight.flow.values():
        assert norms.max() <= 0.03 * math.sqrt(3) * (1 + 1e-12)


def test_agrees_with_finite_differences_of_the_model_itself():
    model = a_model([LSTM(3, 5), RNN(5, 7), Linear(7, 4)])
    loss, x, state = CrossEntropy(), an_input(model, 4, 2), a_state(model, 2)
    targets = targets_for(model, loss, 3, 2)

    def value():
        return bptt.value_and_grad(model, loss, x, targets, state)[0]

    found = bptt.gradients(model, loss, x, targets, state)
    rng = np.random.default_rng(0)
    for flat, slopes in (
        (model.params.flat, found.params.flat),
        (state.flat, found.state.flat),
        (x.reshape(-1), found.x.reshape(-1)),
    ):
        for _ in range(3):
            before, direction = flat.copy(), rng.normal(size=flat.size)
            size = 1e-4
            values = []
            for steps in (2, 1, -1, -2):
                flat[:] = before + steps * size * direction
                values.append(value())
            flat[:] = before
            slope = (-values[0] + 8 * values[1] - 8 * values[2] + values[3]) / (12 * size)
            assert math.isclose(slope, direction @ slopes, rel_tol=1e-7)


@pytest.mark.parametrize(
    "layers",
    [STACKS[1], STACKS[11], STACKS[13], *STACKS[15:18], STACKS[20], STACKS[-3], STACKS[-2]],
    ids=words,
)
def test_float32_is_as_good_as_its_rounding(layers):
    model, loss = a_model(layers, "float32"), SquaredError()
    x, state = an_input(model, 6, 5), a_state(model, 5)
    targets = targets_for(model, loss, 6, 5).astype(np.float32)
    found = bptt.gradients(model, loss, x, targets, state)
    wanted = naive.backward(
        layers, plain(model.params), x.astype(float), targets.astype(float), plain(state)
    )
    assert found.params.dtype == found.x.dtype == found.state.dtype == np.float32
    assert_all_close(found.params, wanted.params, 2e-6)
    assert_all_close(found.state, wanted.state, 2e-6)
    assert_close(found.x, wanted.x, 2e-6)


@pytest.mark.parametrize(
    ("cell", "dtype"),
    [
        *((RNN(3, 5, name), "float64") for name in ACTIVATIONS),
        *((RNN(3, 5, name), "float32") for name in ACTIVATIONS),
        *((cell, dtype) for cell in GATED for dtype in ("float64", "float32")),
    ],
    ids=str,
)
def test_logits_straight_from_a_cell(cell, dtype):
    model, x = a_model([cell], dtype), np.ones((4, 2, 3))
    targets = targets_for(model, CrossEntropy(), 4, 2)
    found = bptt.gradients(model, CrossEntropy(), x, targets)
    state = naive.zero_state(model.layers, 2)
    wanted = naive.backward(model.layers, plain(model.params), x, targets, state)
    assert_all_close(found.params, wanted.params, 1e-5)


def test_value_and_grad_gives_the_same_three():
    model = a_model([LSTM(3, 5), Linear(5, 4)])
    x, state, targets = an_input(model, 4, 2), a_state(model, 2), np.ones((2, 2), int)
    found = bptt.gradients(model, CrossEntropy(), x, targets, state)
    loss, grads, final = bptt.value_and_grad(model, CrossEntropy(), x, targets, state)
    assert loss == found.loss
    assert np.array_equal(grads.flat, found.params.flat)
    assert np.array_equal(final.flat, found.final_state.flat)
    assert_close(final.flat, model(x, state)[1].flat, 1e-14)


def test_no_valid_target_no_gradient():
    model = a_model([LSTM(3, 5), Linear(5, 4)])
    found = bptt.gradients(model, CrossEntropy(), an_input(model, 3, 2), np.full((3, 2), -1))
    assert found.loss == 0
    assert not found.params.flat.any()
    assert not found.x.any()


def test_the_arguments_are_left_alone():
    model = a_model([LSTM(3, 5), Linear(5, 4)])
    given = [an_input(model, 4, 2), np.ones((4, 2, 4)), np.ones((4, 2), bool)]
    state = a_state(model, 2)
    before = [array.copy() for array in (*given, state.flat, model.params.flat)]
    x, targets, mask = given
    bptt.gradients(model, SquaredError(), x, targets, state, mask=mask, clip_delta=0.1)
    for array, copy in zip((*given, state.flat, model.params.flat), before, strict=True):
        assert np.array_equal(array, copy)


X = np.zeros((3, 2, 3))
IDS = np.zeros((3, 2), int)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"targets": np.zeros((4, 2), int)}, ShapeError, "targets have 4 steps, but x has 3"),
        ({"targets": np.zeros((0, 2), int)}, ShapeError, "targets have 0 steps"),
        ({"targets": np.zeros((3, 1), int)}, ShapeError, r"targets must be \(T, 2\) integers"),
        ({"targets": np.zeros((3, 2))}, ShapeError, "integer targets, got dtype float64"),
        ({"targets": np.full((3, 2), 4)}, DataError, r"targets\[0, 0\] is 4, .* from 0 to 3"),
        ({"targets": np.full((3, 2), -2)}, DataError, r"targets\[0, 0\] is -2"),
        ({"x": X[0]}, ShapeError, r"x must be \(T, B, 3\) floats"),
        ({"x": X + np.nan}, DataError, r"x\[0, 0, 0\] is nan"),
        ({"state": {}}, ShapeError, "state has no '0.h'"),
        ({"state": {"0.h": X[0], "0.c": X[0]}}, ShapeError, r"state\['0.h'\] must be \(2, 5\)"),
        ({"mask": np.ones((2, 2), bool)}, ShapeError, r"mask must be \(3, 2\) of bool"),
        ({"mask": np.ones((3, 2))}, ShapeError, "got .* of float64"),
        ({"clip_delta": 0.0}, ValueError, "clip_delta must be a positive number"),
        ({"clip_delta": math.nan}, ValueError, "clip_delta must be a positive number"),
        ({"workers": 0}, ValueError, "workers must be a positive integer"),
        ({"workers": True}, ValueError, "workers must be a positive integer"),
    ],
)
def test_what_does_not_fit(options, error, said):
    model = a_model([LSTM(3, 5), Linear(5, 4)])
    given = {"model": model, "loss": CrossEntropy(), "x": X, "targets": IDS} | options
    with pytest.raises(error, match=said):
        bptt.gradients(**given)


@pytest.mark.parametrize(
    ("targets", "error", "said"),
    [
        (IDS, ShapeError, "float targets, got dtype int64"),
        (np.zeros((3, 2, 5)), ShapeError, r"targets must be \(T, 2, 4\), got shape \(3, 2, 5\)"),
        (np.full((3, 2, 4), np.inf), DataError, r"targets\[0, 0, 0\] is inf"),
    ],
)
def test_float_targets_that_do_not_fit(targets, error, said):
    model = a_model([LSTM(3, 5), Linear(5, 4)])
    with pytest.raises(error, match=said):
        bptt.gradients(model, SquaredError(), X, targets)
