"""TBPTT(k1, k2): every update's gradient is the brute-force one of its definition."""

import math

import naive
import numpy as np
import pytest
from helpers import EXACT, Frozen, a_model, assert_all_close, few, plain, words
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bptt
from bptt import GRU, LSTM, RNN, TBPTT, CrossEntropy, Embedding, Linear, SquaredError

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
]


def a_stream(model, loss, pairs, batch, seed=6):
    """A stream, and the same pairs laid out in lanes: x, targets, where there are any."""
    rng = np.random.default_rng(seed)
    if model.reads_ids:
        data = rng.integers(0, model.n_in, pairs)
    else:
        data = rng.normal(size=(pairs, model.n_in))
    if isinstance(loss, CrossEntropy):
        targets = rng.integers(-1, model.n_out, pairs)
        targets[::7] = 0
    else:
        targets = rng.normal(size=(pairs, model.n_out))
    (x, there), (laid, _) = naive.lanes(data, batch), naive.lanes(targets, batch)
    return bptt.Stream(data, batch, targets), (x, laid, there)


def flow_of(delta, k2):
    """Per layer the norms over lanes and units, newest last, nan before the first step."""
    flow = {}
    for i, errors in delta.items():
        flow[f"{i}.h"] = np.full(k2, np.nan)
        flow[f"{i}.h"][k2 - len(errors) :] = np.sqrt((errors**2).sum(axis=(1, 2)))
    return flow


def check(layers, loss, pairs, batch, truncation, workers):
    """Each update is what brute force finds; how many there were."""
    model = a_model(layers)
    before = model.params.flat.copy()
    stream, laid = a_stream(model, loss, pairs, batch)
    trainer = bptt.Trainer(
        model, loss=loss, optimizer=Frozen(), truncation=truncation, workers=workers
    )
    k1, k2 = truncation.k1, truncation.k2
    updates = naive.tbptt(layers, plain(model.params), *laid, k1, k2, truncation.bound)
    n = 0
    for n, (step, wanted) in enumerate(zip(trainer.steps(stream), updates, strict=True), start=1):
        assert step.n == n
        if step.targets:
            assert math.isclose(step.loss, wanted.loss, rel_tol=EXACT)
        else:
            assert math.isnan(step.loss)
        assert_all_close(step.grads, wanted.params)
        assert math.isclose(step.grad_norm, np.linalg.norm(step.grads.flat), rel_tol=EXACT)
        flow = flow_of(wanted.delta, k2)
        assert set(step.flow) == set(flow)
        for name, norms in flow.items():
            np.testing.assert_allclose(step.flow[name], norms, rtol=1e-9, atol=1e-15)
    assert np.array_equal(model.params.flat, before)
    assert n == math.ceil(stream.steps / k1)


WINDOWS = [(1, 1), (4, 4), (1, 5), (2, 5), (3, 4), (5, 7), (2, 6), (3, 20), (9, 9)]


@pytest.mark.parametrize("k1_k2", WINDOWS, ids=str)
@pytest.mark.parametrize("layers", STACKS[1:5] + STACKS[7:], ids=words)
def test_windows_that_do_not_divide_the_stream(layers, k1_k2):
    check(layers, SquaredError(), 41, 3, TBPTT(*k1_k2), workers=2)


@settings(max_examples=few(50))
@example(layers=STACKS[1], ids=True, k1=3, more=4, batch=3, steps=11, extra=1, clip=0.05, workers=2)
@given(
    layers=st.sampled_from(STACKS),
    ids=st.booleans(),
    k1=st.integers(1, 7),
    more=st.integers(0, 7),
    batch=st.integers(1, 5),
    steps=st.integers(1, 18),
    extra=st.integers(0, 4),
    clip=st.sampled_from([None, 0.05, 0.5]),
    workers=st.integers(1, 3),
)
def test_every_update_is_the_brute_force_one(
    layers, ids, k1, more, batch, steps, extra, clip, workers
):
    loss = CrossEntropy() if ids else SquaredError()
    pairs = batch * steps + min(extra, batch - 1)
    check(layers, loss, pairs, batch, TBPTT(k1, k1 + more, clip_delta=clip), workers)


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


@pytest.mark.parametrize("layers", [STACKS[1], *STACKS[7:9]], ids=words)
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
