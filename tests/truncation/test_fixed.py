"""TBPTT(k1, k2): every update's gradient is the brute-force one of its definition."""

import math

import naive
import numpy as np
import pytest
from helpers import (
    Frozen,
    a_model,
    a_stream,
    assert_all_close,
    assert_update,
    few,
    plain,
    words,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bptt
from bptt import (
    GRU,
    LSTM,
    RNN,
    TBPTT,
    Activation,
    CrossEntropy,
    Embedding,
    FullBPTT,
    Last,
    LayerNorm,
    Linear,
    Max,
    Mean,
    Residual,
    SquaredError,
)  # fmt: skip

STACKS = [
    [RNN(3, 5), Linear(5, 4)],
    [LSTM(3, 7), Linear(7, 4)],
    [Linear(3, 2), RNN(2, 5), LSTM(5, 3), Linear(3, 4)],
    [Embedding(6, 3), LSTM(3, 5), LSTM(5, 7), Linear(7, 4)],
    [Embedding(6, 3), Linear(3, 2), RNN(2, 3, "relu"), RNN(3, 5, "leaky_relu")],
    [LSTM(3, 4)],
    [LSTM(3, 5), Linear(5, 3), RNN(3, 4, "sigmoid"), Linear(4, 3), Linear(3, 4)],
    [GRU(3, 7), Linear(7, 4)],
    [GRU(3, 7, reset_after=False), Linear(7, 4)],
    [Embedding(6, 3), GRU(3, 5), GRU(5, 7, reset_after=False), Linear(7, 4)],
    [Linear(3, 5), Activation(5, "tanh"), RNN(5, 3), LayerNorm(3), RNN(3, 4)],
    [RNN(3, 5), Mean(5), Linear(5, 4)],
    [Max(3), LSTM(3, 4), Max(4), Last(4)],
    [Embedding(6, 5), Residual(LSTM(5, 5)), Residual(Mean(5)), Residual(GRU(5, 5)), Linear(5, 4)],
    [Embedding(6, 3), LSTM(3, 5, layer_norm=True), LSTM(5, 4, peepholes=True)],
]


def check(layers, loss, pairs, batch, truncation, workers):
    """Each update is what brute force finds; how many there were."""
    model = a_model(layers)
    before = model.params.flat.copy()
    stream, laid = a_stream(model, loss, pairs, batch)
    trainer = bptt.Trainer(
        model, loss=loss, optimizer=Frozen(), truncation=truncation, workers=workers
    )
    k1, k2 = truncation.k1, truncation.k2
    losses = 1 if truncation.losses == "last" else None
    updates = naive.tbptt(layers, plain(model.params), *laid, k1, k2, truncation.bound, losses)
    n = 0
    for n, (step, wanted) in enumerate(zip(trainer.steps(stream), updates, strict=True), start=1):
        assert step.n == n
        assert_update(step, wanted)
    assert np.array_equal(model.params.flat, before)
    assert n == math.ceil(stream.steps / k1)


WINDOWS = [(1, 1), (4, 4), (1, 5), (2, 5), (3, 4), (5, 7), (2, 6), (3, 20), (9, 9)]


@pytest.mark.parametrize("k1_k2", WINDOWS, ids=str)
@pytest.mark.parametrize("layers", STACKS[1:5] + STACKS[7:], ids=words)
def test_windows_that_do_not_divide_the_stream(layers, k1_k2):
    check(layers, SquaredError(), 41, 3, TBPTT(*k1_k2), workers=2)


CASE = {
    "layers": st.sampled_from(STACKS),
    "ids": st.booleans(),
    "k1": st.integers(1, 7),
    "more": st.integers(0, 7),
    "batch": st.integers(1, 5),
    "steps": st.integers(1, 18),
    "extra": st.integers(0, 4),
    "clip": st.sampled_from([None, 0.05, 0.5]),
    "workers": st.integers(1, 3),
    "losses": st.sampled_from(["window", "last"]),
    "memory": st.sampled_from([None, "sqrt"]),
}


@settings(max_examples=few(80))
@example(layers=STACKS[1], ids=True, k1=3, more=4, batch=3, steps=11, extra=1, clip=0.05, workers=2,
         losses="window", memory=None)  # fmt: skip
@example(layers=STACKS[2], ids=True, k1=2, more=5, batch=3, steps=15, extra=1, clip=0.05, workers=2,
         losses="last", memory="sqrt")  # fmt: skip
@example(layers=STACKS[3], ids=False, k1=3, more=5, batch=2, steps=16, extra=1, clip=None,
         workers=1, losses="window", memory="sqrt")  # fmt: skip
@given(**CASE)
def test_every_update_is_the_brute_force_one(
    layers, ids, k1, more, batch, steps, extra, clip, workers, losses, memory
):
    loss = CrossEntropy() if ids else SquaredError()
    pairs = batch * steps + min(extra, batch - 1)
    truncation = TBPTT(k1, k1 + more, losses, clip_delta=clip, memory=memory)
    check(layers, loss, pairs, batch, truncation, workers)


@pytest.mark.parametrize("k1_k2", WINDOWS, ids=str)
def test_the_last_loss_alone(k1_k2):
    """40 pairs in 3 lanes: two of them have ended at the last step."""
    check(STACKS[2], SquaredError(), 40, 3, TBPTT(*k1_k2, "last"), workers=2)
    check(STACKS[3], CrossEntropy(), 40, 3, TBPTT(*k1_k2, "last"), workers=1)


def test_the_mean_loss_of_a_pass_is_that_of_the_last_losses():
    model, loss = a_model(STACKS[1]), SquaredError()
    stream, _ = a_stream(model, loss, 20, 2)
    trainer = bptt.Trainer(
        model, loss=loss, optimizer=Frozen(), truncation=TBPTT(4, 6, "last"), workers=1
    )
    steps = [(step.loss, step.targets) for step in trainer.steps(stream)]
    assert [targets for _, targets in steps] == [2, 2, 2]
    assert math.isclose(trainer.under_way.mean_loss, np.mean([loss for loss, _ in steps]))


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_the_whole_sequence_is_one_update(layers, memory):
    for loss, clip, workers in ((SquaredError(), None, 1), (CrossEntropy(), 0.05, 2)):
        model = a_model(layers)
        stream, laid = a_stream(model, loss, 31, 3)
        truncation = FullBPTT(clip_delta=clip, memory=memory)
        trainer = bptt.Trainer(
            model, loss=loss, optimizer=Frozen(), truncation=truncation, workers=workers
        )
        whole = naive.update(
            layers, plain(model.params), *laid, slice(0, 11), 11, clip_delta=truncation.bound
        )
        for _ in range(2):
            (step,) = trainer.steps(stream)
            assert (step.k1, step.k2) == (11, 11)
            assert_update(step, whole)


@pytest.mark.parametrize("layers", [STACKS[1], STACKS[3], STACKS[9]], ids=words)
def test_a_second_pass_begins_from_zeros_again(layers):
    model, loss = a_model(layers), SquaredError()
    stream, _ = a_stream(model, loss, 22, 3)
    trainer = bptt.Trainer(model, loss=loss, optimizer=Frozen(), truncation=TBPTT(2, 5), workers=2)
    passes = [[(s.loss, s.grads.flat.tobytes()) for s in trainer.steps(stream)] for _ in range(2)]
    assert passes[0] == passes[1]
    assert trainer.epoch == 2


def test_a_loss_reaches_back_between_k2_minus_k1_plus_1_and_k2_steps():
    """With one target at a time: dx of no other steps, and the oldest row of the window."""
    layers, k1, k2 = [RNN(3, 5), Linear(5, 2)], 2, 5
    model = a_model(layers)
    x = np.random.default_rng(0).normal(size=(8, 1, 3))
    for place, reach in ((6, k2 - k1 + 1), (7, k2)):
        targets = np.full((8, 1), -1)
        targets[place] = 1
        stream = bptt.Stream(x[:, 0], 1, targets[:, 0])
        trainer = bptt.Trainer(
            model, loss=CrossEntropy(), optimizer=Frozen(), truncation=TBPTT(k1, k2), workers=1
        )
        *_, last = trainer.steps(stream)
        assert np.count_nonzero(last.flow["0.h"]) == reach


@pytest.mark.parametrize("layers", [STACKS[1], *STACKS[7:9], STACKS[13]], ids=words)
def test_float32_is_as_good_as_its_rounding(layers):
    model = a_model(layers, "float32")
    stream, laid = a_stream(model, SquaredError(), 40, 3)
    trainer = bptt.Trainer(
        model, loss=SquaredError(), optimizer=Frozen(), truncation=TBPTT(3, 7), workers=2
    )
    updates = naive.tbptt(layers, plain(model.params), *laid, 3, 7)
    for step, wanted in zip(trainer.steps(stream), updates, strict=True):
        assert_all_close(step.grads, wanted.params, 3e-6)


@pytest.mark.parametrize("k", [0, -1, 2.0, True, None, "2"])
def test_k1_and_k2_are_positive_integers(k):
    with pytest.raises(ValueError, match="k1 must be a positive integer, got"):
        TBPTT(k, 5)
    with pytest.raises(ValueError, match="k2 must be a positive integer, got"):
        TBPTT(1, k)


@pytest.mark.parametrize("losses", ["all", None, 1, ""])
def test_losses_are_those_of_the_window_or_the_last(losses):
    with pytest.raises(ValueError, match="losses must be 'window' or 'last', got"):
        TBPTT(2, 5, losses)


def test_k1_does_not_exceed_k2():
    with pytest.raises(ValueError, match="k1=6 new steps in a window of k2=5"):
        TBPTT(6, 5)


@pytest.mark.parametrize("bound", [0, -1.0, math.nan, True, "1"])
def test_clip_delta_is_positive(bound):
    with pytest.raises(ValueError, match="clip_delta must be a positive number"):
        TBPTT(2, 5, clip_delta=bound)


def test_bound_is_infinite_without_clip_delta():
    assert TBPTT(2, 5).bound == math.inf
    assert TBPTT(2, 5, clip_delta=0.5).bound == 0.5
    assert TBPTT(np.int64(2), np.int32(5)) == TBPTT(2, 5)
    assert type(TBPTT(np.int64(2), 5).k1) is int
