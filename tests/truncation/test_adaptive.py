"""AdaptiveTBPTT: what it probes and when, the window it takes, and its gradients."""

import logging
from dataclasses import dataclass, field

import naive
import numpy as np
import pytest
from helpers import Frozen, a_model, a_stream, assert_close, assert_update, plain

import bptt
from bptt import (
    LSTM,
    RNN,
    SGD,
    AdaptiveTBPTT,
    CrossEntropy,
    Embedding,
    Linear,
    SquaredError,
    Stream,
    Truncation,
)
from bptt.truncation import Plan


def forgetting(rate):
    """A linear network whose state keeps ``rate`` of itself from step to step."""
    model = a_model([RNN(2, 3, "identity"), Linear(3, 2)])
    model.params["0.Wh"] = rate * np.eye(3)
    return model


def a_run(model, truncation, steps=60, lanes=1, optimizer=None):
    """A trainer, and its stream of floats."""
    stream, _ = a_stream(model, SquaredError(), steps * lanes, lanes)
    trainer = bptt.Trainer(
        model,
        loss=SquaredError(),
        optimizer=Frozen() if optimizer is None else optimizer,
        truncation=truncation,
        workers=1,
    )
    return trainer, stream


def probes(caplog):
    """After which updates there was a probe, as the log says."""
    return [record.args[0] for record in caplog.records if "decay" in record.message]


def smallest(rate, tolerance, k_max):
    """For one lane, found(K) = φ_0 (1 - rate^K) / (1 - rate), and missed(K) the rest."""
    for window in range(1, k_max + 1):
        if rate**window / (1 - 2 * rate**k_max) <= tolerance:
            return window
    return k_max


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("k1", [None, 1, 3, 9])
@pytest.mark.parametrize(
    ("rate", "tolerance"), [(0.5, 0.1), (0.5, 0.01), (0.2, 0.5), (0.8, 0.3), (0.8, 0.001)]
)
def test_the_smallest_window_within_the_tolerance_is_taken(rate, tolerance, k1, memory, caplog):
    k_max = 12
    reach = smallest(rate, tolerance, k_max)
    truncation = AdaptiveTBPTT(tolerance, k_max, k1=k1, memory=memory)
    trainer, stream = a_run(forgetting(rate), truncation)
    with caplog.at_level(logging.INFO, "bptt"):
        sizes = [(step.k1, step.k2) for step in trainer.steps(stream)]
    stride = reach if k1 is None else k1
    assert set(sizes[:-1]) == {(stride, reach + stride - 1)}
    last = (stream.steps - 1) % stride + 1
    assert sizes[-1] == (last, reach + last - 1)
    assert caplog.messages == [f"after update 0: decay {rate:.4f} a step, window {reach}"]
    assert trainer.memo == {"reach": reach, "probed": 0}


def test_windows_differ_with_the_tolerance():
    """So that the test above compares something."""
    found = {smallest(0.5, tolerance, 12) for tolerance in (0.5, 0.1, 0.01)}
    assert found == {2, 4, 7}


@pytest.mark.parametrize("rate", [1.01, 1.3])
def test_without_decay_the_window_is_k_max_and_a_warning_says_so(rate):
    trainer, stream = a_run(forgetting(rate), AdaptiveTBPTT(0.1, 8))
    with pytest.warns(RuntimeWarning, match=r"does not decay over 8 steps \(rate 1\.[03]") as seen:
        step = next(trainer.steps(stream))
    assert len(seen) == 1
    assert (step.k1, step.k2) == (8, 15)
    sizes = {step.k2 for step in trainer.steps(stream)}
    assert 15 in sizes


def test_with_no_window_within_the_tolerance_the_window_is_k_max_in_silence(caplog):
    trainer, stream = a_run(forgetting(0.95), AdaptiveTBPTT(0.1, 6))
    with caplog.at_level(logging.INFO, "bptt"):
        assert next(trainer.steps(stream)).k2 == 11
    assert caplog.messages == ["after update 0: decay 0.9500 a step, window 6"]


@pytest.mark.parametrize("every", [1, 2, 7, 100])
def test_probes_come_every_so_many_updates_and_never_near_the_end(every, caplog):
    """60 steps, 3 an update: after update n, 60 - 3n steps are left."""
    k_max, passes = 10, 3
    trainer, stream = a_run(forgetting(0.5), AdaptiveTBPTT(0.1, k_max, every, k1=3))
    with caplog.at_level(logging.INFO, "bptt"):
        for _ in range(passes):
            assert len(list(trainer.steps(stream))) == 20
    wanted, last = [], None
    for n in range(20 * passes):
        due = last is None or n - last >= every
        if due and 60 - 3 * (n % 20) >= k_max:
            wanted.append(n)
            last = n
    assert probes(caplog) == wanted


def test_on_a_stream_shorter_than_k_max_there_is_no_probe_and_the_window_is_k_max(caplog):
    trainer, stream = a_run(forgetting(0.5), AdaptiveTBPTT(0.1, 30), steps=29)
    with caplog.at_level(logging.INFO, "bptt"):
        assert [(step.k1, step.k2) for step in trainer.steps(stream)] == [(29, 58)]
    assert caplog.messages == []
    assert trainer.memo == {}


