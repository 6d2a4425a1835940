"""Real-time recurrent learning gives the gradient of full backpropagation, step by step."""

import math

import naive
import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_all_close, assert_close, plain, words

import bptt
from bptt import (
    GRU,
    LSTM,
    RNN,
    CrossEntropy,
    DataError,
    Dropout,
    Embedding,
    Linear,
    Max,
    Mean,
    Model,
    Residual,
    ShapeError,
    SquaredError,
)

STACKS = [
    [RNN(3, 4), Linear(4, 2)],
    [LSTM(3, 3), LSTM(3, 2)],
    [GRU(3, 4), Linear(4, 3), GRU(3, 2, reset_after=False)],
    [Embedding(5, 3), RNN(3, 3, "relu"), GRU(3, 3, reset_after=False), Linear(3, 2)],
    [Embedding(5, 3), LSTM(3, 3), Dropout(3, 0.5), Linear(3, 5, tied=True)],
    [Linear(3, 3), Residual(RNN(3, 3)), Mean(3), Max(3)],
    [Linear(3, 2)],
]


def given(model, loss, steps, lanes, later=2):
    """Input, targets of all but the first ``later`` steps, and a state that is not zero."""
    rng, shape = np.random.default_rng(3), (steps - later, lanes)
    if isinstance(loss, CrossEntropy):
        targets = rng.integers(-1, model.n_out, shape)
    else:
        targets = rng.normal(size=(*shape, model.n_out))
    return an_input(model, steps, lanes), targets, a_state(model, lanes)


def some_marks(steps, lanes, later=2):
    rng = np.random.default_rng(6)
    mask = rng.random((steps - later, lanes)) < 0.6
    mask[1] = False
    return {"mask": mask, "resets": rng.random((steps, lanes)) < 0.2}


@pytest.mark.parametrize("marks", [{}, some_marks(7, 3)], ids=["plain", "marked"])
@pytest.mark.parametrize("loss", [CrossEntropy(), SquaredError()], ids=str)
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_it_is_the_gradient_of_bptt(layers, loss, marks):
    model = a_model(layers)
    before = model.params.flat.copy()
    data = given(model, loss, 7, 3)
    found, grads, final = bptt.rtrl(model, loss, *data, **marks)
    wanted, full, state = bptt.value_and_grad(model, loss, *data, **marks)
    assert math.isclose(found, wanted, rel_tol=1e-12)
    assert_all_close(grads, full)
    assert_all_close(final, state, 1e-12)
    assert np.array_equal(model.params.flat, before)


@pytest.mark.parametrize("layers", STACKS[:4], ids=words)
def test_every_step_has_the_gradient_of_its_loss_alone(layers):
    model = a_model(layers)
    x, targets, state = given(model, SquaredError(), 6, 3)
    marks = some_marks(6, 3)
    mask, resets = marks["mask"], marks["resets"]
    found = list(bptt.rtrl_steps(model, SquaredError(), x, targets, state, **marks))
    assert len(found) == 6
    for t, step in enumerate(found):
        assert_all_close(step.state, model(x[: t + 1], state, resets[: t + 1])[1], 1e-12)
        count = int(mask[t - 2].sum()) if t >= 2 else 0
        assert step.targets == count
        if not count:
            assert math.isnan(step.loss)
            assert not step.grads.flat.any()
            continue
        alone, newest = (
            {"resets": resets[: t + 1], "mask": mask[t - 2 : t - 1]},
            targets[t - 2 : t - 1],
        )
        loss, grads, _ = bptt.value_and_grad(
            model, SquaredError(), x[: t + 1], newest, state, **alone
        )
        assert math.isclose(step.loss, loss, rel_tol=1e-12)
        assert_all_close(step.grads, grads)


def test_by_complex_step():
    layers = STACKS[1]
    model = a_model(layers)
    x, targets, state = given(model, SquaredError(), 5, 2)
    _, grads, _ = bptt.rtrl(model, SquaredError(), x, targets, state)

    def loss(tried):
        y, _ = naive.forward(layers, tried, x, plain(state))
        return naive.mean_loss(y, targets)

    assert_all_close(grads, naive.complex_step(loss, plain(model.params)))


