"""Feedback alignment: errors that go back through fixed random matrices; by hand, and training."""

import math

import naive
import numpy as np
import pytest
from helpers import (
    Frozen,
    a_model,
    a_state,
    a_stream,
    an_input,
    assert_all_close,
    assert_close,
    assert_update,
    flow_of,
    plain,
    words,
)

import bptt
from bptt import (
    GRU,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    Adam,
    CrossEntropy,
    Embedding,
    Linear,
    Model,
    Residual,
    SquaredError,
    Stream,
    Trainer,
)
from bptt.config import build, describe
from bptt.layers import LAYERS

RANDOM = {"feedback": "random"}
STACKS = [
    [RNN(3, 5, **RANDOM), Linear(5, 4, **RANDOM)],
    [LSTM(3, 17, **RANDOM), LSTM(17, 3, **RANDOM)],
    [GRU(3, 5, **RANDOM), Linear(5, 4)],
    [GRU(3, 5, reset_after=False, **RANDOM), Linear(5, 4, **RANDOM)],
    [Embedding(6, 3), Residual(LSTM(3, 3, **RANDOM)), RNN(3, 1, **RANDOM), Linear(1, 4, **RANDOM)],
    [Linear(3, 4), Residual(Linear(4, 4, **RANDOM)), GRU(4, 3, reset_after=False)],
]


def everything(model):
    """Parameters and fixed matrices."""
    return plain(model.arrays)


def check(model, x, targets, state, rel=1e-10, **options):
    found = bptt.gradients(model, SquaredError(), x, targets, state, **options)
    exact = x if model.reads_ids else x.astype(float)
    bound = options.get("clip_delta", math.inf)
    wanted = naive.backward(
        model.layers, everything(model), exact, targets, plain(state), clip_delta=bound
    )
    assert math.isclose(found.loss, wanted.loss, rel_tol=rel)
    assert_all_close(found.params, wanted.params, rel)
    assert_all_close(found.state, wanted.state, rel)
    assert_all_close(found.flow, flow_of(wanted.delta, len(x)), rel)
    if not model.reads_ids:
        assert_close(found.x, wanted.x, rel)
    return found


def given(model, steps, lanes):
    targets = np.random.default_rng(3).normal(size=(steps, lanes, model.n_out))
    return an_input(model, steps, lanes), targets, a_state(model, lanes)


@pytest.mark.parametrize("options", [{}, {"workers": 2, "memory": "sqrt"}, {"clip_delta": 0.05}])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_gradients_with_the_matrices_exchanged(layers, options):
    model = a_model(layers)
    check(model, *given(model, 6, 3), **options)


@pytest.mark.parametrize("layers", STACKS[:5], ids=words)
def test_gradients_in_float32(layers):
    model = a_model(layers, "float32")
    check(model, *given(model, 6, 3), rel=3e-5)


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_every_update_of_a_sliding_window(layers, memory):
    model = a_model(layers)
    stream, (x, targets, there) = a_stream(model, SquaredError(), 29, 3)
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), workers=2,
                      truncation=TBPTT(2, 5, memory=memory))  # fmt: skip
    wanted = naive.tbptt(layers, everything(model), x, targets, there, 2, 5)
    for step, by_hand in zip(trainer.steps(stream), wanted, strict=True):
        assert_update(step, by_hand)


@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_no_error_goes_back_beyond_a_beginning(layers):
    model = a_model(layers)
    x, targets, state = given(model, 7, 2)
    resets = np.zeros((7, 2), bool)
    resets[[3, 5], [0, 1]] = True
    _, whole, _ = bptt.value_and_grad(model, SquaredError(), x, targets, state, resets=resets)
    pieces = 0
    for lane, cut in enumerate((3, 5)):
        own = {name: rows[lane : lane + 1] for name, rows in state.items()}
        for rows, began in ((slice(0, cut), own), (slice(cut, 7), None)):
            lanes = slice(lane, lane + 1)
            _, grads, _ = bptt.value_and_grad(
                model, SquaredError(), x[rows, lanes], targets[rows, lanes], began
            )
            pieces = pieces + grads.flat * len(x[rows]) / 14
    assert_close(whole.flat, pieces)


def twin(model):
    """The same parameters, but errors go back exactly."""
    other = Model([layer.exact() for layer in model.layers], dtype=model.dtype)
    other.params.flat[:] = model.params.flat
    return other


@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_with_the_weights_themselves_it_is_the_gradient_to_the_bit(layers):
    model = a_model(layers)
    exact = twin(model)
    assert not exact.buffers
    assert exact.layers != model.layers
    data = given(model, 5, 3)
    _, aligned, _ = bptt.value_and_grad(model, SquaredError(), *data)
    _, wanted, _ = bptt.value_and_grad(exact, SquaredError(), *data)
    assert np.abs(aligned.flat - wanted.flat).max() > 1e-3
    for name, matrix in model.buffers.items():
        matrix[...] = model.params[name.replace("B", "W")]
    _, aligned, _ = bptt.value_and_grad(model, SquaredError(), *data)
    assert np.array_equal(aligned.flat, wanted.flat)


