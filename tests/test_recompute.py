"""States run again instead of stored: the same gradient, and windows that slide by today's
parameters."""

import math

import naive
import numpy as np
import pytest
from helpers import (
    Frozen,
    a_model,
    a_state,
    a_stream,
    an_input,
    assert_all_close,
    assert_close,
    assert_update,
    few,
    plain,
    words,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bptt
from bptt import (
    LSTM,
    RNN,
    SGD,
    TBPTT,
    Activation,
    BatchNorm,
    CrossEntropy,
    Embedding,
    LayerNorm,
    Linear,
    Max,
    Mean,
    Residual,
    SquaredError,
)  # fmt: skip
from bptt.kernels.compile import JIT
from bptt.workers import Workers

STACKS = [
    [RNN(3, 5), Linear(5, 4)],
    [LSTM(3, 5)],
    [LSTM(3, 5), Linear(5, 4)],
    [Embedding(5, 3), LSTM(3, 5), Linear(5, 4)],
    [Embedding(50, 3), LSTM(3, 5), RNN(5, 4)],
    [Linear(3, 2), LSTM(2, 5), Linear(5, 3), RNN(3, 5, "sigmoid"), Linear(5, 3), Linear(3, 4)],
    [Embedding(6, 3), Linear(3, 2), RNN(2, 3), LSTM(3, 4)],
    [LayerNorm(3), RNN(3, 5), Residual(BatchNorm(5)), LSTM(5, 4), Activation(4, "sigmoid")],
    [Residual(LSTM(3, 3)), Mean(3), Residual(Linear(3, 3)), Max(3)],
]


def a_budget(model, lanes, workers, steps):
    """MB in which windows of ``steps`` steps fit with about as few states as can be."""
    team = Workers(model, lanes, workers, steps, "sqrt")
    team.reserve(steps)
    return (sum(window.nbytes() for window in team.windows) + 1) / 1e6


def assert_same(got, want):
    """To the bit; but the products that stand in without the JIT round by their size."""
    if JIT:
        assert got.tobytes() == want.tobytes()
    assert_close(got, want, 1e-13)


def check_gradients(layers, steps, lanes, targets_of, workers, clip, masked, began, memory):
    """`gradients` with ``memory`` is `gradients` without."""
    model, rng = a_model(layers), np.random.default_rng(steps)
    loss = CrossEntropy() if model.reads_ids else SquaredError()
    x = an_input(model, steps, lanes)
    shape = (min(targets_of, steps), lanes)
    if model.reads_ids:
        targets = rng.integers(-1, model.n_out, shape)
    else:
        targets = rng.normal(size=(*shape, model.n_out))
    if memory == "MB":
        memory = a_budget(model, lanes, workers, steps)
    options = {
        "state": a_state(model, lanes) if began else None,
        "mask": rng.random(shape) < 0.7 if masked else None,
        "clip_delta": clip,
        "workers": workers,
    }
    stored = bptt.gradients(model, loss, x, targets, **options)
    again = bptt.gradients(model, loss, x, targets, memory=memory, **options)
    assert math.isclose(again.loss, stored.loss, rel_tol=1e-14)
    assert_all_close(again.params, stored.params, 1e-12)
    assert_same(again.state.flat, stored.state.flat)
    assert_same(again.final_state.flat, stored.final_state.flat)
    assert again.flow.keys() == stored.flow.keys()
    for name, norms in stored.flow.items():
        assert_same(again.flow[name], norms)
    if model.reads_ids:
        assert again.x is None
    else:
        assert_same(again.x, stored.x)


@settings(max_examples=few(40))
@example(layers=STACKS[5], steps=17, lanes=3, targets_of=6, workers=2, clip=0.05, masked=True,
         began=True, memory="sqrt")  # fmt: skip
@given(
    layers=st.sampled_from(STACKS),
    steps=st.integers(1, 21),
    lanes=st.integers(1, 3),
    targets_of=st.integers(1, 21),
    workers=st.integers(1, 2),
    clip=st.sampled_from([None, 0.02, 0.3]),
    masked=st.booleans(),
    began=st.booleans(),
    memory=st.sampled_from(["sqrt", "MB"]),
)
def test_gradients_are_the_same(
    layers, steps, lanes, targets_of, workers, clip, masked, began, memory
):
    check_gradients(layers, steps, lanes, targets_of, workers, clip, masked, began, memory)


@pytest.mark.parametrize("layers", STACKS, ids=words)
@pytest.mark.parametrize("memory", ["sqrt", "MB"])
def test_gradients_of_a_window_of_many_segments(layers, memory):
    check_gradients(layers, few(30), 2, 14, 1, 0.3, True, True, memory)


def test_gradients_without_a_recurrent_layer():
    check_gradients([Linear(3, 4)], 20, 2, 20, 2, None, True, False, "sqrt")
    check_gradients([Embedding(5, 3), Linear(3, 4)], 20, 2, 8, 2, None, True, False, "sqrt")


@pytest.mark.parametrize("memory", ["sqrt", "MB"])
@pytest.mark.parametrize("layers", STACKS[2:6], ids=words)
def test_training_without_overlap_is_the_same(layers, memory):
    """Updates that move the parameters; two lanes end before the last step."""
    loss = CrossEntropy() if a_model(layers).reads_ids else SquaredError()
    runs = []
    for how in (None, memory):
        model = a_model(layers)
        how = a_budget(model, 3, 2, 9) if how == "MB" else how
        trainer = bptt.Trainer(
            model,
            loss=loss,
            optimizer=SGD(0.1, momentum=0.9),
            truncation=TBPTT(9, 9, clip_delta=0.05, memory=how),
            workers=2,
        )
        stream, _ = a_stream(model, loss, 79, 3)
        losses = [step.loss for _ in range(2) for step in trainer.steps(stream)]
        runs.append((np.array(losses), model.params.flat))
    for again, stored in zip(*runs[::-1], strict=True):
        assert_close(again, stored)


class Rerun:
    """Brute force of windows that overlap: from the state before them, which stays as the last
    update left it, all steps are run again with the parameters of today."""

    def __init__(self, layers, laid, k1, k2):
        self.layers, self.laid, self.k1, self.k2 = layers, laid, k1, k2
        self.first = self.done = 0
        self.state = naive.zero_state(layers, laid[0].shape[1])

    def update(self, params):
        x, targets, there = self.laid
        new = slice(self.done, min(self.done + self.k1, len(x)))
        assert new.stop - self.first <= self.k2
        window = x[self.first : new.stop]
        found = naive.backward(
            self.layers, params, window, targets[new], self.state, mask=there[new]
        )
        k1_after = min(self.k1, len(x) - new.stop)
        first = max(self.first, new.stop - (self.k2 - k1_after))
        if first > self.first:
            _, self.state = naive.forward(self.layers, params, x[self.first : first], self.state)
        self.first, self.done = first, new.stop
        return found


@pytest.mark.parametrize("k1_k2", [(1, 4), (2, 5), (3, 11), (7, 9), (9, 9)], ids=str)
@pytest.mark.parametrize("layers", [STACKS[0], STACKS[3], STACKS[5]], ids=words)
def test_overlapping_windows_are_run_again_with_the_parameters_of_today(layers, k1_k2):
    model, (k1, k2) = a_model(layers), k1_k2
    loss = CrossEntropy() if model.reads_ids else SquaredError()
    stream, laid = a_stream(model, loss, 40, 2)
    trainer = bptt.Trainer(
        model, loss=loss, optimizer=SGD(0.3), truncation=TBPTT(k1, k2, memory="sqrt"), workers=2
    )
    for _ in range(2):
        oracle = Rerun(layers, laid, k1, k2)
        while oracle.done < stream.steps:
            before = plain(model.params)
            step = next(trainer.steps(stream))
            assert_update(step, oracle.update(before))
    assert trainer.under_way.finished


def test_overlapping_windows_that_are_stored_keep_what_older_parameters_made_of_them():
    """So the two differ, once parameters move, and the oracle of one is not that of the other."""
    layers = STACKS[2]
    found = []
    for memory in (None, "sqrt"):
        model = a_model(layers)
        stream, _ = a_stream(model, SquaredError(), 20, 2)
        trainer = bptt.Trainer(
            model,
            loss=SquaredError(),
            optimizer=SGD(0.3),
            truncation=TBPTT(2, 6, memory=memory),
            workers=1,
        )
        found.append([step.grads.flat.copy() for step in trainer.steps(stream)])
    assert_close(found[1][0], found[0][0])
    assert np.abs(found[1][1] - found[0][1]).max() > 1e-4


def test_a_budget_slides_with_frozen_parameters_as_if_all_were_stored():
    for layers in (STACKS[4], STACKS[5]):
        model = a_model(layers)
        loss = CrossEntropy() if model.reads_ids else SquaredError()
        stream, laid = a_stream(model, loss, 61, 3)
        truncation = TBPTT(3, 13, memory=a_budget(model, 3, 2, 13))
        trainer = bptt.Trainer(
            model, loss=loss, optimizer=Frozen(), truncation=truncation, workers=2
        )
        updates = naive.tbptt(layers, plain(model.params), *laid, 3, 13)
        for step, wanted in zip(trainer.steps(stream), updates, strict=True):
            assert_update(step, wanted)
