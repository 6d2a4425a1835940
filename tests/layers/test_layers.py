"""One suite for all layers: names, shapes, beginnings, and sizes that cannot be."""

from dataclasses import replace
from functools import partial

import naive
import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_all_close, assert_close, plain, words

from bptt import (
    GRU,
    LSTM,
    RNN,
    Activation,
    ActivationPenalty,
    BatchNorm,
    Bidirectional,
    Dropout,
    Embedding,
    Last,
    Layer,
    LayerNorm,
    Linear,
    Max,
    Mean,
    Model,
    Residual,
    VariationalDropout,
    Zoneout,
)  # fmt: skip
from bptt.layers import LAYERS
from bptt.layers.base import check_size

TABLE = {
    Embedding(6, 5): {"W": (6, 5)},
    Linear(3, 5): {"W": (3, 5), "b": (5,)},
    RNN(3, 5): {"Wx": (3, 5), "Wh": (5, 5), "b": (5,)},
    LSTM(3, 5): {"Wx": (3, 20), "Wh": (5, 20), "b": (20,)},
    GRU(3, 5): {"Wx": (3, 15), "Wh": (5, 15), "b": (15,), "bh": (5,)},
    Activation(5, "relu"): {},
    LayerNorm(5): {"gamma": (5,), "beta": (5,)},
    BatchNorm(5): {"gamma": (5,), "beta": (5,)},
    Mean(5): {},
    Max(5): {},
    Last(5): {},
    Dropout(5, 0.3): {},
    VariationalDropout(5, 0.3): {},
    ActivationPenalty(5, 2.0, 1.0): {},
    Zoneout(LSTM(3, 5), 0.05, 0.5): {"Wx": (3, 20), "Wh": (5, 20), "b": (20,)},
    Residual(RNN(5, 5)): {"Wx": (5, 5), "Wh": (5, 5), "b": (5,)},
    Bidirectional(RNN(3, 5)): {
        "Wx": (3, 5), "Wh": (5, 5), "b": (5,),
        "Wx_reverse": (3, 5), "Wh_reverse": (5, 5), "b_reverse": (5,),
    },
}  # fmt: skip
SQUARE = (
    Activation,
    LayerNorm,
    BatchNorm,
    Mean,
    Max,
    Last,
    Dropout,
    VariationalDropout,
    ActivationPenalty,
    Residual,
)
"""Layers with as many outputs as inputs."""
FIXED = (LayerNorm, BatchNorm)
"""Layers whose parameters begin the same whatever the seed."""
FORWARD = [
    [Embedding(6, 5)],
    [Linear(3, 5)],
    *([RNN(3, 7, name)] for name in naive.ACTIVATIONS),
    [LSTM(3, 7)],
    [LSTM(3, 1)],
    *([LSTM(3, n, layer_norm=True)] for n in (1, 3, 17)),
    *([LSTM(3, n, peepholes=True)] for n in (1, 3, 17)),
    [GRU(3, 7)],
    [GRU(3, 1)],
    [GRU(3, 17, reset_after=False)],
    [GRU(3, 1, reset_after=False)],
    [RNN(1, 17)],
    *([pooling(n)] for pooling in (Mean, Max, Last) for n in (1, 3, 17)),
    *([Activation(n, name)] for n in (1, 3, 17) for name in naive.ACTIVATIONS),
    *([norm(n)] for norm in (LayerNorm, BatchNorm) for n in (1, 3, 17)),
    [Linear(3, 17), LayerNorm(17), Activation(17, "sigmoid"), BatchNorm(17), RNN(17, 5, "sigmoid")],
    [LSTM(3, 5), Mean(5), Max(5), Linear(5, 3), Last(3)],
    [Residual(LSTM(3, 3))],
    [Residual(GRU(17, 17)), Residual(Linear(17, 17))],
    [Embedding(6, 5), Residual(RNN(5, 5)), Residual(Residual(Max(5)))],
    [Zoneout(LSTM(3, 17), 0.1, 0.4), ActivationPenalty(17), VariationalDropout(17)],
    [Embedding(6, 5), Zoneout(GRU(5, 3), 0.1), Zoneout(GRU(3, 17, reset_after=False), 0.2)],
    [Zoneout(RNN(3, 1, "relu"), 0.3), Residual(ActivationPenalty(1)), Zoneout(LSTM(1, 1), c=0.2)],
]


