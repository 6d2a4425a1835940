"""Gradients that are long sums of equal terms keep their digits in float32."""

import numpy as np
import pytest
from helpers import a_model

import bptt
from bptt import (
    GRU,
    LSTM,
    RNN,
    BatchNorm,
    Bidirectional,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    SquaredError,
    Zoneout,
)
from bptt.kernels.compile import JIT

STACKS = {
    "Linear": [Linear(3, 4)],
    "RNN": [RNN(3, 4)],
    "omega": [RNN(3, 4, omega=0.1)],
    "LSTM": [LSTM(3, 4)],
    "peepholes": [LSTM(3, 4, peepholes=True)],
    "layer norm": [LSTM(3, 4, layer_norm=True)],
    "GRU": [GRU(3, 4)],
    "reset before": [GRU(3, 4, reset_after=False)],
    "zoneout": [Zoneout(LSTM(3, 4), 0.1, 0.1)],
    "both directions": [Bidirectional(GRU(3, 2))],
    "LayerNorm": [Linear(3, 4), LayerNorm(4)],
    "BatchNorm": [BatchNorm(3), Linear(3, 4)],
    "looked up": [Embedding(3, 3), GRU(3, 4)],
    "written out": [Embedding(3, 3), Dropout(3, 0.1), RNN(3, 4)],
}


@pytest.mark.parametrize("stack", STACKS)
def test_many_equal_terms(stack):
    steps, lanes, layers, found = 100, 2000 if JIT else 2, STACKS[stack], []
    for dtype in ("float64", "float32"):
        model = a_model(layers, dtype)
        rng = np.random.default_rng(0)
        model.params.flat[:] = rng.uniform(0.3, 0.9, model.params.flat.size).astype("float32")
        x = np.ones((steps, lanes), int)
        if not model.reads_ids:
            x = np.broadcast_to(np.float32([0.37, 0.61, 0.13]), (steps, lanes, 3))
        targets = np.full((steps, lanes, model.n_out), 0.1)
        found.append(bptt.value_and_grad(model, SquaredError(), x, targets)[1])
    wanted, got = found
    for name, values in wanted.items():
        off = np.abs(got[name] - values).max() / np.abs(values).max()
        assert off < 1e-4, (name, off)
