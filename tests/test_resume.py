"""Saved and loaded in the middle of a pass, a run goes on bit for bit, whatever truncates it."""

import itertools
import logging

import numpy as np
import pytest
from helpers import a_model, few

from bptt import (
    ARTBP,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    Adam,
    AdaptiveTBPTT,
    CrossEntropy,
    Embedding,
    FullBPTT,
    Linear,
    RandomTBPTT,
    SquaredError,
    Stream,
    Trainer,
)

IDS = np.random.default_rng(3).integers(0, 6, 81)
POLICIES = {
    "TBPTT": TBPTT(4, 4, clip_delta=0.05),
    "TBPTT that slides": TBPTT(2, 7),
    "TBPTT with the last loss": TBPTT(3, 8, "last"),
    "FullBPTT": FullBPTT(),
    "RandomTBPTT": RandomTBPTT(6, 0.3, 4.0, shortest=1, seed=13),
    "ARTBP": ARTBP(4, 3.0, seed=3),
    "AdaptiveTBPTT": AdaptiveTBPTT(0.5, 9, every=50),
    "AdaptiveTBPTT with a stride": AdaptiveTBPTT(0.5, 9, every=50, k1=2),
}
CASES = [
    (name, memory)
    for name, memory in itertools.product(POLICIES, (None, "sqrt", 0.3))
    if memory != 0.3 or name in ("TBPTT that slides", "FullBPTT", "RandomTBPTT", "ARTBP")
]


def fresh(name, memory, workers):
    policy = POLICIES[name]
    model = a_model([Embedding(6, 3), LSTM(3, 4), RNN(4, 5), Linear(5, 6)])
    model.params["1.Wh"] *= 0.5
    model.params["2.Wh"] *= 0.5
    return Trainer(
        model,
        loss=CrossEntropy(),
        optimizer=Adam(0.01) if workers == 1 else SGD(0.3, momentum=0.9),
        truncation=type(policy)(**vars(policy) | {"memory": memory}),
        workers=workers,
    )


def bits(step):
    flow = tuple(norms.tobytes() for norms in step.flow.values())
    return step.n, step.loss, step.k1, step.k2, step.grads.flat.tobytes(), flow


def run(trainer, updates):
    """``updates`` more, over the ends of passes."""
    stream, found = Stream(IDS, 2), []
    while len(found) < updates:
        found.append(bits(next(trainer.steps(stream))))
    return found


@pytest.mark.parametrize(("name", "memory"), CASES, ids=str)
@pytest.mark.parametrize("after", [1, 3])
def test_saved_in_the_middle_of_a_pass(tmp_path, name, memory, after):
    workers = 2 if after == 1 else 1
    trainer = fresh(name, memory, workers)
    run(trainer, after)
    trainer.save(tmp_path / "trainer")
    other = Trainer.load(tmp_path / "trainer")
    assert other.truncation == trainer.truncation
    assert other.memo == trainer.memo
    more = 2 if name == "FullBPTT" else few(12)
    assert run(other, more) == run(trainer, more)
    assert other.memo == trainer.memo
    assert other.model.params.flat.tobytes() == trainer.model.params.flat.tobytes()


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("name", ["TBPTT that slides", "RandomTBPTT", "ARTBP"])
def test_saved_and_loaded_after_every_update(tmp_path, name, memory):
    """So wherever a window is the longest yet, or the end of the pass is near."""
    trainer, other = fresh(name, memory, 2), fresh(name, memory, 2)
    for _ in range(few(24)):
        other.save(tmp_path / "trainer")
        other = Trainer.load(tmp_path / "trainer")
        assert run(other, 1) == run(trainer, 1)


def test_lengths_are_many_in_these_runs():
    """Or else windows that grow would not be tried."""
    for name in ("RandomTBPTT", "ARTBP"):
        lengths = [k1 for _, _, k1, *_ in run(fresh(name, None, 1), 23)]
        records = [k1 for i, k1 in enumerate(lengths) if k1 > max(lengths[:i], default=0)]
        assert len(records) > 2


def test_what_an_adaptive_window_remembers_survives(tmp_path, caplog):
    """The loaded trainer does not probe at once, but when the other does."""
    trainer = fresh("AdaptiveTBPTT", None, 1)
    trainer.truncation = AdaptiveTBPTT(0.5, 9, every=3)
    run(trainer, 2)
    assert trainer.memo["probed"] == 0
    assert 1 < trainer.memo["reach"] < 9
    trainer.save(tmp_path / "trainer")
    found = []
    for one in (trainer, Trainer.load(tmp_path / "trainer")):
        caplog.clear()
        with caplog.at_level(logging.INFO, "bptt"):
            run(one, 2)
        found.append(caplog.messages)
    assert found[0] == found[1]
    assert [message.split(":")[0] for message in found[0]] == ["after update 3"]


@pytest.mark.filterwarnings("ignore:.*does not decay:RuntimeWarning")
def test_an_adaptive_window_that_grows_goes_on_bit_for_bit_where_steps_are_run_again(tmp_path):
    model = a_model([LSTM(1, 3), Linear(3, 2)])
    model.params["0.Wx"][0, 3:6] = 9.0
    model.params["0.Wh"] *= 0.3
    model.params["0.b"][3:6] = -4.0
    x = np.zeros((60, 1))
    x[12:44] = 0.9
    stream = Stream(x, 1, np.random.default_rng(0).normal(size=(60, 2)))
    trainer = Trainer(
        model,
        loss=SquaredError(),
        optimizer=SGD(1e-3),
        truncation=AdaptiveTBPTT(0.5, 8, every=1, memory="sqrt"),
        workers=1,
    )
    other, sizes = None, set()
    while not (trainer.under_way and trainer.under_way.finished):
        trainer.save(tmp_path / "trainer")
        other = Trainer.load(tmp_path / "trainer")
        step = next(trainer.steps(stream))
        assert bits(step) == bits(next(other.steps(stream)))
        sizes.add(step.k2)
    assert {1, 15} <= sizes
