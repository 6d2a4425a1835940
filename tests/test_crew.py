"""Threads that share the units of a window: the same numbers as one alone, and no hanging."""

import math
import multiprocessing
import time
from functools import partial

import numpy as np
import pytest
from helpers import (
    a_model,
    a_state,
    a_trainer,
    an_input,
    assert_all_close,
    assert_close,
    at_once,
    few,
    words,
)

import bptt.workers
from bptt import (
    GRU,
    LSTM,
    RNN,
    TBPTT,
    ClipNorm,
    Dropout,
    Embedding,
    Linear,
    Residual,
    SquaredError,
    Stream,
    gradients,
)
from bptt.division import Division, best_division
from bptt.kernels.compile import JIT
from bptt.layers.crew import Crew
from bptt.layers.lookup import Lookup
from bptt.pool import Pool
from bptt.tapes import read_tapes, write_tapes
from bptt.workers import Workers

N = 72 if JIT else 11
"""Units that are several panels, and end in padding, whatever a vector holds."""
ROUNDING = 0 if JIT else 1e-13
"""Of a crew beside one: as plain Python products sum up as their size suggests."""
MODELS = [
    [RNN(3, N)],
    [LSTM(3, N)],
    [GRU(3, N)],
    [LSTM(3, N), Residual(GRU(N, N)), RNN(N, 80, "relu"), Linear(80, N)],
    [Embedding(6, 5), LSTM(5, N, peepholes=True), GRU(N, N, reset_after=False), GRU(N, N)],
    [Embedding(6, 5), Linear(5, N), LSTM(N, N, layer_norm=True), RNN(N, N, omega=0.5)],
    [Embedding(6, 5), GRU(5, N, feedback="random"), Dropout(N, 0.5), Linear(N, 3)],
]
IDS = np.random.default_rng(1).integers(0, 6, 200)


@pytest.fixture
def divided(monkeypatch):
    """As if it always paid that all workers share the units of all lanes."""

    def divide(model, lanes, steps, workers=None):
        return Division(1, workers)

    monkeypatch.setattr(bptt.workers, "best_division", divide)


def window(layers, lanes, workers, dtype="float64", **options):
    """All that `gradients` finds in one window with sequences that begin in the middle."""
    model, steps = a_model(layers, dtype), 7
    model.params.flat[:] *= 0.3
    x, rng = an_input(model, steps, lanes), np.random.default_rng(4)
    targets = rng.normal(size=(steps - 2, lanes, model.n_out))
    resets, skip = (rng.uniform(size=(steps, lanes)) < 0.3 if said else None
                    for said in options.pop("marks"))  # fmt: skip
    return gradients(
        model, SquaredError(), x, targets, a_state(model, lanes), resets=resets, skip=skip, seed=5,
        workers=workers, **options,
    )  # fmt: skip


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize("layers", MODELS, ids=words)
@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("marks", [(0, 0), (1, 0), (1, 1)], ids=["", "resets", "skip"])
@pytest.mark.parametrize("memory", [None, "sqrt"], ids=["", "sqrt"])
def test_a_crew_finds_what_one_finds(layers, lanes, marks, memory):
    for workers in (2, 3)[: few(2)]:
        options = {"marks": marks, "memory": memory}
        one, crew = (window(layers, lanes, count, **options) for count in (1, workers))
        assert_close(crew.loss, one.loss, ROUNDING)
        for name in ("params", "state", "final_state"):
            assert_all_close(getattr(crew, name), getattr(one, name), ROUNDING)
        if one.x is not None:
            assert_close(crew.x, one.x, ROUNDING)
        assert_all_close(crew.flow, one.flow, 1e-14)


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize("slow", ["spread", "collect"])
def test_all_wait_for_what_the_first_does_for_each_id(slow, monkeypatch):
    done = getattr(Lookup, slow)

    def dawdle(*given):
        time.sleep(0.02)
        return done(*given)

    monkeypatch.setattr(Lookup, slow, dawdle)
    layers = [Embedding(6, 5), LSTM(5, N)]
    one, crew = (window(layers, 4, workers, marks=(0, 0)) for workers in (1, 2))
    assert_all_close(crew.params, one.params, ROUNDING)


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize("layers", MODELS[:4], ids=words)
def test_a_crew_bounds_errors_as_one_does(layers):
    options = {"marks": (0, 0), "clip_delta": 0.01}
    one, crew = (window(layers, 2, workers, **options) for workers in (1, 2))
    assert_all_close(crew.params, one.params, 1e-12)
    assert_all_close(crew.flow, one.flow, 1e-12)
    free = window(layers, 2, 1, marks=(0, 0))
    assert any((one.params[name] != free.params[name]).any() for name in free.params)