def test_in_float32():
    model = a_model(STACKS[4], "float32")
    data = given(model, CrossEntropy(), 7, 3)
    _, grads, _ = bptt.rtrl(model, CrossEntropy(), *data)
    assert grads.dtype == np.float32
    assert_all_close(grads, bptt.value_and_grad(model, CrossEntropy(), *data)[1], 1e-5)


def test_feedback_alignment_is_left_out():
    layers = [RNN(3, 4, feedback="random"), Residual(Linear(4, 4, feedback="random"))]
    model = a_model(layers)
    exact = Model([layer.exact() for layer in layers], dtype="float64")
    exact.params.flat[:] = model.params.flat
    data = given(model, SquaredError(), 5, 2)
    _, grads, _ = bptt.rtrl(model, SquaredError(), *data)
    assert_all_close(grads, bptt.value_and_grad(exact, SquaredError(), *data)[1])


def test_parameters_that_move_between_steps():
    """The influence is carried on: M_t = J_t M_{t-1} + F_t, each by the parameters of step t."""
    model = a_model([RNN(2, 3), Linear(3, 2)])
    x, targets, state = given(model, SquaredError(), 5, 1, later=0)
    params, h, influence = plain(model.params), state["0.h"][0].copy(), np.zeros((3, 18))
    for t, step in enumerate(bptt.rtrl_steps(model, SquaredError(), x, targets, state)):
        wx, wh = params["0.Wx"], params["0.Wh"]
        before, h = h, np.tanh(x[t, 0] @ wx + h @ wh + params["0.b"])
        slope = np.diag(1 - h**2)
        of_z = [np.kron(x[t, 0][None], np.eye(3)), np.kron(before[None], np.eye(3)), np.eye(3)]
        influence = slope @ wh.T @ influence + slope @ np.hstack(of_z)
        error = h @ params["1.W"] + params["1.b"] - targets[t, 0]
        wanted = [params["1.W"] @ error @ influence, np.outer(h, error).ravel(), error]
        assert_close(step.grads.flat, np.concatenate(wanted))
        model.params.flat[:] -= 0.3 * step.grads.flat
        params = plain(model.params)


def test_it_learns_online():
    ids = np.tile([0, 1, 1, 2, 0, 2], 60)[:, np.newaxis]
    model = Model([Embedding(3, 3), RNN(3, 6), Linear(6, 3)])
    losses = []
    for step in bptt.rtrl_steps(model, CrossEntropy(), ids[:-1], ids[1:]):
        model.params.flat[:] -= 0.3 * step.grads.flat
        losses.append(step.loss)
    assert np.mean(losses[:12]) > 1
    assert np.mean(losses[-12:]) < 0.1


def test_what_is_too_large_is_refused():
    model = Model([LSTM(30, 100), Linear(100, 10)])
    x, targets = np.zeros((2, 3, 30)), np.zeros((2, 3, 10))
    said = "of 200 states by 53,410 parameters for 3 lanes, 32,046,000 numbers; 20,000,000 are the"
    for run in (bptt.rtrl, bptt.rtrl_steps):
        with pytest.raises(ValueError, match=said):
            run(model, SquaredError(), x, targets)


def test_what_does_not_fit_is_refused_before_the_first_step():
    model = a_model(STACKS[3])
    x, targets, state = given(model, CrossEntropy(), 4, 2)
    for run in (bptt.rtrl, bptt.rtrl_steps):
        with pytest.raises(TypeError, match="loss must be a Loss, got"):
            run(model, CrossEntropy, x, targets)
        with pytest.raises(DataError, match="has ids 0 to 4"):
            run(model, CrossEntropy(), x + 9, targets)
        with pytest.raises(ShapeError, match="targets have 2 steps, but x has 1"):
            run(model, CrossEntropy(), x[:1], targets)
        with pytest.raises(ShapeError, match="state has no"):
            run(model, CrossEntropy(), x, targets, {})
        for name, shape in (("mask", (2, 2)), ("resets", (4, 2))):
            with pytest.raises(ShapeError, match=rf"{name} must be \({shape[0]}, 2\) of bool"):
                run(model, CrossEntropy(), x, targets, state, **{name: np.ones((3, 2), bool)})