def test_the_table_is_complete():
    assert [type(layer) for layer in TABLE] == list(LAYERS.values())
    assert [kind.__name__ for kind in LAYERS.values()] == list(LAYERS)


@pytest.mark.parametrize("layer", TABLE, ids=str)
def test_names_and_shapes_of_parameters(layer):
    assert isinstance(layer, Layer)
    assert layer.shapes() == TABLE[layer]
    n_in = 5 if isinstance(layer, SQUARE) else 6 if layer.reads_ids else 3
    assert layer.sizes == (n_in, 10 if isinstance(layer, Bidirectional) else 5)
    assert Model([layer]).params.shapes == {f"0.{n}": s for n, s in TABLE[layer].items()}


def test_a_layer_in_words():
    assert [str(layer) for layer in TABLE] == [
        "Embedding(6, 5)", "Linear(3, 5)", "RNN(3, 5)", "LSTM(3, 5)", "GRU(3, 5)",
        "Activation(5, 'relu')", "LayerNorm(5)", "BatchNorm(5)", "Mean(5)", "Max(5)", "Last(5)",
        "Dropout(5, 0.3)", "VariationalDropout(5, 0.3)",
        "ActivationPenalty(5, 2.0, 1.0)", "Zoneout(LSTM(3, 5), h=0.05, c=0.5)",
        "Residual(RNN(5, 5))",
        "Bidirectional(RNN(3, 5))",
    ]  # fmt: skip


@pytest.mark.parametrize("layer", TABLE, ids=str)
def test_a_layer_is_frozen_and_equal_to_its_like(layer):
    like = replace(layer)
    assert like == layer
    assert hash(like) == hash(layer)
    with pytest.raises(AttributeError):
        layer.n_out = 7


RANDOM = [layer for layer in TABLE if layer.shapes() and not isinstance(layer, FIXED)]


@pytest.mark.parametrize("layer", RANDOM, ids=str)
def test_parameters_begin_from_the_seed(layer):
    first, same, other = (Model([layer], seed=seed).params for seed in (0, 0, 1))
    assert np.array_equal(first.flat, same.flat)
    assert not np.array_equal(first.flat, other.flat)


def test_how_each_parameter_begins():
    lstm = Model([LSTM(30, 8, forget_bias=1.5)], dtype="float64").params
    for gate in range(4):
        wh = lstm["0.Wh"][:, 8 * gate : 8 * gate + 8]
        np.testing.assert_allclose(wh @ wh.T, np.eye(8), atol=1e-13)
    assert np.abs(lstm["0.Wx"]).max() <= np.sqrt(6 / 38)
    assert lstm["0.b"].tolist() == [0.0] * 8 + [1.5] * 8 + [0.0] * 16
    for reset_after in (True, False):
        gru = Model([GRU(30, 8, reset_after)], dtype="float64").params
        for gate in range(3):
            wh = gru["0.Wh"][:, 8 * gate : 8 * gate + 8]
            np.testing.assert_allclose(wh @ wh.T, np.eye(8), atol=1e-13)
        assert np.abs(gru["0.Wx"]).max() <= np.sqrt(6 / 38)
        assert not any(p.any() for name, p in gru.items() if name in ("0.b", "0.bh"))
    for norm in FIXED:
        model = Model([norm(8)])
        assert (model.params["0.gamma"] == 1).all()
        assert not model.params["0.beta"].any()
    assert model.buffers.shapes == {"0.running_mean": (8,), "0.running_var": (8,)}
    assert not model.buffers["0.running_mean"].any()
    assert (model.buffers["0.running_var"] == 1).all()
    rnn = Model([RNN(30, 8)], dtype="float64").params
    np.testing.assert_allclose(rnn["0.Wh"] @ rnn["0.Wh"].T, np.eye(8), atol=1e-13)
    assert not rnn["0.b"].any()
    linear = Model([Linear(30, 8)], dtype="float64").params
    assert 0.39 < np.abs(linear["0.W"]).max() <= np.sqrt(6 / 38)
    assert not linear["0.b"].any()
    assert 0.9 < Model([Embedding(100, 50)]).params["0.W"].std() < 1.1


