"""Layers and policies as plain words, and back."""

import json

import numpy as np
import pytest

from bptt import (
    GRU,
    L1,
    L2,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    AbsoluteError,
    Activation,
    Adam,
    BatchNorm,
    Bidirectional,
    BinaryCrossEntropy,
    ClipAdaptive,
    ClipNorm,
    CrossEntropy,
    Embedding,
    Exponential,
    FileFormatError,
    Huber,
    Last,
    LayerNorm,
    Linear,
    Max,
    Mean,
    OnPlateau,
    Residual,
    SquaredError,
    WarmUp,
    WeightDrop,
    WeightNoise,
)
from bptt.checkpoint import _KNOWN
from bptt.config import build, describe
from bptt.layers import LAYERS

THINGS = [
    Embedding(5, 3),
    Linear(3, 4),
    RNN(3, 4, "leaky_relu"),
    LSTM(3, 4, forget_bias=0.5),
    LSTM(3, 4, layer_norm=True),
    LSTM(3, 4, peepholes=True),
    LSTM(3, 4, chrono=100),
    GRU(3, 4),
    GRU(3, 4, chrono=7.5),
    GRU(3, 4, reset_after=False),
    Activation(3, "relu"),
    LayerNorm(3, eps=1e-3),
    BatchNorm(3, momentum=0.5, eps=1e-3),
    RNN(3, 4, omega=0.5),
    Mean(3),
    Max(3),
    Last(3),
    Residual(LSTM(3, 3, forget_bias=0.5)),
    Residual(Residual(Linear(3, 3))),
    Bidirectional(GRU(3, 4, reset_after=False)),
    Residual(Bidirectional(LSTM(3, 3), merge="product")),
    CrossEntropy(),
    CrossEntropy(label_smoothing=0.1),
    BinaryCrossEntropy("sum"),
    SquaredError(),
    AbsoluteError(),
    Huber(0.5),
    SGD(0.1, momentum=0.9),
    Adam(Exponential(2e-3, 0.97, after=10), beta2=0.99),
    Adam(WarmUp(5, OnPlateau(1e-3, 0.5, 2, cooldown=1, watch="training"))),
    TBPTT(3, 7, clip_delta=0.5),
    ClipNorm(5.0),
    ClipAdaptive(0.02, eps=1e-2),
    L1(1e-5),
    L2(1e-4, names=("W", "0.Wx")),
    WeightNoise(0.05, "W"),
    WeightDrop(0.5),
    WeightDrop(0.5, None),
]


@pytest.mark.parametrize("thing", THINGS, ids=str)
def test_through_json_and_back(thing):
    words = json.loads(json.dumps(describe(thing, LAYERS | _KNOWN)))
    assert words["type"] == type(thing).__name__
    assert build(words, LAYERS | _KNOWN) == thing


def test_several_things_are_a_list():
    things = (L1(1e-5), WeightDrop(0.5, ["Wh", "1.Wx"]))
    words = json.loads(json.dumps(describe(things, _KNOWN)))
    assert build(words, _KNOWN) == list(things)


def test_plain_values_are_left_as_they_are():
    assert describe(3, {}) == 3
    assert json.dumps(describe(np.int64(3), {})) == "3"
    assert build(None, {}) is None
    assert build("text", {}) == "text"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"type": "CNN", "n": 3}, "'CNN' is none of Embedding, Linear, RNN, LSTM, GRU, "),
        ({"n": 3}, "None is none of"),
        ({"type": "LSTM", "n_in": 3}, "LSTM cannot be made from"),
        ({"type": "LSTM", "n_in": 3, "n": 4, "peephole": True}, "LSTM cannot be made from"),
        ({"type": "RNN", "n_in": 3, "n": -4}, "n must be a positive integer, got -4"),
        ({"type": "Residual", "layer": 3}, "Residual takes a layer, got 3"),
        ({"type": "Residual", "layer": {"type": "CNN"}}, "'CNN' is none of"),
        ({"type": "RNN", "n_in": 3, "n": {"type": "os"}}, "'os' is none of"),
    ],
)
def test_words_that_cannot_be_built(config, said):
    with pytest.raises(FileFormatError, match=said):
        build(config, LAYERS)