def test_a_step_without_targets_is_not_probed(caplog):
    """Nor are six more of them; then the next update tries again."""
    model = a_model([Embedding(4, 2), RNN(2, 3), Linear(3, 4)])
    ids = np.random.default_rng(0).integers(0, 4, 40)
    targets = ids.copy()
    targets[5:12] = -1
    trainer = bptt.Trainer(
        model,
        loss=CrossEntropy(),
        optimizer=Frozen(),
        truncation=AdaptiveTBPTT(0.99, 6, 50, k1=2),
        workers=1,
    )
    with caplog.at_level(logging.INFO, "bptt"):
        list(trainer.steps(Stream(ids, 1, targets)))
    assert probes(caplog) == [1]


@dataclass(frozen=True)
class Watched(Truncation):
    """TBPTT(3, 5) that keeps what its probes of four steps give."""

    seen: list = field(default_factory=list)

    def plan(self, n, left, memo):
        k1 = min(3, left)
        return Plan(k1, 5, k1)

    def usual(self, steps):
        return 5

    @property
    def slides(self):
        return True

    def adapt(self, memo, n, probe):
        self.seen.append(probe(4))
        return memo


@pytest.mark.parametrize(("memory", "optimizer"), [(None, SGD(0.3)), ("sqrt", Frozen())])
def test_a_probe_runs_ahead_from_the_state_of_the_pass(memory, optimizer):
    """With the parameters of the moment; lanes that have ended are left out."""
    layers = [LSTM(3, 4), RNN(4, 2), Linear(2, 3)]
    model, watched = a_model(layers), Watched(memory=memory)
    stream, (x, targets, there) = a_stream(model, SquaredError(), 37, 3)
    trainer = bptt.Trainer(
        model, loss=SquaredError(), optimizer=optimizer, truncation=watched, workers=2
    )
    state = naive.zero_state(layers, 3)
    for start in range(0, 12, 3):
        params = plain(model.params)
        next(trainer.steps(stream))
        at, last = slice(start, start + 4), slice(start + 3, start + 4)
        wanted = naive.backward(
            layers, params, x[at], targets[last], state, mask=there[last], scale=1.0
        )
        delta = np.concatenate([wanted.delta[0], wanted.delta[1]], axis=2)
        assert_close(watched.seen[-1], delta[::-1, there[last][0]], 1e-12)
        _, state = naive.forward(layers, params, x[start : start + 3], state)
    assert watched.seen[-1].shape == (4, 1, 6)
    next(trainer.steps(stream))
    assert watched.seen[-1] is None
    assert trainer.under_way.finished


@pytest.mark.parametrize("memory", [None, "sqrt"])
def test_every_loss_reaches_back_at_least_the_window(memory):
    """Each update is TBPTT(K, 2K - 1), by brute force."""
    layers = [Linear(3, 2), LSTM(2, 4), Linear(4, 3)]
    model = a_model(layers)
    model.params["1.b"][4:8] = -1.0
    stream, laid = a_stream(model, SquaredError(), 100, 2)
    trainer = bptt.Trainer(
        model,
        loss=SquaredError(),
        optimizer=Frozen(),
        truncation=AdaptiveTBPTT(0.05, 12, memory=memory),
        workers=2,
    )
    start, reach = 0, None
    for step in trainer.steps(stream):
        reach = trainer.memo["reach"]
        new = slice(start, start + step.k1)
        assert step.k2 == reach + step.k1 - 1
        assert_update(step, naive.update(layers, plain(model.params), *laid, new, step.k2))
        start = new.stop
    assert 1 < reach < 12
    assert start == stream.steps


def driven():
    """A network that forgets where its input is 0, and remembers where it is not; its stream."""
    model = a_model([LSTM(1, 3), Linear(3, 2)])
    model.params["0.Wx"][0, 3:6] = 9.0
    model.params["0.Wh"] *= 0.3
    model.params["0.b"][3:6] = -4.0
    x = np.zeros((120, 1))
    x[40:80] = 0.9
    targets = np.random.default_rng(0).normal(size=(120, 2))
    return model, x, targets


def steps_back(step):
    """How many steps the error of an update went back, as its flow says."""
    return np.count_nonzero(~np.isnan(step.flow["0.h"]))


@pytest.mark.filterwarnings("ignore:.*does not decay:RuntimeWarning")
def test_a_window_that_grows_and_shrinks_has_right_gradients():
    """As far back as the steps of the update before are there for it."""
    model, x, targets = driven()
    truncation = AdaptiveTBPTT(0.5, 8, every=1, memory="sqrt")
    trainer = bptt.Trainer(
        model, loss=SquaredError(), optimizer=Frozen(), truncation=truncation, workers=1
    )
    laid = x[:, None], targets[:, None], np.ones((120, 1), bool)
    start, sizes = 0, []
    for step in trainer.steps(Stream(x, 1, targets)):
        new = slice(start, start + step.k1)
        back = steps_back(step)
        assert step.k1 <= back <= step.k2
        wanted = naive.update(model.layers, plain(model.params), *laid, new, back)
        assert_update(step, wanted)
        start, sizes = new.stop, [*sizes, step.k2]
    assert {1, 15} <= set(sizes)
