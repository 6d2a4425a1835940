"""Penalties on activations: which steps have one, and PyTorch's formula for one window."""

import math

import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_all_close, assert_close

import bptt
from bptt import LSTM, RNN, ActivationPenalty, Linear, Residual, SquaredError


def trained(layers, x, targets, state=None, **options):
    """Gradients in training."""
    return bptt.gradients(a_model(layers), SquaredError(), x, targets, state, seed=0, **options)


def test_the_formula_of_one_window():
    torch = pytest.importorskip("torch")
    alpha, beta, steps = 1.5, 0.8, 6
    layers = [RNN(3, 5), ActivationPenalty(5, alpha, beta), Linear(5, 2)]
    model = a_model(layers)
    x, targets = an_input(model, steps, 3), np.random.default_rng(7).normal(size=(steps, 3, 2))
    params = {name: torch.tensor(p, requires_grad=True) for name, p in model.params.items()}
    h, all_h = torch.zeros(3, 5, dtype=torch.float64), []
    for x_t in torch.tensor(x):
        h = torch.tanh(x_t @ params["0.Wx"] + h @ params["0.Wh"] + params["0.b"])
        all_h.append(h)
    h = torch.stack(all_h)
    y = h @ params["2.W"] + params["2.b"]
    loss = torch.nn.functional.mse_loss(y, torch.tensor(targets))
    pairs = (steps - 1) / steps
    changes = (h[1:] - h[:-1]).pow(2).mean()
    (loss + alpha * h.pow(2).mean() + pairs * beta * changes).backward()
    found = trained(layers, x, targets)
    assert_all_close(found.params, {name: p.grad.numpy() for name, p in params.items()})
    assert math.isclose(found.loss, loss.item())


def test_padding_and_steps_without_a_target_have_no_penalty():
    layers = [RNN(3, 4), ActivationPenalty(4, 1.0, 1.0), Linear(4, 2)]
    rng = np.random.default_rng(1)
    x, targets = rng.normal(size=(8, 2, 3)), rng.normal(size=(8, 2, 2))
    there = np.ones((8, 2), bool)
    there[5:] = False
    padded = trained(layers, x, targets, mask=there, ended=~there)
    short = trained(layers, x[:5], targets[:5])
    assert_all_close(padded.params, short.params)
    masked = trained([ActivationPenalty(3), Linear(3, 2)], x, targets, mask=there & False)
    assert not masked.x.any()


def test_where_the_error_of_a_step_goes():
    """A loss of nothing, so that all that is left is the penalty of the one step with a target."""
    x = np.random.default_rng(2).normal(size=(5, 1, 3))
    layers = [ActivationPenalty(3, 3.0, 5.0)]
    mask = np.array([False, False, True, False])[:, np.newaxis]
    found = trained(layers, x, x[1:], mask=mask).x
    wanted = np.zeros_like(x)
    wanted[3] = 2 * 3.0 / 3 * x[3] + 2 * 5.0 / 3 * (x[3] - x[2])
    wanted[2] = -2 * 5.0 / 3 * (x[3] - x[2])
    assert_close(found, wanted)


def test_no_change_is_seen_where_a_sequence_begins():
    x = np.random.default_rng(2).normal(size=(2, 2, 3))
    layers = [ActivationPenalty(3, 0.0, 1.0)]
    resets = np.array([[False, False], [False, True]])
    found = trained(layers, x, x, resets=resets).x
    assert not found[:, 1].any()
    assert_close(found[1, 0], 2 / 3 / 4 * (x[1, 0] - x[0, 0]))
    state = trained(layers, x[:1], x[:1]).final_state
    later = trained(layers, x[1:], x[1:], state)
    assert_close(later.x[0], 2 / 3 / 2 * (x[1] - x[0]))
    assert_close(later.state["0.h"], -later.x[0])


def test_outside_training_there_is_none():
    bare = [LSTM(3, 4), Linear(4, 2)]
    layers = [bare[0], ActivationPenalty(4), bare[1]]
    x, targets = an_input(a_model(bare), 5, 2), np.ones((5, 2, 2))
    one, two = (
        bptt.gradients(a_model(stack), SquaredError(), x, targets) for stack in (bare, layers)
    )
    assert np.array_equal(one.params.flat, two.params.flat)
    assert np.array_equal(one.x, two.x)


@pytest.mark.parametrize("n", [1, 3, 17])
@pytest.mark.parametrize("lanes", [1, 3])
def test_float32_is_float64_rounded(n, lanes):
    layers = [RNN(3, n), ActivationPenalty(n), Residual(ActivationPenalty(n, 0.5, 0.5))]
    found = []
    for dtype in ("float64", "float32"):
        model = a_model(layers, dtype)
        x = an_input(a_model(layers), 6, lanes).astype(dtype)
        state, targets = a_state(model, lanes), np.ones((6, lanes, n), dtype)
        found.append(bptt.gradients(model, SquaredError(), x, targets, state, seed=0))
    assert found[1].params.dtype == np.float32
    assert_all_close(found[1].params, found[0].params, 1e-5)


@pytest.mark.parametrize("value", [-1, math.inf, math.nan, True, None, "2"])
@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_weights_are_numbers_from_zero_on(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a number from 0 on, got"):
        ActivationPenalty(3, **{name: value})
