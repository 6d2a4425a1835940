"""Windows of random length: how they are drawn, and what follows from their length."""

import itertools
import math

import naive
import numpy as np
import pytest
from helpers import Frozen, a_model, a_stream, assert_close, assert_update, few, plain

import bptt
from bptt import (
    ARTBP,
    LSTM,
    RNN,
    SGD,
    CrossEntropy,
    Embedding,
    Linear,
    RandomTBPTT,
    SquaredError,
)

STACKS = [
    [LSTM(2, 3), RNN(3, 2), Linear(2, 2)],
    [RNN(2, 3)],
    [Embedding(5, 2), LSTM(2, 3), LSTM(3, 2), Linear(2, 4)],
]
POLICIES = [RandomTBPTT(20, 0.3, 6.0, seed=3), ARTBP(12.5, 3.5, seed=3)]
LARGE = 10**9
"""Steps left, where a length shall not be cut off by the end."""


def lengths_of(truncation, n, left=LARGE):
    return np.array([truncation.plan(i, left, {}).k1 for i in range(n)])


def assert_share(hits, n, probability):
    """``hits`` of ``n`` are within five standard deviations of what is expected."""
    spread = math.sqrt(n * probability * (1 - probability))
    assert abs(hits - n * probability) <= 5 * spread + 1e-9, (hits / n, probability)


@pytest.mark.parametrize("policy", [ARTBP(4.0), ARTBP(2.2, 2.5, seed=5)], ids=str)
def test_artbp_draws_each_length_with_its_probability(policy):
    n = few(4000)
    lengths, beyond = lengths_of(policy, n), 1.0
    for length in range(1, 12):
        c = float(policy.cut_probability(np.array(length)))
        assert_share(np.count_nonzero(lengths == length), n, beyond * c)
        beyond *= 1 - c
    assert_share(np.count_nonzero(lengths >= 12), n, beyond)


def test_artbp_draws_very_long_windows_too():
    policy, n = ARTBP(3000, 10.0), few(400)
    lengths = lengths_of(policy, n)
    beyond = np.cumprod(1 - policy.cut_probability(np.arange(1, 5000)))
    for length in (500, 1023, 1024, 1025, 2048, 2049, 4000):
        assert_share(np.count_nonzero(lengths > length), n, beyond[length - 1])


def test_artbp_with_a_mean_of_one_always_cuts():
    policy = ARTBP(1)
    assert (lengths_of(policy, 50) == 1).all()
    assert policy.plan(0, 9, {}).weights.tolist() == [1.0]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_lengths_depend_on_the_seed_and_the_number_of_the_update_alone(policy):
    lengths = lengths_of(policy, 60)
    backwards = [policy.plan(n, LARGE, {}).k1 for n in reversed(range(60))]
    assert lengths.tolist() == backwards[::-1]
    again = type(policy)(**vars(policy))
    assert np.array_equal(lengths_of(again, 60), lengths)
    other = type(policy)(**vars(policy) | {"seed": 4})
    assert np.count_nonzero(lengths_of(other, 60) != lengths) > 30
    assert len(set(lengths)) > 10


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("left", [1, 2, 7, 15])
def test_a_length_never_exceeds_what_is_left(policy, left):
    free, bounded = lengths_of(policy, 200), lengths_of(policy, 200, left)
    assert np.array_equal(bounded, np.minimum(free, left))
    assert (free > left).any()


def test_the_base_of_a_random_length_is_sometimes_half():
    n = few(3000)
    lengths = lengths_of(RandomTBPTT(70, 0.2, spread=0.0), n)
    assert set(lengths) == {35, 70}
    assert_share(np.count_nonzero(lengths == 35), n, 0.2)
    assert set(lengths_of(RandomTBPTT(70, 0, spread=0), 50)) == {70}
    assert set(lengths_of(RandomTBPTT(70, 1, spread=0), 50)) == {35}


@pytest.mark.parametrize("shortest", [1, 60, 66])
def test_random_lengths_are_rounded_and_bounded_from_a_normal_distribution(shortest):
    n, k, spread = few(3000), 70, 4.0
    lengths = lengths_of(RandomTBPTT(k, 0.0, spread, shortest), n)
    for length in range(max(shortest, 58), 83):
        upper = _below((length + 0.5 - k) / spread)
        lower = 0.0 if length == shortest else _below((length - 0.5 - k) / spread)
        assert_share(np.count_nonzero(lengths == length), n, upper - lower)
    assert lengths.min() >= shortest


def _below(z):
    """Probability that a standard normal is below ``z``."""
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


@pytest.mark.parametrize("memory", [None, "sqrt"])
def test_the_learning_rate_follows_the_length(memory):
    layers, k, rate = STACKS[0], 8, 0.3
    model, policy = a_model(layers), RandomTBPTT(k, 0.3, 2.0, shortest=2, memory=memory)
    stream, _ = a_stream(model, SquaredError(), 101, 2)
    trainer = bptt.Trainer(
        model, loss=SquaredError(), optimizer=SGD(rate), truncation=policy, workers=1
    )
    before, start, lengths = model.params.flat.copy(), 0, []
    for step in trainer.steps(stream):
        assert step.k1 == step.k2
        moved = before - rate * step.k1 / k * step.grads.flat
        assert_close(model.params.flat, moved, 1e-14)
        before, start = model.params.flat.copy(), start + step.k1
        lengths.append(step.k1)
    assert start == stream.steps
    assert len(set(lengths)) > 3


def test_every_update_of_random_windows_is_the_brute_force_one():
    for layers, memory in itertools.product(STACKS, (None, "sqrt")):
        policy = RandomTBPTT(6, 0.3, 3.0, shortest=2, seed=1, clip_delta=0.05, memory=memory)
        model = a_model(layers)
        loss = CrossEntropy() if model.reads_ids else SquaredError()
        stream, laid = a_stream(model, loss, 91, 3)
        trainer = bptt.Trainer(model, loss=loss, optimizer=Frozen(), truncation=policy, workers=2)
        start, longest = 0, 0
        for step in trainer.steps(stream):
            new = slice(start, start + step.k1)
            assert_update(
                step,
                naive.update(
                    layers, plain(model.params), *laid, new, step.k2, clip_delta=policy.bound
                ),
            )
            start, longest = new.stop, max(longest, step.k1)
        assert longest > policy.plan(0, LARGE, {}).k1