@pytest.mark.parametrize(("dtype", "rel"), [("float32", 3e-6), ("float64", 1e-13)])
@pytest.mark.parametrize("layers", FORWARD, ids=words)
def test_forward_is_the_oracles(layers, dtype, rel):
    model = a_model(layers, dtype)
    x, state = an_input(model, 6, 5), a_state(model, 5)
    y, final = model(x, state)
    exact = x if model.reads_ids else x.astype(float)
    wanted, wanted_final = naive.forward(layers, plain(model.params), exact, plain(state))
    assert y.dtype == final.dtype == dtype
    assert_close(y, wanted, rel)
    assert_all_close(final, wanted_final, rel)


@pytest.mark.parametrize("size", [0, -1, 2.0, True, None, "3"])
@pytest.mark.parametrize("layer", [Embedding, Linear, RNN, LSTM, GRU])
def test_sizes_are_positive_integers(layer, size):
    with pytest.raises(ValueError, match="must be a positive integer, got"):
        layer(size, 5)
    with pytest.raises(ValueError, match="must be a positive integer, got"):
        layer(3, size)


@pytest.mark.parametrize("size", [0, -1, 2.0, True, None, "3"])
@pytest.mark.parametrize(
    "layer", [Mean, Max, Last, VariationalDropout, ActivationPenalty, LayerNorm, BatchNorm]
)
def test_features_are_a_positive_integer(layer, size):
    with pytest.raises(ValueError, match="n must be a positive integer, got"):
        layer(size)
    with pytest.raises(ValueError, match="n must be a positive integer, got"):
        Activation(size, "tanh")


@pytest.mark.parametrize(
    ("layer", "error", "said"),
    [
        (Linear(3, 5), ValueError, r"but Linear\(3, 5\) has 5 and 3"),
        (Embedding(5, 5), ValueError, r"adds to the input, but Embedding\(5, 5\) reads ids"),
        (Linear, TypeError, "Residual takes a layer, got <class"),
        ("Linear", TypeError, "Residual takes a layer, got 'Linear'"),
    ],
)
def test_what_a_residual_refuses(layer, error, said):
    with pytest.raises(error, match=said):
        Residual(layer)


def test_a_wrong_size_is_named():
    with pytest.raises(ValueError, match="n_out must be a positive integer, got -3"):
        Linear(2, -3)
    check_size(any_name=np.int64(3))


def test_a_gru_that_resets_before_the_product_has_one_bias():
    assert list(GRU(3, 5, reset_after=False).shapes()) == ["Wx", "Wh", "b"]


@pytest.mark.parametrize("given", [None, 1, "after"])
def test_reset_after_is_true_or_false(given):
    with pytest.raises(ValueError, match="reset_after must be True or False, got"):
        GRU(3, 5, given)


def test_an_unknown_activation_is_told_the_known_ones():
    for layer in (partial(RNN, 3, 5), partial(Activation, 5)):
        with pytest.raises(ValueError, match=r"'identity', 'tanh', .* or 'leaky_relu', got 'gelu'"):
            layer("gelu")


@pytest.mark.parametrize("value", [-0.1, np.inf, np.nan, "1", True, None])
def test_the_weight_of_omega_is_a_finite_number_from_0_on(value):
    with pytest.raises(ValueError, match="omega must be a number from 0 on, got"):
        RNN(3, 5, omega=value)


@pytest.mark.parametrize("value", [0, -1e-5, np.nan, "1", True, None])
@pytest.mark.parametrize("norm", FIXED)
def test_what_a_norm_adds_to_the_variance_is_positive(norm, value):
    with pytest.raises(ValueError, match="eps must be a positive number, got"):
        norm(3, eps=value)


@pytest.mark.parametrize("value", [0, 1.1, np.nan, "1", True, None])
def test_momentum_is_a_share(value):
    with pytest.raises(ValueError, match=r"momentum must be in \(0, 1\], got"):
        BatchNorm(3, momentum=value)
