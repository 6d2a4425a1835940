"""Zoneout: what it keeps, and that nothing is left of it where it keeps nothing."""

import naive
import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_all_close, assert_close, plain, words

import bptt
from bptt import GRU, LSTM, RNN, Embedding, Linear, Residual, SquaredError, Zoneout
from bptt.layers import zoneout

CELLS = [RNN(3, 5, "sigmoid"), LSTM(3, 5), GRU(3, 5), GRU(3, 5, reset_after=False)]
SIZES = [
    (1, [Zoneout(LSTM(3, 17), 0.3, 0.5)]),
    (1, [Zoneout(GRU(3, 17), 0.3)]),
    (3, [Zoneout(RNN(2, 1, "leaky_relu"), 0.5), Zoneout(GRU(1, 17, reset_after=False), 0.3)]),
    (5, [Embedding(3, 3), Zoneout(LSTM(3, 2), 0.3, 0.5)]),
    (5, [Embedding(3, 3), Zoneout(GRU(3, 2), 0.3)]),
]
"""Lanes and layers; ids so few that an embedding is not written out."""


def trained(model, x, targets, state, **options):
    """Gradients in training."""
    return bptt.gradients(model, SquaredError(), x, targets, state, seed=3, **options)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("lanes", "layers"), SIZES, ids=str)
def test_the_gradient_at_odd_sizes(lanes, layers, dtype):
    model = a_model(layers, dtype)
    x, state = an_input(model, 6, lanes), a_state(model, lanes)
    targets = np.random.default_rng(5).normal(size=(6, lanes, model.n_out)).astype(dtype)
    exact = x if model.reads_ids else x.astype(float)

    def loss(tried):
        y, _ = naive.forward(layers, tried, exact, plain(state), seed=3)
        return naive.mean_loss(y, targets.astype(float))

    found = trained(model, x, targets, state)
    rel = 1e-10 if dtype == "float64" else 2e-5
    assert_all_close(found.params, naive.complex_step(loss, plain(model.params)), rel)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: words([cell]))
def test_delta_is_the_error_of_what_comes_out(cell):
    layers = [Zoneout(cell, 0.4, 0.5 if isinstance(cell, LSTM) else 0.0), Linear(5, 2)]
    model = a_model(layers)
    x, state = an_input(model, 6, 3), a_state(model, 3)
    targets = np.random.default_rng(6).normal(size=(6, 3, 2))

    def loss(tried):
        y, _ = naive.forward(layers, plain(model.params), x, plain(state), tried, seed=3)
        return naive.mean_loss(y, targets)

    delta = naive.complex_step(loss, {0: np.zeros((6, 3, 5))})[0]
    wanted = np.sqrt((delta**2).sum(axis=(1, 2)))
    for memory in (None, "sqrt"):
        assert_close(trained(model, x, targets, state, memory=memory).flow["0.h"], wanted)
    bound = float(np.median(np.linalg.norm(delta, axis=2)))
    last = np.linalg.norm(delta[-1], axis=1)
    bounded = trained(model, x, targets, state, clip_delta=bound)
    assert_close(bounded.flow["0.h"][-1], np.linalg.norm(np.minimum(last, bound)))
    assert (bounded.flow["0.h"] <= bound * 3**0.5 * (1 + 1e-12)).all()


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: words([cell]))
def test_without_shares_it_is_the_layer(cell):
    plain_model, model = a_model([cell, Linear(5, 2)]), a_model([Zoneout(cell), Linear(5, 2)])
    x, state, targets = an_input(model, 9, 3), a_state(model, 3), np.ones((9, 3, 2))
    resets = np.random.default_rng(0).random((9, 3)) < 0.2
    one, two = (trained(m, x, targets, state, resets=resets) for m in (plain_model, model))
    for name in ("params", "state", "final_state"):
        assert np.array_equal(getattr(one, name).flat, getattr(two, name).flat)
    assert np.array_equal(one.x, two.x)
    assert np.array_equal(model(x, state)[0], plain_model(x, state)[0])


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: words([cell]))
def test_a_unit_keeps_its_value_or_has_the_layers(cell):
    shares = {"h": 0.3, "c": 0.6} if isinstance(cell, LSTM) else {"h": 0.3}
    model, inside = a_model([Zoneout(cell, **shares)]), a_model([cell])
    x, state, targets = an_input(model, 1, 400), a_state(model, 400), np.zeros((1, 400, 5))
    new = bptt.gradients(inside, SquaredError(), x, targets, state).final_state
    found = trained(model, x, targets, state).final_state
    kept = {name: found[f"0.{name}"] == state[f"0.{name}"] for name in shares}
    for name, share in shares.items():
        assert np.array_equal(kept[name], found[f"0.{name}"] != new[f"0.{name}"])
        assert abs(kept[name].mean() - share) < 0.04
    if len(kept) > 1:
        assert abs(np.corrcoef(kept["h"].ravel(), kept["c"].ravel())[0, 1]) < 0.08


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_call_step_by_step_is_one_call(lanes):
    layers = [Zoneout(LSTM(3, 5), 0.1, 0.4), Zoneout(GRU(5, 4), 0.2), Zoneout(RNN(4, 3), 0.3)]
    model = a_model(layers)
    x, state = an_input(model, 20, lanes), a_state(model, lanes)
    y, final = model(x, state)
    for t in range(20):
        one, state = model(x[t : t + 1], state)
        assert_close(one[0], y[t], 1e-12)
    assert_all_close(state, final, 1e-12)


def test_a_file_brings_it_back(tmp_path):
    model = a_model([Residual(Zoneout(LSTM(3, 3, forget_bias=2.0), 0.1, 0.4))])
    model.save(tmp_path / "model")
    again = bptt.Model.load(tmp_path / "model")
    assert again.layers == model.layers
    x = an_input(model, 4, 2)
    assert np.array_equal(again(x)[0], model(x)[0])


@pytest.mark.parametrize("layer", [Linear(3, 3), Residual(RNN(3, 3)), "LSTM", Zoneout(RNN(3, 3))])
def test_what_is_no_recurrent_layer(layer):
    with pytest.raises(TypeError, match="Zoneout takes an RNN, LSTM or GRU, got "):
        Zoneout(layer)


@pytest.mark.parametrize("share", [-0.1, 1, 1.0, True, None, "0.5"])
def test_shares_are_below_one(share):
    with pytest.raises(ValueError, match=r"h must be in \[0, 1\), got"):
        Zoneout(LSTM(3, 5), h=share)
    with pytest.raises(ValueError, match=r"c must be in \[0, 1\), got"):
        Zoneout(LSTM(3, 5), c=share)


@pytest.mark.parametrize("cell", [RNN(3, 5), GRU(3, 5)], ids=str)
def test_only_an_lstm_has_a_cell_to_keep(cell):
    with pytest.raises(ValueError, match=r"\(3, 5\) has no c to keep, so c must be 0, got 0.5"):
        Zoneout(cell, 0.1, 0.5)


def test_an_option_that_the_loops_do_not_know_is_refused(monkeypatch):
    monkeypatch.setattr(zoneout, "_OPTIONS", ("n_in", "n"))
    Zoneout(LSTM(3, 5))
    with pytest.raises(ValueError, match="Zoneout does not know forget_bias, which LSTM"):
        Zoneout(LSTM(3, 5, forget_bias=2.0))
