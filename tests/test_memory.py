"""Memory does not grow with the length of a stream, and keeps within what a window may take."""

import tracemalloc

import numpy as np
import pytest
from helpers import a_model, a_trainer, an_input, words

import bptt
from bptt import LSTM, RNN, TBPTT, CrossEntropy, Embedding, FullBPTT, Linear, Mean, Residual, Stream
from bptt.kernels.compile import JIT
from bptt.memory import Segments
from bptt.recompute import RecomputedWindow
from bptt.workers import Workers

pytestmark = pytest.mark.skipif(not JIT, reason="takes long without the JIT")
SHORT = 60
SLACK = 400_000
"""Bytes that come and go by themselves: up to 2,000 freed tuples of each size, which Python keeps
for new ones, count as taken. One number kept for each unit, step and lane would be more."""


def peak(use):
    """The most bytes that were taken at a time while ``use`` ran."""
    tracemalloc.start()
    try:
        use()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def a_stream(steps):
    return Stream(np.arange(2 * steps + 1, dtype=np.uint8) % 6, 2)


@pytest.mark.parametrize("k1_k2", [(20, 20), (10, 25)], ids=str)
def test_training_on_a_stream_a_hundred_times_longer(k1_k2):
    def run(stream):
        for step in trainer.steps(stream):
            assert step.loss > 0

    streams = a_stream(SHORT), a_stream(100 * SHORT)
    trainer = a_trainer("float32", truncation=TBPTT(*k1_k2), workers=2)
    run(streams[1])
    short, long = (peak(lambda stream=stream: run(stream)) for stream in streams)
    assert long < short + SLACK


def test_evaluating_a_stream_a_hundred_times_longer():
    trainer = a_trainer("float32", workers=2)
    streams = a_stream(SHORT), a_stream(100 * SHORT)
    trainer.evaluate(streams[1])
    short, long = (peak(lambda stream=stream: trainer.evaluate(stream)) for stream in streams)
    assert long < short + SLACK


def test_a_call_keeps_little_besides_what_it_returns():
    model = a_trainer("float32").model
    inputs = [np.zeros((steps, 2), np.uint8) for steps in (SHORT, 100 * SHORT)]
    model(inputs[0])
    short, long = (peak(lambda x=x: model(x)) for x in inputs)
    returned = 99 * SHORT * 2 * 6 * 4
    assert long < short + 1.1 * returned + SLACK


STACKS = [
    [LSTM(3, 9), Linear(9, 4)],
    [Embedding(5, 3), LSTM(3, 5), RNN(5, 7), Linear(7, 4)],
    [Linear(3, 2), RNN(2, 20)],
    [Residual(LSTM(9, 9)), Mean(9)],
]


def bytes_of(windows):
    return sum(window.nbytes() for window in windows)


def a_team(model, lanes, workers, steps, memory):
    team = Workers(model, lanes, workers, steps, memory)
    team.reserve(steps)
    return team


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_a_budget_is_kept_with_the_longest_stretches_that_fit(layers, workers):
    """What windows take is measured; here it is held against windows that are really made."""
    model, lanes = a_model(layers), 5
    for steps in (1, 2, 37, 150):
        least = bytes_of(a_team(model, lanes, workers, steps, "sqrt").windows)
        for budget in np.linspace(1.0, 3.0, 5) * least + 1:
            team = a_team(model, lanes, workers, steps, budget / 1e6)
            assert bytes_of(team.windows) <= budget
            length = Segments(budget / 1e6, layers, np.diff(team.bounds), model.dtype).length(steps)
            for longer in range(length + 1, steps + 1):
                windows = [
                    RecomputedWindow(layers, count, steps, model.dtype, longer)
                    for count in np.diff(team.bounds)
                ]
                assert bytes_of(windows) > budget


def test_with_sqrt_stretches_are_the_root_of_the_window_rounded_up():
    segments = Segments("sqrt", STACKS[0], [2], "float32")
    lengths = [segments.length(k2) for k2 in (1, 2, 3, 4, 5, 9, 10, 16, 17, 10_000, 10_001)]
    assert lengths == [1, 2, 2, 2, 3, 3, 4, 4, 5, 100, 101]


def test_bytes_of_a_window_are_those_that_its_making_takes():
    model, made = a_model(STACKS[0]), []
    for memory in (None, "sqrt", 1.0):
        taken = peak(lambda memory=memory: made.append(a_team(model, 5, 1, 400, memory)))
        found = bytes_of(made.pop().windows)
        assert abs(taken - found) < 0.05 * found + 50_000


@pytest.mark.parametrize("memory", ["sqrt", 1.0])
def test_a_long_window_takes_a_small_part_of_storing_all(memory):
    model, steps = a_model([Embedding(6, 8), LSTM(8, 16), Linear(16, 6)]), 10_000
    x = an_input(model, steps, 2)
    found = {}

    def run(how):
        found[how] = bptt.value_and_grad(model, CrossEntropy(), x, x, memory=how)

    run(None)
    taken = {how: peak(lambda how=how: run(how)) for how in (None, memory)}
    assert taken[memory] < 0.1 * taken[None]
    np.testing.assert_allclose(found[memory][1].flat, found[None][1].flat, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("truncation", [TBPTT(40, 40, memory=0.2), FullBPTT(memory=1.0)], ids=str)
def test_a_trainer_keeps_its_budget(truncation):
    trainer = a_trainer(truncation=truncation, workers=2)
    for _ in trainer.steps(a_stream(2000)):
        assert bytes_of(trainer.team.windows) <= truncation.memory * 1e6


def test_a_budget_that_is_too_small_says_what_is_needed():
    trainer = a_trainer(truncation=TBPTT(40, 40, memory=1e-3), workers=2)
    before = trainer.model.params.flat.copy()
    with pytest.raises(ValueError, match=r"memory=0.001 MB is too little for a window of 40") as e:
        next(trainer.steps(a_stream(200)))
    assert trainer.n == 0
    assert np.array_equal(trainer.model.params.flat, before)
    with pytest.raises(ValueError, match="memory"):
        bptt.gradients(trainer.model, CrossEntropy(), *np.ones((2, 9, 1), int), memory=1e-3)
    needed = float(str(e.value).split("takes ")[1].split()[0])
    enough = a_trainer(truncation=TBPTT(40, 40, memory=needed * 1.01), workers=2)
    assert next(enough.steps(a_stream(200))).n == 1
    little = a_trainer(truncation=TBPTT(40, 40, memory=needed * 0.98), workers=2)
    with pytest.raises(ValueError, match="memory"):
        next(little.steps(a_stream(200)))
