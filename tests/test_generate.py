"""model.generate: the ids and forecasts of a plain loop, the same for a seed, and clear errors."""

import math

import naive
import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_all_close, assert_close, plain

from bptt import GRU, LSTM, RNN, DataError, Embedding, Linear, Mean, Model, Residual, ShapeError

IDS = [Embedding(6, 3), LSTM(3, 5), Residual(GRU(5, 5)), Mean(5), Linear(5, 6)]
FLOATS = [RNN(3, 5), LSTM(5, 4), Linear(4, 3)]


def drawn(logits, temperature, top_k, uniform):
    """One id from logits (V,), one probability at a time."""
    if temperature == 0:
        return int(np.argmax(logits))
    kept = np.sort(logits)[-top_k:] if top_k else logits
    weights = [math.exp(z / temperature) if z in kept else 0.0 for z in logits]
    below = 0.0
    for i, weight in enumerate(weights):
        below += weight / sum(weights)
        if below > uniform:
            return i
    raise AssertionError("probabilities do not add up to 1")


def sampled(model, start, steps, state, temperature, top_k, seed):
    """Ids and the state before the last, by the oracle, with the same random draws."""
    rng, params = np.random.default_rng(seed), plain(model.params)
    y, state = naive.forward(model.layers, params, start, state)
    ids = []
    for _ in range(steps):
        before = state
        numbers = rng.random(start.shape[1])
        ids.append([drawn(*pair) for pair in zip(
            y[-1], [temperature] * len(numbers), [top_k] * len(numbers), numbers, strict=True
        )])  # fmt: skip
        y, state = naive.forward(model.layers, params, np.array(ids[-1:]), state)
    return np.array(ids), before


@pytest.mark.parametrize("top_k", [None, 1, 3, 6])
@pytest.mark.parametrize("temperature", [0, 0.3, 1.0, 2.5])
def test_ids_are_those_of_a_plain_loop(temperature, top_k):
    model = a_model(IDS)
    start, state = an_input(model, 4, 3), a_state(model, 3)
    ids, after = model.generate(
        start, 20, state=state, temperature=temperature, top_k=top_k, seed=5
    )
    wanted, before_last = sampled(model, start, 20, plain(state), temperature, top_k, 5)
    assert ids.tolist() == wanted.tolist()
    assert_all_close(after, before_last)