def train(workers, seed=0):
    model = a_model([Embedding(6, 5), LSTM(5, N), GRU(N, N), Linear(N, 6)], "float32")
    truncation = TBPTT(2, 5, clip_delta=0.1)
    trainer = a_trainer(model=model, truncation=truncation, clip=ClipNorm(1.0), workers=workers)
    steps = list(trainer.steps(Stream(np.roll(IDS, seed)[:60], 2)))
    slopes = [trainer.team.slopes(i, 5) for i in (1, 2)]
    return model.params.flat.copy(), [step.loss for step in steps], slopes


@pytest.mark.usefixtures("divided")
def test_training_is_the_same_to_the_bit_every_time_and_to_rounding_for_any_crew():
    (params, losses, slopes), again = train(2), train(2)
    assert np.array_equal(params, again[0])
    assert losses == again[1]
    wanted = train(1)
    np.testing.assert_allclose(params, wanted[0], rtol=1e-4, atol=1e-5)
    for crew, one in zip(slopes, wanted[2], strict=True):
        np.testing.assert_allclose(crew, one, rtol=1e-4)


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize("writer", [1, 2])
def test_a_crew_reads_what_one_wrote_and_the_other_way(writer):
    model = a_model([Embedding(6, 5), LSTM(5, N), GRU(N, N)])
    tapes = []
    for workers in (writer, 3 - writer):
        team = Workers(model, 2, workers, 8)
        team.reserve(4, sliding=True)
        if not tapes:
            team.weights.pack(back=False)
            for piece in np.split(an_input(model, 8, 2), 4):
                for run in team.windows:
                    run.make_room(len(piece))
                    run.forward(team.weights, piece)
        else:
            write_tapes(team.windows, team.bounds, tapes[0])
        tapes.append(read_tapes(team.windows, 4))
    for name, wanted in tapes[0].items():
        assert_close(tapes[1][name], wanted, ROUNDING, name)


@pytest.mark.usefixtures("divided")
def test_crews_in_several_threads_do_not_disturb_each_other():
    jobs, together = [(seed, workers) for seed in range(2) for workers in (2, 3)], {}
    alone = {job: train(job[1], seed=job[0])[1] for job in jobs}

    def work(job):
        together[job] = train(job[1], seed=job[0])[1]

    at_once(work, jobs)
    assert together == alone


@pytest.mark.usefixtures("divided")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_a_crew_of_its_own():
    wanted, context = train(2)[1], multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=lambda: theirs.send(train(2)[1]))
    process.start()
    assert ours.poll(60), "the child hangs"
    assert ours.recv() == wanted
    process.join(10)


def test_when_a_member_fails_the_others_end_and_the_crew_works_again():
    crew, met = Crew(3, Pool(3).run), []

    def work(member):
        return [
            partial(fail, member[0]),
            partial(bptt.kernels.crew.meet, *member),
            partial(met.append, member[0]),
        ]

    def fail(number):
        if number == 1 and not met:
            raise ArithmeticError("of one member")

    with pytest.raises(ArithmeticError, match="of one member"):
        crew.run(work)
    assert sorted(met) == [0, 2]
    crew.run(work)
    assert sorted(met) == [0, 0, 1, 2, 2]


def test_few_lanes_of_many_units_are_divided_by_units(monkeypatch):
    monkeypatch.setattr(bptt.division, "cpu_count", lambda: 2)
    large, small = a_model([LSTM(512, 512)], "float32"), a_model([LSTM(8, 16)], "float32")
    for workers in (None, 2):
        assert best_division(large, 1, 50, workers) == (1, 2)
        assert best_division(large, 3, 50, workers) == (1, 2)
        assert best_division(large, 64, 50, workers) == (2, 1)
    assert best_division(small, 1, 50) == best_division(small, 1, 50, 2) == (1, 1)
    assert best_division(small, 64, 1, 2) == (2, 1)
    assert best_division(large, 1, 50, 1) == (1, 1)


def test_only_layers_that_can_are_divided(monkeypatch):
    monkeypatch.setattr(bptt.division, "cpu_count", lambda: 16)
    assert best_division(a_model([LSTM(512, 512, peepholes=True)]), 1, 50) == (1, 1)
    shards, members = best_division(a_model([GRU(512, 512)]), 1, 50)
    assert shards == 1
    assert 2 < members <= math.ceil(512 / 8)