def test_the_matrices_are_drawn_like_the_weights():
    layers = [LSTM(30, 8, forget_bias=2.0, **RANDOM), Linear(8, 40, **RANDOM)]
    model = Model(layers, seed=3, dtype="float64")
    assert model.buffers.shapes == {"0.Bx": (30, 32), "0.Bh": (8, 32), "1.B": (8, 40)}
    for gate in range(4):
        bh = model.buffers["0.Bh"][:, 8 * gate : 8 * gate + 8]
        np.testing.assert_allclose(bh @ bh.T, np.eye(8), atol=1e-13)
    assert 0.38 < np.abs(model.buffers["0.Bx"]).max() <= np.sqrt(6 / 38)
    assert 0.3 < np.abs(model.buffers["1.B"]).max() <= np.sqrt(6 / 48)
    for name, matrix in model.buffers.items():
        weights = model.params[name.replace("B", "W")]
        assert abs(np.corrcoef(matrix.ravel(), weights.ravel())[0, 1]) < 0.15
    same, other = Model(layers, seed=3, dtype="float64"), Model(layers, seed=4, dtype="float64")
    assert np.array_equal(same.buffers.flat, model.buffers.flat)
    assert not np.isin(other.buffers.flat, model.buffers.flat).any()
    exact = Model([layer.exact() for layer in layers], seed=3, dtype="float64")
    assert np.array_equal(exact.params.flat, model.params.flat)


def test_the_matrices_are_saved_and_never_learned(tmp_path):
    model = a_model(STACKS[4])
    before = model.buffers.flat.copy()
    trainer = Trainer(model, loss=CrossEntropy(), optimizer=SGD(0.1), truncation=TBPTT(2, 5))
    stream = Stream(np.random.default_rng(1).integers(0, 4, 60), 3)
    for _ in range(3):
        next(trainer.steps(stream))
    trainer.save(tmp_path / "trainer")
    model.save(tmp_path / "model")
    other = Trainer.load(tmp_path / "trainer")
    for one, two in zip(trainer.steps(stream), other.steps(stream), strict=True):
        assert np.array_equal(one.grads.flat, two.grads.flat)
    assert np.array_equal(trainer.model.params.flat, other.model.params.flat)
    for kept in (model, other.model, Model.load(tmp_path / "model")):
        assert kept.layers == model.layers
        assert np.array_equal(kept.buffers.flat, before)


@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_what_goes_forward_is_left_alone(layers):
    model = a_model(layers)
    x, _, state = given(model, 5, 2)
    y, final = naive.forward(layers, everything(model), x, plain(state))
    for steps in (2, 5):
        assert_close(model(x[:steps], state)[0], y[:steps], 1e-12)
    assert_all_close(model(x, state)[1], final, 1e-12)
    if any(layer.flowing for layer in layers):
        one_lane = {name: rows[:1] for name, rows in state.items()}
        found, wanted = (
            bptt.jacobian_spectrum(m, x[:, :1], one_lane) for m in (model, twin(model))
        )
        assert np.array_equal(found.state_values, wanted.state_values)


def test_the_flow_is_that_of_the_errors_that_go_back():
    model = a_model(STACKS[0])
    x, targets, state = given(model, 6, 1)
    flow = bptt.gradient_flow(model, SquaredError(), x, targets, state).norms["0.h"]
    for t in range(6):
        alone = naive.backward(
            model.layers, everything(model), x[: t + 1], targets[t : t + 1], plain(state)
        )
        assert_close(flow[t, : t + 1][::-1], np.linalg.norm(alone.delta[0][:, 0], axis=1))


def recalled(model):
    """The loss after training to say which of two ids came two steps ago; log 2 is a guess."""
    ids = np.random.default_rng(5).integers(0, 2, 1000)
    stream = Stream(ids, 10, np.roll(ids, 2))
    trainer = Trainer(model, loss=CrossEntropy(), optimizer=Adam(0.03), truncation=TBPTT(10, 10))
    return trainer.fit(stream, 10, progress=False).train_loss[-1]


def test_a_net_learns_with_it():
    """And not because its readout does: with zeros for matrices nothing else learns."""
    layers = [Embedding(2, 3), RNN(3, 4, **RANDOM), Linear(4, 2, **RANDOM)]
    model, readout = Model(layers, seed=2), Model(layers, seed=2)
    readout.buffers.flat[:] = 0
    assert recalled(model) < 0.1
    assert recalled(readout) > 0.45


@pytest.mark.parametrize("layer", [Linear, RNN, LSTM, GRU])
def test_what_no_feedback_is(layer):
    with pytest.raises(ValueError, match="feedback must be 'exact' or 'random', got 'fixed'"):
        layer(3, 5, feedback="fixed")


@pytest.mark.parametrize("layer", [Linear(3, 5, **RANDOM), Residual(GRU(4, 4, **RANDOM))])
def test_the_option_is_in_words_and_files(layer):
    assert "feedback='random')" in str(layer)
    assert "feedback" not in str(layer.exact())
    assert build(describe(layer, LAYERS), LAYERS) == layer
    assert layer != layer.exact() == build(describe(layer.exact(), LAYERS), LAYERS)
