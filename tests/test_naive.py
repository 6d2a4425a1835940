"""The oracles agree with each other: the backward pass written by hand, and complex steps."""

import naive
import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_all_close, assert_close, plain, words

from bptt import (
    GRU,
    LSTM,
    RNN,
    Activation,
    BatchNorm,
    Embedding,
    Last,
    LayerNorm,
    Linear,
    Max,
    Mean,
    Residual,
)

RNG = np.random.default_rng(3)
STACKS = [
    *([RNN(3, 5, name), Linear(5, 4)] for name in naive.ACTIVATIONS),
    [LSTM(3, 5), Linear(5, 4)],
    [LSTM(3, 5, peepholes=True), LSTM(5, 4, layer_norm=True)],
    [GRU(3, 5), GRU(5, 4)],
    [GRU(3, 5, reset_after=False), GRU(5, 4, reset_after=False)],
    [Linear(3, 2), LSTM(2, 5), RNN(5, 4)],
    [Embedding(6, 2), RNN(2, 3), LSTM(3, 4)],
    [Embedding(6, 4)],
    [RNN(3, 5), Mean(5), Max(5), Last(5), Linear(5, 4)],
    [Max(3), Residual(LSTM(3, 3)), Linear(3, 4)],
    [Linear(3, 5), Activation(5, "sigmoid"), LayerNorm(5), GRU(5, 4), BatchNorm(4)],
    [Residual(Linear(3, 3)), Residual(Mean(3)), GRU(3, 4)],
]


def by_complex_step(layers, params, x, targets, state, mask):
    """Gradients of params, x, state and the δ of every recurrent layer."""
    given = {("params", n): p for n, p in params.items()}
    given |= {("state", n): s for n, s in state.items()}
    steps, lanes = x.shape[:2]
    given |= {
        ("delta", i): np.zeros((steps, lanes, layer.sizes[1]))
        for i, layer in enumerate(layers)
        if layer.carried
    }
    if x.dtype.kind == "f":
        given["x", 0] = x

    def loss(tried):
        parts = {kind: {n: a for (k, n), a in tried.items() if k == kind} for kind, _ in tried}
        x_tried = parts.get("x", {0: x})[0]
        y, _ = naive.forward(
            layers, parts["params"], x_tried, parts.get("state", {}), parts.get("delta")
        )
        return naive.mean_loss(y, targets, mask)

    found = naive.complex_step(loss, given)
    return {
        kind: {n: a for (k, n), a in found.items() if k == kind}
        for kind in ("params", "state", "delta", "x")
    }


@pytest.mark.parametrize("layers", STACKS, ids=words)
@pytest.mark.parametrize("kind", ["ids", "floats"])
def test_backward_is_the_derivative_of_forward(layers, kind):
    model = a_model(layers)
    x, state = an_input(model, 5, 3), plain(a_state(model, 3))
    targets = RNG.integers(-1, 4, (4, 3)) if kind == "ids" else RNG.normal(size=(4, 3, 4))
    mask = RNG.random((4, 3)) < 0.8
    params = plain(model.params)
    found = naive.backward(layers, params, x, targets, state, mask)
    wanted = by_complex_step(layers, params, x, targets, state, mask)
    assert_all_close(found.params, wanted["params"], 1e-12)
    assert_all_close(found.state, wanted["state"], 1e-12)
    assert_all_close(found.delta, wanted["delta"], 1e-12)
    if x.dtype.kind == "f":
        assert_close(found.x, wanted["x"][0], 1e-12)


def test_complex_step_agrees_with_finite_differences():
    layers = [LSTM(2, 3), Linear(3, 2)]
    model = a_model(layers)
    x, targets = an_input(model, 4, 2), RNG.integers(0, 2, (4, 2))
    params, state = plain(model.params), naive.zero_state(layers, 2)

    def loss(params):
        return naive.mean_loss(naive.forward(layers, params, x, state)[0], targets)

    exact = naive.complex_step(loss, params)
    for name, value in params.items():
        for place in np.ndindex(value.shape):
            up, down = value.copy(), value.copy()
            up[place] += 1e-6
            down[place] -= 1e-6
            slope = (loss(params | {name: up}) - loss(params | {name: down})) / 2e-6
            assert abs(slope - exact[name][place]) < 1e-8


def test_a_bounded_delta_is_no_longer_than_the_bound():
    layers = [LSTM(3, 5), RNN(5, 4), Linear(4, 3)]
    model = a_model(layers)
    x, targets = an_input(model, 6, 3), RNG.normal(size=(6, 3, 3))
    state, params = plain(a_state(model, 3)), plain(model.params)
    free = naive.backward(layers, params, x, targets, state)
    tight = naive.backward(layers, params, x, targets, state, clip_delta=0.05)
    for i in (0, 1):
        assert np.linalg.norm(free.delta[i], axis=2).max() > 0.06
        assert np.linalg.norm(tight.delta[i], axis=2).max() <= 0.05 * (1 + 1e-12)
    loose = naive.backward(layers, params, x, targets, state, clip_delta=1e6)
    assert_all_close(loose.params, free.params, 1e-15)


def test_lanes_are_consecutive_pieces_the_longer_first():
    laid, there = naive.lanes(np.arange(1, 8), 3)
    assert laid.tolist() == [[1, 4, 6], [2, 5, 7], [3, 0, 0]]
    assert there.tolist() == [[True] * 3, [True] * 3, [True, False, False]]
