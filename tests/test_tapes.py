"""Tapes in a file: side by side, without padding, whoever ran them."""

import naive
import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_close, plain, words

from bptt import GRU, LSTM, RNN, CrossEntropy, Embedding, Linear, Max, Mean, Residual
from bptt.tapes import read_tapes, write_tapes
from bptt.task import Reach
from bptt.workers import Batch, Workers

LAYERS = [Embedding(6, 3), LSTM(3, 5), Linear(5, 2), RNN(2, 7)]
MANY_IDS = [Embedding(60, 3), *LAYERS[1:]]
LSTMS = [Embedding(6, 3), LSTM(3, 5, layer_norm=True), LSTM(5, 3, peepholes=True)]
GRUS = [Embedding(6, 3), GRU(3, 5), GRU(5, 7, reset_after=False)]
POOLS = [Embedding(6, 3), Residual(LSTM(3, 3)), Mean(3), Residual(Max(3)), Residual(Linear(3, 3))]
LANES, KEEP = 5, 3


def after_a_while(model, workers, memory=None):
    """Workers after 6 + 5 + 4 steps of ids with the state `a_state`, and those ids."""
    team, x = Workers(model, LANES, workers, 8, memory), an_input(model, 15, LANES)
    team.reserve(8, sliding=True)
    team.begin(a_state(model, LANES))
    for part in np.split(x, [6, 11]):
        targets = np.zeros(part.shape, int)
        batch = Batch.of(model, CrossEntropy(), part, targets, None)
        team.forward_and_back(batch, CrossEntropy(), Reach(8, KEEP))
    return team, x


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_with_few_ids_the_tape_has_no_embeddings(workers):
    team, _ = after_a_while(a_model(LAYERS), workers)
    assert list(read_tapes(team.windows, KEEP)) == [
        "x",
        "resets",
        "skip",
        "1.h",
        "1.c",
        "1.z",
        "2.y",
        "3.h",
    ]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_what_is_read_is_what_the_oracle_finds(workers):
    model = a_model(MANY_IDS)
    team, x = after_a_while(model, workers)
    tapes, params = read_tapes(team.windows, KEEP), plain(model.params)
    assert list(tapes) == ["x", "resets", "skip", "0.y", "1.h", "1.c", "1.z", "2.y", "3.h"]
    assert np.array_equal(tapes["x"], x[-KEEP:])
    for row in range(KEEP + 1):
        steps = len(x) - KEEP + row
        _, state = naive.forward(MANY_IDS, params, x[:steps], plain(a_state(model, LANES)))
        for name in ("1.h", "1.c", "3.h"):
            assert_close(tapes[name][row], state[name], 1e-12)
    own = {n: s[-2] for n, s in tapes.items() if n in ("1.h", "1.c")}
    embedded = params["0.W"][x[-1]]
    z = embedded @ params["1.Wx"] + own["1.h"] @ params["1.Wh"] + params["1.b"]
    i, f, g, o = np.split(z, 4, axis=-1)
    gates = [naive.sigmoid(i), naive.sigmoid(f), np.tanh(g), naive.sigmoid(o)]
    assert_close(tapes["1.z"][-1], np.concatenate(gates, axis=-1), 1e-12)
    assert_close(tapes["0.y"][-1], embedded, 1e-15)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_of_grus_the_tape_has_what_r_multiplies(workers):
    model = a_model(GRUS)
    team, x = after_a_while(model, workers)
    tapes, params = read_tapes(team.windows, KEEP), plain(model.params)
    assert list(tapes) == ["x", "resets", "skip", "1.h", "1.z", "1.m", "2.h", "2.z", "2.rh"]
    below = params["0.W"][x[-1]]
    for i, layer in enumerate(GRUS[1:], start=1):
        h = tapes[f"{i}.h"][-2]
        r, z, n, inner, below = naive.gru(layer, naive.own(params, i), below, h)
        assert_close(tapes[f"{i}.z"][-1], np.concatenate([r, z, n], axis=-1), 1e-12)
        assert_close(tapes[f"{i}.h"][-1], below, 1e-12)
        if layer.reset_after:
            assert_close(tapes[f"{i}.m"][-1], inner, 1e-12)
        else:
            assert_close(tapes[f"{i}.rh"][-1], r * inner, 1e-12)


def test_of_a_normalised_lstm_the_tape_has_what_its_errors_need():
    model = a_model(LSTMS)
    tapes = read_tapes(after_a_while(model, 2)[0].windows, KEEP)
    assert list(tapes) == ["x", "resets", "skip", "1.h", "1.c", "1.z", "1.xn", "1.hn", "1.scales",
                           "2.h", "2.c", "2.z"]  # fmt: skip
    assert tapes["1.scales"].shape == (KEEP, LANES, 4)
    normed, scale = naive.standard(tapes["1.h"][:-1] @ model.params["1.Wh"])
    assert_close(tapes["1.hn"], normed, 1e-12)
    assert_close(tapes["1.scales"][..., 1], scale[..., 0], 1e-12)


@pytest.mark.parametrize("layers", [LAYERS, LSTMS, GRUS, POOLS], ids=words)
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_what_is_written_is_read_again_by_any_number_of_workers(workers, layers):
    model = a_model(layers)
    tapes = read_tapes(after_a_while(model, 2)[0].windows, KEEP)
    other = Workers(model, LANES, workers, 8)
    other.reserve(8, sliding=True)
    write_tapes(other.windows, other.bounds, tapes)
    again = read_tapes(other.windows, KEEP)
    assert again.keys() == tapes.keys()
    for name, array in tapes.items():
        assert np.array_equal(again[name], array)
    for name, array in other.state().items():
        assert np.array_equal(array, tapes[name][-1])
