"""All states, gates and outputs, against the equations step by step."""

import naive
import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_all_close, assert_close, plain, words

from bptt import (
    LSTM,
    RNN,
    ActivationPenalty,
    DataError,
    Embedding,
    Last,
    Linear,
    Max,
    Mean,
    Residual,
    ShapeError,
    Zoneout,
    histories,
)  # fmt: skip

STACKS = [
    *([RNN(3, 5, name), Linear(5, 4)] for name in sorted(naive.ACTIVATIONS)),
    [LSTM(3, 5)],
    [LSTM(3, 8), LSTM(8, 19), Linear(19, 4)],
    [Embedding(6, 3), LSTM(3, 5), RNN(5, 9), Linear(9, 4)],
    [Embedding(300, 3), RNN(3, 5), Linear(5, 4)],
    [Linear(3, 2), RNN(2, 5), Linear(5, 3), LSTM(3, 4), Linear(4, 4)],
    [Embedding(6, 3)],
    [LSTM(3, 5, layer_norm=True), LSTM(5, 9, peepholes=True)],
    [RNN(3, 5), Mean(5), Max(5), Last(5)],
    [Residual(RNN(3, 3)), Residual(Linear(3, 3))],
    [Zoneout(RNN(3, 5), 0.3), ActivationPenalty(5), Last(5)],
]


def step_by_step(layers, params, x, state):
    found, state = {}, dict(state)
    for y in x:
        for i, layer in enumerate(layers):
            before, own = naive.own(state, i), naive.own(params, i)
            seen = {}
            if isinstance(layer, LSTM):
                gates = naive.lstm(layer, own, y, before)
                seen = {name: getattr(gates, name) for name in "ifgo"}
            y, new = naive.step(layer, own, y, before)
            seen |= new or {"y": y}
            state |= {f"{i}.{name}": rows for name, rows in new.items()}
            for name, rows in seen.items():
                found.setdefault(f"{i}.{name}", []).append(rows)
    return {name: np.array(rows) for name, rows in found.items()}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_the_histories_of_every_stack(layers, lanes, dtype):
    model = a_model(layers, dtype)
    x, state = an_input(model, 6, lanes), a_state(model, lanes)
    found = histories(model, x, state)
    wanted = step_by_step(layers, plain(model.params), x, plain(state))
    assert_all_close(found, wanted, 1e-13 if dtype == "float64" else 1e-6)
    assert {rows.dtype for rows in found.values()} == {model.dtype}


def test_without_a_state_they_start_at_zero():
    model = a_model([LSTM(3, 5), Linear(5, 2)])
    x = an_input(model, 4, 2)
    wanted = step_by_step(model.layers, plain(model.params), x, plain(model.zero_state(2)))
    assert_all_close(histories(model, x), wanted, 1e-13)


def test_they_end_where_the_model_does():
    model = a_model([Embedding(6, 3), LSTM(3, 5), Linear(5, 4)])
    x, state = an_input(model, 5, 3), a_state(model, 3)
    y, final = model(x, state)
    found = histories(model, x, state)
    assert list(found) == ["0.y", "1.h", "1.c", "1.i", "1.f", "1.g", "1.o", "2.y"]
    assert_close(found["2.y"], y, 1e-14)
    for name, rows in final.items():
        assert_close(found[name][-1], rows, 1e-14)


def test_the_arguments_are_left_alone_and_the_arrays_are_the_callers():
    model = a_model([LSTM(3, 5), Linear(5, 4)])
    x, state = an_input(model, 4, 2), a_state(model, 2)
    before = [array.copy() for array in (x, state.flat, model.params.flat)]
    first = histories(model, x, state)
    kept = {name: rows.copy() for name, rows in first.items()}
    histories(model, -x, state)
    for array, copy in zip((x, state.flat, model.params.flat), before, strict=True):
        assert np.array_equal(array, copy)
    for name, rows in first.items():
        assert np.array_equal(rows, kept[name])
        rows[...] = 0
    assert_all_close(histories(model, x, state), kept, 0)


@pytest.mark.parametrize(
    ("x", "state", "error", "said"),
    [
        (np.zeros((4, 2)), None, ShapeError, r"x must be \(T, B, 3\) floats"),
        (np.full((4, 2, 3), np.inf), None, DataError, r"x\[0, 0, 0\] is inf"),
        (np.zeros((4, 2, 3)), {}, ShapeError, "state has no '0.h'"),
    ],
)
def test_what_does_not_fit(x, state, error, said):
    with pytest.raises(error, match=said):
        histories(a_model([LSTM(3, 5)]), x, state)
