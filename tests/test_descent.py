"""Steps of an optimizer: which updates count, and what would not be finite is taken back."""

import math
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import a_model, a_trainer
from toolbox import OPTIMIZERS

import bptt
from bptt import (
    LSTM,
    SGD,
    TBPTT,
    Adam,
    BatchNorm,
    Checkpoint,
    Cosine,
    Linear,
    NonFiniteError,
    SquaredError,
    Stream,
    WarmUp,
)
from bptt.clip import UNCLIPPED
from bptt.descent import Descent

IDS = np.random.default_rng(0).integers(0, 6, 100)
TWO = SimpleNamespace(
    share=lambda work: [work(slice(0, 40)), work(slice(40, None))], settle=lambda: None
)
"""Stands for two workers."""


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_updates_without_a_target_count_for_nothing(optimizer, tmp_path):
    """As those with one, one after the other, by hand; also over a file."""
    rates = WarmUp(4, Cosine(0.05, 0.01, 9))
    trainer = a_trainer(optimizer=replace(optimizer, learning_rate=rates))
    targets = np.where(np.arange(100) // 20 % 2, IDS, -1)
    params = trainer.model.params.flat.copy()
    moments = {name: np.zeros_like(params) for name in optimizer.moments}
    taken = 0
    while trainer.epoch < 2:
        step = next(trainer.steps(Stream(IDS, 1, targets)))
        if step.targets:
            rate = rates.rate(taken, 0)
            assert step.rate == rate
            taken += 1
            optimizer.update(params, step.grads.flat, moments, taken, rate, UNCLIPPED)
        assert np.array_equal(trainer.model.params.flat, params)
        trainer.save(tmp_path / "trainer")
        trainer = bptt.Trainer.load(tmp_path / "trainer")
    assert (trainer.n, taken) == (50, 20)


def test_the_first_step_after_a_burn_in_is_adams_first():
    stream = Stream(IDS, 1, np.where(np.arange(100) < 50, -1, IDS))
    trainer = a_trainer(optimizer=Adam(1e-3, eps=1e-30), truncation=TBPTT(10, 10))
    before = trainer.model.params.flat.copy()
    for _ in zip(range(6), trainer.steps(stream), strict=False):
        pass
    moved = np.abs(trainer.model.params.flat - before)
    np.testing.assert_allclose(moved[moved > 0], 1e-3, rtol=1e-9)


@dataclass(frozen=True)
class Summing(bptt.Optimizer):
    """Goes on by the rate, and says nothing of what it may come to."""

    moments = ("sums",)

    def update(self, params, grads, moments, n, rate, clipping):
        params -= rate
        moments["sums"] += grads


OVERFLOWS = {  # optimizer, gradient and rate of one step too many, and what is said of it
    "sgd": (SGD(1.0), 10.0, 1e38, "the parameter 0.Wx"),
    "momentum": (SGD(1.0, momentum=0.9), 3e38, 1e10, "the parameter 0.Wx"),
    "a rate beyond float32": (Adam(1.0), 1.0, 1e39, "the parameter 0.Wx"),
    "no rate": (SGD(1.0), 1.0, math.nan, "the parameter 0.Wx"),
    "one's own": (Summing(1.0), 1.0, math.inf, "the parameter 0.Wx"),
    "a moment": (Summing(1.0), 3e38, 1.0, "the moment sums of 0.Wx"),
}


@pytest.mark.parametrize("name", OVERFLOWS)
def test_a_step_that_is_not_finite_is_taken_back(name):
    optimizer, gradient, rate, said = OVERFLOWS[name]
    model = a_model([LSTM(2, 3), Linear(3, 4)], "float32")
    descent, grads = Descent(model, optimizer), np.full(model.params.flat.size, 1e-3, np.float32)
    grads[0] = 2e38 if name == "a moment" else 1.0
    assert descent.step(TWO, grads, 3e38, 1e-30, UNCLIPPED) is None
    grads[0] = gradient
    everything = [model.params.flat, *descent.moments.values()]
    before = [vector.tobytes() for vector in everything]
    for _ in range(2):
        found = descent.step(TWO, grads, gradient, rate, UNCLIPPED)
        assert found == (f"{said}, after the step,", "0 (LSTM)")
        assert [vector.tobytes() for vector in everything] == before
        assert descent.steps == descent.updates == 1
    grads[0] = 1e-3
    assert descent.step(TWO, grads, 1.0, 1e-3, UNCLIPPED) is None
    assert descent.steps == 2


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("rate", [1e-3, 1e6])
def test_what_is_safe_is_finite(optimizer, rate):
    """So those are neither copied nor checked; whatever the largest numbers stand beside."""
    largest = optimizer.safe_size(rate)
    assert largest > 10
    rng = np.random.default_rng(0)
    for scale in (0.0, 1e-30, 1e-3, 1.0):
        values = rng.choice([-1, 1, 0, scale], (3 + len(optimizer.moments), 2000)) * largest
        params, grads, *moments = values.astype(np.float32)
        params[:1000] = np.finfo(np.float32).max
        params[:1000] *= getattr(optimizer, "weight_decay", 0) == 0
        signed = ("m", "mean", "velocity")
        moments = {
            name: moment if name in signed else np.abs(moment)
            for name, moment in zip(optimizer.moments, moments, strict=False)
        }
        optimizer.update(params, grads, moments, 1, rate, UNCLIPPED)
        assert all(np.isfinite(vector).all() for vector in (params, *moments.values()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_it_says_what_all_it_wrote_comes_to(optimizer, dtype):
    """Over several pieces, the last of them not whole."""
    params, grads = np.random.default_rng(0).normal(size=(2, 2500)).astype(dtype)
    moments = {name: np.zeros_like(params) for name in optimizer.moments}
    size = optimizer.update(params, grads, moments, 1, 0.1, UNCLIPPED)
    wanted = sum(np.abs(vector).sum(dtype=np.float64) for vector in (params, *moments.values()))
    assert size == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_trainer_saves_nothing_bad_and_can_go_on(tmp_path, workers, monkeypatch):
    monkeypatch.setattr("bptt.workers._SHARED", 10)
    path = tmp_path / "trainer"
    trainer = a_trainer("float32", optimizer=SGD(0.1), workers=workers,
                        callbacks=[Checkpoint(path, every_updates=1)])  # fmt: skip
    stream = Stream(IDS, 2)
    next(trainer.steps(stream))
    trainer.optimizer = SGD(3e38, weight_decay=10.0)
    before, n, time = trainer.model.params.flat.copy(), trainer.n, trainer.time
    with pytest.raises(NonFiniteError, match=r"update 2: the parameter 0\.W, after") as seen:
        trainer.fit(stream, 1, progress=False)
    assert (seen.value.update, seen.value.where) == (2, "0 (Embedding)")
    saved = bptt.Trainer.load(path)
    for one in (trainer, saved):
        assert np.array_equal(one.model.params.flat, before)
        assert (one.n, one.time, one.descent.steps) == (n, time, 1)
    trainer.optimizer = SGD(0.1)
    trainer.fit(stream, 1, progress=False)
    assert np.isfinite(trainer.model.params.flat).all()


def test_buffers_are_taken_back_too():
    model = a_model([BatchNorm(2), Linear(2, 1)], "float32")
    trainer = bptt.Trainer(model, loss=SquaredError(), optimizer=SGD(0.1), workers=1,
                           truncation=TBPTT(5, 5))  # fmt: skip
    x = np.random.default_rng(0).normal(size=(20, 2))
    x[5:] *= 1e25
    steps = trainer.steps(Stream(x, 1, np.ones((20, 1))))
    next(steps)
    before = model.params.flat.copy(), model.buffers.flat.copy()
    with pytest.raises(NonFiniteError, match=r"the buffer 0\.running_var, after the step"):
        next(steps)
    assert np.array_equal(model.params.flat, before[0])
    assert np.array_equal(model.buffers.flat, before[1])