def test_a_forecast_is_that_of_a_plain_loop():
    model = a_model(FLOATS)
    start, state = an_input(model, 4, 2), a_state(model, 2)
    out, after = model.generate(start, 9, state=state)
    params = plain(model.params)
    y, now = naive.forward(FLOATS, params, start, plain(state))
    for t in range(9):
        assert_close(out[t], y[-1])
        before = now
        y, now = naive.forward(FLOATS, params, y[-1:], now)
    assert_all_close(after, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", [IDS, FLOATS], ids=["ids", "floats"])
def test_one_lane_without_its_axis(layers, dtype):
    model = a_model(layers, dtype)
    start = an_input(model, 4, 1)
    whole, after = model.generate(start, 5, seed=2)
    flat, same = model.generate(start[:, 0], 5, seed=2)
    assert whole.shape == (5, 1, *start.shape[2:])
    assert np.array_equal(flat, whole[:, 0])
    assert np.array_equal(same.flat, after.flat)


@pytest.mark.parametrize("layers", [IDS, FLOATS], ids=["ids", "floats"])
def test_it_goes_on_from_its_state(layers):
    model = a_model(layers)
    start = an_input(model, 3, 2)
    whole, final = model.generate(start, 12, temperature=1.0 if layers is FLOATS else 0)
    options = {} if layers is FLOATS else {"temperature": 0}
    first, state = model.generate(start, 7, **options)
    rest, after = model.generate(first[-1:], 5, state=state, **options)
    assert_close(np.concatenate([first, rest]), whole, 1e-13)
    assert_all_close(after, plain(final), 1e-13)


def test_the_seed_decides():
    model = a_model(IDS)
    start = an_input(model, 2, 4)
    first, same, other = (model.generate(start, 30, seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    alike = model.generate(np.repeat(start[:, :1], 2, axis=1), 30)[0]
    assert not np.array_equal(alike[:, 0], alike[:, 1])


def test_draws_are_as_frequent_as_they_are_likely():
    model = Model([Embedding(3, 3)], dtype="float64")
    model.params["0.W"][...] = np.log([0.5, 0.2, 0.3])
    ids, _ = model.generate(np.zeros((1, 500), int), 40)
    shares = np.bincount(ids.ravel(), minlength=3) / ids.size
    np.testing.assert_allclose(shares, [0.5, 0.2, 0.3], atol=0.015)
    ids, _ = model.generate(np.zeros((1, 500), int), 40, top_k=2)
    shares = np.bincount(ids.ravel(), minlength=3) / ids.size
    np.testing.assert_allclose(shares, [0.625, 0, 0.375], atol=0.015)


def test_among_equals_top_k_does_not_choose():
    model = Model([Embedding(4, 4)])
    model.params["0.W"][...] = [0.0, 1.0, 1.0, -1.0]
    ids, _ = model.generate(np.zeros((1, 50), int), 4, top_k=1)
    assert set(ids.ravel().tolist()) == {1, 2}


@pytest.mark.parametrize("temperature", [1e-310, 1e300])
def test_extreme_temperatures(temperature):
    model = a_model(IDS, "float32")
    start = an_input(model, 2, 2)
    ids, _ = model.generate(start, 20, temperature=temperature)
    assert ids.min() >= 0
    assert ids.max() < 6
    if temperature < 1:
        assert np.array_equal(ids, model.generate(start, 20, temperature=0)[0])


def test_the_arguments_are_left_alone():
    for layers in (IDS, FLOATS):
        model = a_model(layers)
        start, state = an_input(model, 3, 2), a_state(model, 2)
        copies = start.copy(), state.flat.copy()
        model.generate(start, 3, state=state)
        assert np.array_equal(start, copies[0])
        assert np.array_equal(state.flat, copies[1])


START = np.zeros((2, 1), int)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"start": np.array([0, 6])}, DataError, r"start\[1\] is 6, but Embedding\(6, 3\) has ids"),
        ({"start": START[:0]}, ShapeError, "at least one step and one lane"),
        ({"start": START.astype(float)}, ShapeError, r"start must be \(T, B\) integers"),
        ({"start": 3}, ShapeError, r"start must be \(T, B\) integers .* got shape \(\)"),
        ({"state": {}}, ShapeError, "state has no '1.h'"),
        ({"steps": 0}, ValueError, "steps must be a positive integer, got 0"),
        ({"temperature": -0.1}, ValueError, "temperature must be a number from 0 on, got -0.1"),
        ({"temperature": math.nan}, ValueError, "from 0 on, got nan"),
        ({"temperature": math.inf}, ValueError, "from 0 on, got inf"),
        ({"temperature": "hot"}, ValueError, "from 0 on, got 'hot'"),
        ({"temperature": True}, ValueError, "from 0 on, got True"),
        ({"top_k": 0}, ValueError, "top_k must be a positive integer, got 0"),
        ({"top_k": 7}, ValueError, "top_k must be at most 6, the number of ids, got 7"),
        ({"top_k": 2.0}, ValueError, "top_k must be a positive integer, got 2.0"),
        (
            {"seed": -1},
            ValueError,
            "seed must be a non-negative integer of at most 64 bits, got -1",
        ),
    ],
)
def test_what_it_refuses(options, error, said):
    with pytest.raises(error, match=said):
        a_model(IDS).generate(**{"start": START, "steps": 3} | options)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"start": START}, ShapeError, r"start must be \(T, B, 3\) floats"),
        ({"start": np.full((2, 3), np.nan)}, DataError, r"start\[0, 0\] is nan"),
        ({"temperature": 0.5}, ValueError, "temperature and top_k are for models that read ids"),
        ({"top_k": 1}, ValueError, "temperature and top_k are for models that read ids"),
    ],
)
def test_what_a_forecast_refuses(options, error, said):
    with pytest.raises(error, match=said):
        a_model(FLOATS).generate(**{"start": np.zeros((2, 3)), "steps": 3} | options)


@pytest.mark.parametrize("layers", [[Embedding(6, 5)], [Linear(3, 2)]], ids=str)
def test_outputs_must_be_as_many_as_inputs(layers):
    with pytest.raises(ValueError, match=r"as many outputs as inputs, but Model\(.* has . and ."):
        a_model(layers).generate(START, 1)


@pytest.mark.parametrize("layers", [[Embedding(6, 6)], [Linear(3, 3)]], ids=str)
def test_outputs_that_are_not_finite(layers):
    model = a_model(layers)
    model.params["0.W"][...] = np.inf
    start = START if model.reads_ids else np.ones((2, 3))
    said = "the model's output is not finite"
    with np.errstate(invalid="ignore"), pytest.raises(DataError, match=said):
        model.generate(start, 2)


def test_a_forecast_that_explodes():
    model = a_model([Linear(3, 3)])
    model.params["0.W"][...] = 1e200
    with np.errstate(all="ignore"), pytest.raises(DataError, match="output is not finite"):
        model.generate(np.ones((2, 3)), 9)
