"""The error of single losses on its way back, against both oracles."""

import naive
import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_close, plain, words

from bptt import LSTM, RNN, CrossEntropy, Embedding, Linear, SquaredError
from bptt.probe import last_loss_errors

STACKS = [
    [RNN(3, 5)],
    [LSTM(3, 5), Linear(5, 4)],
    [Embedding(6, 3), LSTM(3, 5), RNN(5, 2), Linear(2, 4)],
    [Linear(3, 2), RNN(2, 4, "sigmoid"), Linear(4, 3), LSTM(3, 4), Linear(4, 3), Linear(3, 4)],
]


def side_by_side(delta, valid):
    """layer -> (T, B, H) as (lag, valid lanes, ΣH)."""
    together = np.concatenate([delta[i] for i in sorted(delta)], axis=2)
    return together[::-1, valid[0]]


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_errors_are_the_derivatives_of_the_last_losses(layers, steps):
    model, lanes = a_model(layers), 3
    rng, x, state = np.random.default_rng(1), an_input(model, steps, lanes), a_state(model, lanes)
    valid = np.array([[True, False, True]])
    if model.reads_ids:
        loss, targets = CrossEntropy(), np.array([[1, -1, 3]], np.int32)
    else:
        loss, targets = SquaredError(), rng.normal(size=(1, lanes, model.n_out))
    found = last_loss_errors(model, loss, x, targets, valid, state)
    assert found.dtype == np.float64
    params, began = plain(model.params), plain(state)
    by_hand = naive.backward(layers, params, x, targets, began, mask=valid, scale=1.0)
    assert_close(found, side_by_side(by_hand.delta, valid), 1e-12)

    def total(nudges):
        y, _ = naive.forward(layers, params, x, began, nudges)
        return (naive.losses(y[..., -1:, :, :], targets) * valid).sum(axis=(-2, -1))

    zeros = {i: np.zeros_like(delta) for i, delta in by_hand.delta.items()}
    assert_close(found, side_by_side(naive.complex_step(total, zeros), valid), 1e-12)


def test_a_probe_leaves_the_state_and_the_parameters_alone():
    model = a_model(STACKS[1])
    x, state = an_input(model, 4, 2), a_state(model, 2)
    before = state.flat.copy(), model.params.flat.copy()
    targets, valid = np.zeros((1, 2, 4)), np.ones((1, 2), bool)
    first, again = (
        last_loss_errors(model, SquaredError(), x, targets, valid, state) for _ in range(2)
    )
    assert first.tobytes() == again.tobytes()
    assert np.array_equal(before[0], state.flat)
    assert np.array_equal(before[1], model.params.flat)
