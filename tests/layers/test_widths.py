"""Recurrent layers of every width up to two vectors: where padding begins must not matter."""

import naive
import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_all_close, assert_close, plain

import bptt
from bptt import GRU, LSTM, RNN, SquaredError

LAYERS = {
    "RNN": RNN,
    "LSTM": LSTM,
    "GRU": GRU,
    "GRU, reset before": lambda n_in, n: GRU(n_in, n, reset_after=False),
}


@pytest.mark.parametrize(("dtype", "rel"), [("float64", 1e-10), ("float32", 2e-5)])
@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("kind", LAYERS)
def test_every_width(kind, lanes, dtype, rel):
    for n in range(1, 34 if dtype == "float32" else 18):
        model = a_model([LAYERS[kind](n % 5 + 1, n)], dtype)
        x, state = an_input(model, 4, lanes), a_state(model, lanes)
        targets = np.random.default_rng(n).normal(size=(4, lanes, n))
        found = bptt.gradients(model, SquaredError(), x, targets, state)
        given = {name: a.astype(float) for name, a in plain(model.params).items()}
        began = {name: a.astype(float) for name, a in plain(state).items()}
        wanted = naive.backward(model.layers, given, x.astype(float), targets, began)
        assert_close(found.loss, wanted.loss, rel)
        assert_close(found.x, wanted.x, rel)
        assert_all_close(found.params, wanted.params, rel)
        assert_all_close(found.state, wanted.state, rel)
