"""All states, gates and outputs, against the equations step by step."""

import naive
import numpy as np
import pytest
from helpers import (
    a_model,
    a_state,
    an_input,
    assert_all_close,
    assert_close,
    plain,
    some_marks,
    words,
)

from bptt import (
    GRU,
    LSTM,
    RNN,
    ActivationPenalty,
    Bidirectional,
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
    [Residual(RNN(3, 3)), Residual(Linear(3, 3)), Residual(LSTM(3, 3)), Residual(Max(3))],
    [GRU(3, 5), Zoneout(LSTM(5, 4), 0.3, 0.2), Residual(Zoneout(GRU(4, 4), 0.1))],
    [Zoneout(RNN(3, 5), 0.3), ActivationPenalty(5), Last(5)],
]


def bare(layer):
    """The layer inside all others."""
    return bare(layer.layer) if hasattr(layer, "layer") else layer


def step_by_step(layers, params, x, state, resets=None):
    found, state = {}, dict(state)
    for t, y in enumerate(x):
        if resets is not None:
            state = {name: s * ~resets[t][:, None] for name, s in state.items()}
        for i, layer in enumerate(layers):
            before, own, cell = naive.own(state, i), naive.own(params, i), bare(layer)
            seen = {}
            if isinstance(cell, LSTM):
                gates = naive.lstm(cell, own, y, before)
                seen = {name: getattr(gates, name) for name in "ifgo"}
            elif isinstance(cell, GRU):
                gates = naive.gru(cell, own, y, before["h"])
                seen = {name: getattr(gates, name) for name in "rzn"}
            y, new = naive.step(layer, own, y, before)
            seen |= new or {"y": y}
            if isinstance(layer, Residual):
                seen["y"] = y
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


def assert_same_but_padding(found, wanted, ended, rel=1e-13):
    assert set(found) == set(wanted)
    for name, rows in found.items():
        assert np.array_equal(np.isnan(rows), np.broadcast_to(ended[..., None], rows.shape))
        assert_close(rows[~ended], wanted[name][~ended], rel, name)


@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_several_sequences_and_padding(layers):
    model, (resets, ended) = a_model(layers), some_marks(9, 4)
    x, state = an_input(model, 9, 4), a_state(model, 4)
    wanted = step_by_step(layers, plain(model.params), x, plain(state), resets)
    assert_same_but_padding(histories(model, x, state, resets=resets, ended=ended), wanted, ended)
    assert_all_close(histories(model, x, state, resets=resets), wanted, 1e-13)


INSIDE = [RNN(3, 5), LSTM(3, 5), GRU(3, 4), Zoneout(LSTM(3, 2), 0.2, 0.4), Residual(GRU(3, 3))]
BOTH = [
    *([Linear(2, 3), Bidirectional(layer), Linear(2 * layer.sizes[1], 2)] for layer in INSIDE),
    [Linear(2, 4), Residual(Bidirectional(LSTM(4, 2))), Max(4)],
]


def both_ways(layer, params, x, resets, ended):
    """Name -> (T, B, units) of ``layer`` in both directions, piece by piece of each lane."""
    found = {}
    for ending in ("", "_reverse"):
        own = {f"0.{name}": params[name + ending] for name in layer.shapes()}
        for b, steps in naive.pieces(resets, ended):
            read = steps[::-1] if ending else steps
            seen = step_by_step([layer], own, x[read, b : b + 1], naive.zero_state([layer], 1))
            for name, rows in naive.own(seen, 0).items():
                room = found.setdefault(name + ending, np.zeros((*x.shape[:2], rows.shape[2])))
                room[read, b] = rows[:, 0]
    return {name: rows for name, rows in found.items() if not name.startswith("y")}


@pytest.mark.parametrize("layers", BOTH, ids=words)
def test_both_directions(layers):
    model, (resets, ended) = a_model(layers), some_marks(9, 4)
    x, params = an_input(model, 9, 4), plain(model.params)
    outputs = [naive.forward_whole(layers[:i], params, x, resets, ended) for i in range(4)]
    around = layers[1] if isinstance(layers[1], Bidirectional) else layers[1].layer
    inside = both_ways(around.layer, naive.own(params, 1), outputs[1], resets, ended)
    wanted = {f"1.{name}": rows for name, rows in inside.items()}
    wanted |= {f"{i}.y": outputs[i + 1] for i in range(3)}
    found = histories(model, x, resets=resets, ended=ended)
    if isinstance(layers[2], Max):
        wanted["2.h"] = wanted.pop("2.y")
        del found["2.count"]
    assert_same_but_padding(found, wanted, ended)


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


@pytest.mark.parametrize("name", ["resets", "ended"])
def test_marks_that_do_not_fit(name):
    with pytest.raises(ShapeError, match=rf"{name} must be \(4, 2\) of bool, got \(4, 1\)"):
        histories(a_model([LSTM(3, 5)]), np.zeros((4, 2, 3)), **{name: np.zeros((4, 1), bool)})
