"""One model or one trainer, used by several threads at once: right values, or a clear error."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import Frozen, a_model, a_trainer, at_once, few
from test_resume import bits

import bptt
from bptt import LSTM, SGD, CrossEntropy, Embedding, Feed, Linear, Padded, Stream, Trainer

IDS = np.random.default_rng(1).integers(0, 6, 300)
INPUTS = [np.random.default_rng(i).integers(0, 6, (30, i + 1)) for i in range(4)]
SOURCES = [Stream(IDS[:90], lanes) for lanes in (1, 2, 5)] + [
    Padded([IDS[:n] for n in (9, 30, 4)], np.array([0, 1, 2]), 2)
]
CALLS = {
    "call": lambda model, i: model(INPUTS[i])[0],
    "call of two threads": lambda model, i: model(INPUTS[i], workers=2)[0],
    "few steps": lambda model, i: model(INPUTS[i][:3])[0],
    "one step": lambda model, i: model(INPUTS[i][:1], model.zero_state(i + 1))[1].flat,
    "value_and_grad": lambda model, i: bptt.value_and_grad(
        model, CrossEntropy(), INPUTS[i], INPUTS[i])[1].flat,
    "gradients": lambda model, i: bptt.gradients(
        model, CrossEntropy(), INPUTS[i], INPUTS[i], workers=2).state.flat,
    "generate": lambda model, i: model.generate(INPUTS[i][:4], 9)[0],
    "predict": lambda model, i: bptt.predict(model, SOURCES[i]),
    "histories": lambda model, i: bptt.histories(model, INPUTS[i])["1.h"],
}  # fmt: skip


def small_model():
    return a_model([Embedding(6, 3), LSTM(3, 5), Linear(5, 6)])


@pytest.mark.parametrize("name", CALLS)
def test_calls_of_a_model_from_several_threads(name):
    model = small_model()
    wanted = [CALLS[name](model, i) for i in range(4)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda i: CALLS[name](model, i % 4), range(few(80))))
    for i, one in enumerate(found):
        assert np.array_equal(one, wanted[i % 4])


def test_another_thread_asks_for_a_state_of_other_lanes_at_the_worst_moment():
    model = small_model()
    model.zero_state(7)
    theirs = model._states

    class Kept(tuple):
        def __getitem__(self, place):
            model._states = theirs
            return super().__getitem__(place)

    model.zero_state(3)
    model._states = Kept(model._states)
    assert model.zero_state(3)["1.h"].shape == (3, 5)


def test_evaluations_from_several_threads():
    trainer = a_trainer(workers=2)
    wanted = [trainer.evaluate(source) for source in SOURCES]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda i: trainer.evaluate(SOURCES[i % 4]), range(few(80))))
    assert found == [wanted[i % 4] for i in range(few(80))]


def test_a_source_may_evaluate_to_make_its_data():
    trainer, stream = a_trainer(), Stream(IDS, 1)
    wanted = trainer.evaluate(stream), trainer.evaluate(Stream(IDS[::-1], 1))

    def pieces():
        for start in range(0, 300, 50):
            found.append(trainer.evaluate(stream))
            yield IDS[::-1][start : start + 50]

    found = []
    assert trainer.evaluate(Feed(pieces())) == wanted[1]
    assert found == [wanted[0]] * 6


LOOKS = {
    "evaluate": lambda trainer, path: trainer.evaluate(SOURCES[1]),
    "deepcopy": lambda trainer, path: copy.deepcopy(trainer).evaluate(SOURCES[1]),
    "pickle": lambda trainer, path: pickle.loads(pickle.dumps(trainer)).evaluate(SOURCES[1]),
    "save": lambda trainer, path: (trainer.save(path), Trainer.load(path).evaluate(SOURCES[1]))[1],
    "watch": lambda trainer, path: trainer.watch().n,
}


@pytest.mark.parametrize("name", LOOKS)
def test_others_wait_until_an_update_is_done(name, tmp_path, monkeypatch):
    def look():
        found.append(LOOKS[name](trainer, tmp_path / "trainer"))

    def update(self, params, *_):
        """Half of it; then another thread looks, and is given time to; then the rest."""
        params[::2] *= 0.5
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(0.2)
        params[1::2] *= 0.5
        threads.append(thread)

    monkeypatch.setattr(SGD, "update", update)
    monkeypatch.setattr(SGD, "elementwise", False)
    trainer, found, threads = a_trainer(), [], []
    steps, wanted = trainer.steps(Stream(IDS, 3)), []
    for _ in range(2):
        next(steps)
        threads.pop().join(60)
        wanted.append(LOOKS[name](trainer, tmp_path / "trainer"))
    assert found == wanted
    assert len(set(wanted)) == 2


def test_an_evaluation_does_not_wait_until_training_is_over():
    trainer, stream, done = a_trainer(), Stream(IDS, 3), threading.Event()

    def train():
        while not done.is_set():
            for _ in trainer.steps(stream):
                pass

    def evaluate():
        for _ in range(5):
            trainer.evaluate(SOURCES[0])
        done.set()

    at_once(lambda work: work(), [train, evaluate])


def test_two_threads_that_train_one_trainer():
    class Meddled(Stream):
        """While its steps 8 on are read, another thread trains."""

        def chunk(self, start, stop):
            if start == 8 and not meddled:
                meddled.append(1)
                at_once(lambda _: found.append(bits(next(trainer.steps(stream)))), [0])
            return super().chunk(start, stop)

    trainer, alone = a_trainer(), a_trainer()
    meddled, found, stream = [], [], Meddled(IDS, 3)
    steps = trainer.steps(stream)
    found += [bits(next(steps)) for _ in range(2)]
    with pytest.raises(RuntimeError, match=r"another thread trains.*copy\.deepcopy\(trainer\)"):
        next(steps)
    assert len(found) == 3
    found += [bits(step) for step in trainer.steps(stream)]
    assert found == [bits(step) for step in alone.steps(Stream(IDS, 3))]


def test_what_runs_inside_an_update_may_use_the_trainer():
    class Curious(bptt.Callback):
        def look(self, trainer, *_):
            trainer.model(INPUTS[0])
            trainer.watch()
            copy.deepcopy(trainer)
            found.append(trainer.evaluate(SOURCES[0]))

        after_update = after_epoch = look

    class Looking(Frozen):
        def update(self, *_):
            found.append(trainer.evaluate(SOURCES[0]))

    found = []
    trainer = a_trainer(optimizer=Looking(), callbacks=[Curious()])
    trainer.fit(Stream(IDS, 3), 1, SOURCES[0], progress=False)
    assert len(found) == 2 * trainer.n + 1
    assert set(found) == {trainer.evaluate(SOURCES[0])}


def test_threads_train_copies_of_one_trainer():
    trainer, stream, found = a_trainer(optimizer=SGD(0.1, momentum=0.9)), Stream(IDS, 3), []
    next(trainer.steps(stream))

    def work(twin):
        found.append([bits(step) for step in twin.steps(stream)])

    at_once(work, [copy.deepcopy(trainer) for _ in range(3)])
    wanted = [bits(step) for step in trainer.steps(stream)]
    assert found == [wanted] * 3
