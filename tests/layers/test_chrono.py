"""``chrono=`` of a layer: how its biases begin, in every form; how long its units then remember."""

import math
from dataclasses import replace

import numpy as np
import pytest

import bptt
from bptt import GRU, LSTM, Bidirectional, Model, Residual, Zoneout

T_MAX = 50
FORMS = [
    LSTM(1, 200, chrono=T_MAX),
    LSTM(1, 200, chrono=T_MAX, feedback="random"),
    LSTM(1, 200, layer_norm=True, chrono=T_MAX),
    LSTM(1, 200, peepholes=True, chrono=T_MAX),
    GRU(1, 200, chrono=T_MAX),
    GRU(1, 200, False, chrono=T_MAX),
    Zoneout(LSTM(1, 200, chrono=T_MAX)),
    Zoneout(GRU(1, 200, chrono=T_MAX)),
]
"""With gates i f g o or r z n; f and z say what is kept."""
each_form = pytest.mark.parametrize("layer", FORMS, ids=str)


def without(layer):
    """The same layer as it begins if nothing is said."""
    if isinstance(layer, Zoneout):
        return replace(layer, layer=without(layer.layer))
    return replace(layer, chrono=None)


def kept_bias(layer, bias):
    return bias[layer.gate_names.index("z" if "z" in layer.gate_names else "f")]


def gates_of(layer, model):
    return model.params["0.b"].reshape(len(layer.gate_names), -1)


@each_form
def test_memories_begin_to_last_from_one_step_to_as_many_as_said(layer):
    lasting = np.exp(kept_bias(layer, gates_of(layer, Model([layer], dtype="float64"))))
    assert lasting.min() >= 1
    assert lasting.max() <= T_MAX - 1
    counts, _ = np.histogram(lasting, 4, (1, T_MAX - 1))
    assert counts.min() > 30


@each_form
def test_nothing_else_begins_otherwise(layer):
    one, two = (Model([a], dtype="float64", seed=3).params for a in (layer, without(layer)))
    assert [name for name in one if not np.array_equal(one[name], two[name])] == ["0.b"]
    bias = dict(
        zip(layer.gate_names, gates_of(layer, Model([layer], dtype="float64")), strict=True)
    )
    kept = bias.pop("z" if "z" in bias else "f")
    if "i" in bias:
        assert np.array_equal(bias.pop("i"), -kept)
    assert not any(values.any() for values in bias.values())


@each_form
def test_a_unit_loses_its_share_of_a_step(layer):
    """Without weights, exp(bias) / (1 + exp(bias)) of what is kept is left after each step."""
    model = Model([layer], dtype="float64")
    for name, values in model.params.items():
        if name.startswith(("0.W", "0.p")):
            values[...] = 0
    lasting = np.exp(kept_bias(layer, gates_of(layer, model)))
    state = model.zero_state(1)
    state[f"0.{layer.carried[-1]}"][...] = 1
    _, state = model(np.zeros((5, 1, 1)), state)
    kept = state[f"0.{layer.carried[-1]}"][0]
    np.testing.assert_allclose(kept, (lasting / (1 + lasting)) ** 5, rtol=1e-12)


def test_both_directions_and_a_residual_begin_so():
    params = Model(
        [Bidirectional(LSTM(3, 8, chrono=T_MAX)), Residual(GRU(16, 16, chrono=9))]
    ).params
    for name in ("0.b", "0.b_reverse"):
        assert np.array_equal(params[name][:8], -params[name][8:16])
        assert 0 <= params[name][8:16].min() < params[name][8:16].max() <= math.log(T_MAX - 1)
    assert not np.array_equal(params["0.b"], params["0.b_reverse"])
    assert 0 <= params["1.b"][16:32].min() < params["1.b"][16:32].max() <= math.log(8)


@each_form
def test_a_file_brings_it_back(layer, tmp_path):
    Model([layer]).save(tmp_path / "model")
    again = Model.load(tmp_path / "model")
    assert again.layers == (layer,)
    assert "chrono=50" in str(again)


@pytest.mark.parametrize("cell", [LSTM, GRU])
@pytest.mark.parametrize("given", [2, -1, math.inf, math.nan, True, "100"])
def test_steps_that_cannot_be(cell, given):
    with pytest.raises(ValueError, match=f"chrono must be a finite number above 2, got {given!r}"):
        cell(3, 4, chrono=given)


def test_a_forget_gate_begins_in_one_way():
    with pytest.raises(ValueError, match="an LSTM has forget_bias or chrono, but not both"):
        LSTM(3, 4, forget_bias=2.0, chrono=100)
    with pytest.raises(TypeError, match="chrono"):
        bptt.RNN(3, 4, chrono=100)
