"""Workers: shares of the lanes, the same bits every time, in any thread and after a fork."""

import math
import multiprocessing
import threading

import numpy as np
import pytest
from helpers import a_model, a_trainer, an_input, assert_all_close, assert_close, at_once
from toolbox import OPTIMIZERS

import bptt
import bptt.division
from bptt import LSTM, RNN, SGD, TBPTT, Adam, ClipNorm, Embedding, Linear, SquaredError, Stream
from bptt.division import best_division
from bptt.pool import cpu_count
from bptt.workers import Workers

IDS = np.random.default_rng(1).integers(0, 6, 150)


def train(seed, workers, dtype="float32"):
    """The parameters after two passes, and all losses."""
    trainer = a_trainer(
        dtype,
        optimizer=Adam(0.02),
        truncation=TBPTT(2, 5, clip_delta=0.1),
        clip=ClipNorm(1.0),
        workers=workers,
    )
    stream = Stream(np.roll(IDS, seed), 5)
    losses = [step.loss for _ in range(2) for step in trainer.steps(stream)]
    return trainer.model.params.flat.tobytes(), losses


@pytest.mark.parametrize("workers", [1, 2, 3, 9])
def test_the_same_bits_every_time(workers):
    assert train(0, workers) == train(0, workers)


def test_more_workers_round_otherwise_and_no_more_than_that():
    (one, losses), (two, others) = train(0, 1, "float64"), train(0, 2, "float64")
    np.testing.assert_allclose(losses, others, rtol=1e-8)
    np.testing.assert_allclose(np.frombuffer(one), np.frombuffer(two), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("workers", [2, 3])
def test_work_on_many_parameters_is_shared_with_the_same_bits(workers, monkeypatch):
    model = a_model([LSTM(20, 105), Linear(105, 3)])
    x, targets = an_input(model, 3, 4), np.ones((3, 4, 3))
    assert model.params.flat.size > bptt.workers._SHARED

    def gradient():
        found = bptt.gradients(model, SquaredError(), x, targets, workers=workers)
        return found.params.flat.tobytes()

    shared = gradient()
    monkeypatch.setattr(bptt.workers, "_SHARED", 2**62)
    assert gradient() == shared


def a_large_trainer(optimizer):
    """Of so many parameters that two workers share what is done with each."""
    model = a_model([Embedding(6, 5), LSTM(5, 115), Linear(115, 6)])
    return a_trainer(model=model, optimizer=optimizer, clip=ClipNorm(0.1), workers=2)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_step_of_the_optimizer_is_shared_with_the_same_bits(optimizer, monkeypatch):
    sizes, update = [], type(optimizer).update

    def watched(self, params, *given):
        sizes.append(params.size)
        update(self, params, *given)

    def train():
        trainer = a_large_trainer(optimizer)
        for _ in trainer.steps(Stream(IDS[:40], 4)):
            pass
        return trainer.model.params.flat.tobytes()

    monkeypatch.setattr(type(optimizer), "update", watched)
    shared, pieces = train(), sorted(set(sizes))
    assert len(pieces) == 2
    sizes.clear()
    monkeypatch.setattr(bptt.workers, "_SHARED", 2**62)
    assert train() == shared
    assert set(sizes) == {sum(pieces)}


def test_an_optimizer_of_ones_own_sees_all_parameters_at_once():
    class Normalised(SGD):
        elementwise = False

        def update(self, params, grads, moments, n, rate, clipping):
            params -= rate * grads / np.linalg.norm(grads)

    trainer = a_large_trainer(Normalised(0.5))
    before = trainer.model.params.flat.copy()
    next(trainer.steps(Stream(IDS[:40], 4)))
    assert np.linalg.norm(trainer.model.params.flat - before) == pytest.approx(0.5)


def test_several_threads_train_at_once_as_each_would_alone():
    jobs = [(seed, workers) for seed in range(3) for workers in (1, 2)]
    alone = {job: train(*job) for job in jobs}
    together, start = {}, threading.Barrier(len(jobs))

    def work(job):
        start.wait(30)
        together[job] = train(*job)

    at_once(work, jobs)
    assert together == alone


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_trains_as_its_parent():
    wanted = train(1, 2)
    trainer, stream = a_trainer(workers=2), Stream(IDS, 5)
    next(trainer.steps(stream))
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def child():
        theirs.send((train(1, 2), [step.loss for step in trainer.steps(stream)]))

    process = context.Process(target=child)
    process.start()
    assert ours.poll(60), "the child hangs"
    found, losses = ours.recv()
    process.join(30)
    assert process.exitcode == 0
    assert found == wanted
    assert losses == [step.loss for step in trainer.steps(stream)]


@pytest.mark.parametrize("workers", [2, 3, 5, 8])
def test_every_number_of_workers_agrees_with_one(workers):
    model = a_model([LSTM(3, 5), RNN(5, 7), Linear(7, 4)])
    x, targets = an_input(model, 6, 5), np.zeros((6, 5, 4))
    one = bptt.gradients(model, SquaredError(), x, targets)
    many = bptt.gradients(model, SquaredError(), x, targets, workers=workers)
    assert_close(many.loss, one.loss, 1e-14)
    assert_all_close(many.params, one.params, 1e-13)
    assert_close(many.x, one.x, 1e-13)
    assert_all_close(many.state, one.state, 1e-13)
    assert_all_close(many.final_state, one.final_state, 1e-14)
    assert_all_close(many.flow, one.flow, 1e-13)


@pytest.mark.parametrize(("lanes", "count"), [(1, 4), (5, 2), (7, 3), (8, 8), (9, 4)])
def test_lanes_are_shared_out_evenly(lanes, count):
    team = Workers(a_model([RNN(3, 2)]), lanes, count, 2)
    shares = np.diff(team.bounds)
    assert (team.bounds[0], team.bounds[-1]) == (0, lanes)
    assert len(shares) == min(lanes, count)
    assert shares.max() - shares.min() <= 1
    team.reserve(2)
    assert [window.lanes for window in team.windows] == shares.tolist()


def best_workers(model, lanes, steps):
    return math.prod(best_division(model, lanes, steps))


def test_the_best_number_of_workers(monkeypatch):
    small, large = a_model([RNN(3, 2)]), a_model([LSTM(3, 64)])
    assert best_workers(small, 64, 2) == 1
    assert best_workers(large, 1, 1000) == 1
    assert best_workers(large, 16, 1000) >= min(2, cpu_count())
    monkeypatch.setattr(bptt.division, "cpu_count", lambda: 2)
    assert best_workers(large, 16, 1000) == 2


@pytest.mark.parametrize("lanes", [5, 8, 50, 64])
def test_more_work_takes_more_workers_and_none_that_leaves_the_largest_share_as_it_is(
    monkeypatch, lanes
):
    monkeypatch.setattr(bptt.division, "cpu_count", lambda: 16)
    model = a_model([LSTM(3, 64)])
    counts = [best_workers(model, lanes, steps) for steps in (1, 10, 100, 1000, 10_000, 10**7)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, -(-lanes // -(-lanes // min(16, lanes))))
    for count in set(counts) - {1}:
        assert -(-lanes // (count - 1)) > -(-lanes // count)


def test_more_layers_take_fewer_workers_for_the_same_work(monkeypatch):
    monkeypatch.setattr(bptt.division, "cpu_count", lambda: 16)
    one, four = a_model([LSTM(64, 64)]), a_model([RNN(64, 64)] * 4)
    assert one.params.flat.size == four.params.flat.size
    assert best_workers(four, 64, 20) < best_workers(one, 64, 20)
