"""ARTBP has no bias: its expected gradient is the full one."""

import itertools
import math
from dataclasses import dataclass

import naive
import numpy as np
import pytest
from helpers import Frozen, a_model, a_stream, assert_close, assert_update, few, plain
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt
from bptt import (
    ARTBP,
    LSTM,
    RNN,
    CrossEntropy,
    Embedding,
    Linear,
    Max,
    Mean,
    Residual,
    SquaredError,
    Truncation,
)  # fmt: skip

STACKS = [
    [LSTM(2, 3), RNN(3, 2), Linear(2, 2)],
    [RNN(2, 3)],
    [Embedding(5, 2), LSTM(2, 3), LSTM(3, 2), Linear(2, 4)],
    [Residual(RNN(2, 2)), Mean(2), Residual(Max(2)), Linear(2, 3)],
]
LARGE = 10**9
"""Steps left, where a length shall not be cut off by the end."""


@dataclass(frozen=True)
class Replay(Truncation):
    """The updates of another policy, but with given lengths."""

    policy: ARTBP
    lengths: tuple[int, ...]
    compensated: bool = True

    def plan(self, n, left, memo):
        length = self.lengths[n]
        weights = self.policy.weights(length) if self.compensated else None
        drawn = self.policy.plan(n, left, memo)
        return drawn._replace(k1=length, k2=length, losses=length, weights=weights)

    def usual(self, steps):
        return self.policy.usual(steps)


def cut_patterns(policy, steps):
    """Every way to cut between ``steps`` steps, as lengths, and its probability."""
    for cuts in itertools.product([False, True], repeat=steps - 1):
        lengths, probability, since = [], 1.0, 1
        for cut in cuts:
            c = float(policy.cut_probability(np.array(since)))
            probability *= c if cut else 1 - c
            if cut:
                lengths.append(since)
            since = 1 if cut else since + 1
        yield (*lengths, since), probability


def expected_gradient(model, loss, stream, policy, compensated):
    """Of the sum of all losses of a pass, as the policy estimates it; the sum of probabilities."""
    expected, certainty = np.zeros_like(model.params.flat), 0.0
    for lengths, probability in cut_patterns(policy, stream.steps):
        truncation = Replay(policy, lengths, compensated, memory=policy.memory)
        trainer = bptt.Trainer(
            model, loss=loss, optimizer=Frozen(), truncation=truncation, workers=1
        )
        for step in trainer.steps(stream):
            expected += probability * step.grads.flat
        assert trainer.n == len(lengths)
        certainty += probability
    return expected * policy.mean_length * stream.batch, certainty


@pytest.mark.parametrize(
    ("layers", "policy"),
    [
        (STACKS[0], ARTBP(3.0)),
        (STACKS[0], ARTBP(5, 8.0)),
        (STACKS[1], ARTBP(1.7, 2.5)),
        (STACKS[2], ARTBP(3.0, memory="sqrt")),
    ],
    ids=["LSTM RNN Linear", "alpha=8", "RNN, alpha=2.5", "two LSTMs, memory"],
)
def test_artbp_has_no_bias_and_the_same_cuts_without_its_weights_have(layers, policy):
    """The expectation over all 2⁶ ways to cut seven steps is the full gradient."""
    model = a_model(layers)
    loss = CrossEntropy() if model.reads_ids else SquaredError()
    stream, laid = a_stream(model, loss, 13, 2)
    assert stream.steps == 7
    params = plain(model.params)
    whole = naive.update(layers, params, *laid, slice(0, 7), 7, scale=1.0).params
    full = np.concatenate([whole[name].ravel() for name in model.params])
    expected, certainty = expected_gradient(model, loss, stream, policy, compensated=True)
    assert math.isclose(certainty, 1.0, rel_tol=1e-14)
    assert_close(expected, full)
    biased, _ = expected_gradient(model, loss, stream, policy, compensated=False)
    for name, exact in whole.items():
        if name.endswith("Wh"):
            bias = np.linalg.norm(model.params.like(biased)[name] - exact)
            assert bias > 0.01 * np.linalg.norm(exact), name


@pytest.mark.parametrize("mean_length", [1.0, 2.5, 30])
@pytest.mark.parametrize("alpha", [2.2, 4.0, 9.0])
def test_cuts_are_those_of_the_paper(mean_length, alpha):
    policy, since = ARTBP(mean_length, alpha), np.arange(1, 50)
    wanted = [(alpha - 1) / ((alpha - 2) * mean_length + t) for t in since]
    np.testing.assert_allclose(policy.cut_probability(since), wanted, rtol=1e-14)
    assert policy.cut_probability(since).max() <= 1
    for length in (1, 2, 7) if mean_length > 1 else (1,):
        weights = policy.weights(length)
        assert weights.shape == (length,)
        assert weights[-1] == 1
        wanted = [1 / (1 - policy.cut_probability(t)) for t in range(1, length)]
        np.testing.assert_allclose(weights[:-1], wanted, rtol=1e-14)


@pytest.mark.parametrize("mean_length", [1.0, 2.5, 30])
@pytest.mark.parametrize("alpha", [2.2, 4.0, 9.0])
def test_the_mean_length_is_exact(mean_length, alpha):
    """The mean is Σ P(length > n); what is beyond N steps of it is P(length > N) (a + N) / (α - 2)
    with a = (α - 2) L."""
    c = ARTBP(mean_length, alpha).cut_probability(np.arange(1, 20_000))
    beyond = np.append(1.0, np.cumprod(1 - c))
    a, n = (alpha - 2) * mean_length, len(c)
    mean = beyond[:-1].sum() + beyond[-1] * (a + n) / (alpha - 2)
    assert math.isclose(mean, mean_length, rel_tol=1e-11)


@pytest.mark.parametrize("n", [0, 1, 77])
def test_an_update_of_artbp_is_planned_with_its_weights(n):
    policy = ARTBP(6.0, 3.0)
    plan = policy.plan(n, LARGE, {})
    assert (plan.k1, plan.losses, plan.rate, plan.per) == (plan.k2, plan.k1, 1.0, 6.0)
    assert np.array_equal(plan.weights, policy.weights(plan.k1))


@settings(max_examples=few(30))
@given(
    layers=st.sampled_from(STACKS),
    seed=st.integers(0, 99),
    mean_length=st.sampled_from([1.5, 4, 7]),
    clip=st.sampled_from([None, 0.02]),
    memory=st.sampled_from([None, "sqrt"]),
    pairs=st.integers(5, 40),
    workers=st.integers(1, 2),
)
def test_every_update_of_artbp_is_the_brute_force_one(
    layers, seed, mean_length, clip, memory, pairs, workers
):
    model, policy = a_model(layers), ARTBP(mean_length, 3.0, seed, clip_delta=clip, memory=memory)
    loss = CrossEntropy() if model.reads_ids else SquaredError()
    stream, laid = a_stream(model, loss, pairs, 2)
    trainer = bptt.Trainer(model, loss=loss, optimizer=Frozen(), truncation=policy, workers=workers)
    start = 0
    for step in trainer.steps(stream):
        new = slice(start, start + step.k1)
        assert new.stop == min(start + policy.plan(step.n - 1, LARGE, {}).k1, stream.steps)
        back = [1 / (1 - policy.cut_probability(t)) for t in range(1, step.k1)]
        wanted = naive.update(layers, plain(model.params), *laid, new, step.k1,
                              clip_delta=policy.bound, back=[*back, 1],
                              scale=1 / (mean_length * 2))  # fmt: skip
        assert_update(step, wanted)
        start = new.stop
    assert start == stream.steps
