"""Training ends after the epochs that patience says, with what the best one had."""

import numpy as np
import pytest
from helpers import a_model, a_trainer

from bptt import (
    RNN,
    SGD,
    TBPTT,
    Callback,
    Checkpoint,
    CrossEntropy,
    EarlyStopping,
    Embedding,
    Stream,
    Trainer,
)
from bptt.layers import LAYERS, Linear

IDS = np.random.default_rng(5).integers(0, 6, 40)
TRAIN, VALID = Stream(IDS, 3), Stream(IDS[:20], 2)
NAN = float("nan")


class Counting(Linear):
    """A layer with a buffer: how many updates it has seen."""

    def buffers(self):
        return {"seen": (1,)}

    def settle(self, buffers, tapes):
        buffers["seen"][...] += 1


class Scripted(Trainer):
    """Whose validation losses are given."""

    losses = ()

    def evaluate(self, stream):
        return self.losses[self.epoch - 1]


class Keeps(Callback):
    """Remembers the parameters and buffers after each epoch."""

    def after_epoch(self, trainer, epoch, memo):
        model = trainer.model
        return {**memo, str(epoch.n): np.append(model.params.flat, model.buffers.flat)}


@pytest.fixture(autouse=True)
def _counting_is_known(monkeypatch):
    monkeypatch.setitem(LAYERS, "Counting", Counting)


def scripted(losses, *callbacks):
    model = a_model([Embedding(6, 3), RNN(3, 4), Counting(4, 6)])
    trainer = Scripted(model, loss=CrossEntropy(), optimizer=SGD(0.1), truncation=TBPTT(4, 4),
                       workers=1, callbacks=[Keeps(), *callbacks])  # fmt: skip
    trainer.losses = losses
    return trainer


def now(trainer):
    return np.append(trainer.model.params.flat, trainer.model.buffers.flat)


CASES = {  # losses, callback, the last epoch, and the one that is restored
    "two that are not lower": ([3, 2, 2.5, 2, 1], EarlyStopping(2), 4, 2),
    "a lower one in between": ([3, 3, 2, 2, 1.5, 9, 9, 1], EarlyStopping(2), 7, 5),
    "at once": ([3, 4, 1], EarlyStopping(1), 2, 1),
    "lower by too little": ([3, 2.9, 2.8, 2.7, 1], EarlyStopping(2, min_delta=0.5), 3, 1),
    "lower by enough once": ([3, 2.8, 2.4, 2.5, 2, 1], EarlyStopping(2, min_delta=0.5), 5, 3),
    "nan is not lower": ([3, NAN, NAN, 1], EarlyStopping(2), 3, 1),
    "never": ([5, 4, 3, 2, 1], EarlyStopping(1), 5, 5),
    "the epochs are over": ([5, 2, 3, 4], EarlyStopping(9), 4, 2),
    "there is no loss": ([NAN, NAN], EarlyStopping(9), 2, 2),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("restore", [True, False])
def test_it_ends_when_it_should_and_restores(name, restore):
    losses, stopping, ends, best = CASES[name]
    stopping = EarlyStopping(**vars(stopping) | {"restore": restore})
    trainer = scripted(losses, stopping)
    history = trainer.fit(TRAIN, len(losses), VALID, progress=False)
    assert trainer.epoch == len(history.epoch_update) == ends
    assert bool(history.stopped) == (ends < len(losses))
    there = best if restore else ends
    assert np.array_equal(now(trainer), trainer.callbacks.memos[0][str(there)])
    assert trainer.model.buffers["2.seen"] == there * trainer.n / ends


def test_the_next_call_begins_with_the_best_and_a_file_has_it(tmp_path):
    path = tmp_path / "latest"
    trainer = scripted([3, 2, 4, 5, 1], EarlyStopping(9), Checkpoint(path, every_epochs=1))
    trainer.fit(TRAIN, 3, VALID, progress=False)
    best = trainer.callbacks.memos[0]["2"]
    assert trainer.history.stopped is None
    assert np.array_equal(now(trainer), best)
    loaded = Scripted.load(path, callbacks=[Keeps(), EarlyStopping(9)])
    assert np.array_equal(now(loaded), best)
    trainer.fit(TRAIN, 1, VALID, progress=False)
    assert np.array_equal(now(trainer), best)
    trainer.fit(TRAIN, 1, VALID, progress=False)
    assert np.array_equal(now(trainer), trainer.callbacks.memos[0]["5"])


def test_the_reason():
    trainer = scripted([3, 2, 2.5, 2, 1], EarlyStopping(2))
    history = trainer.fit(TRAIN, 9, VALID, progress=False)
    said = "the validation loss has not been lower for 2 epochs than the 2 of epoch 2"
    assert history.stopped == f"{said}, which is restored"
    assert repr(history).endswith(f"; stopped: {said}, which is restored)")
    trainer = scripted([NAN], EarlyStopping(1))
    assert trainer.fit(TRAIN, 9, VALID, progress=False).stopped == (
        "there was no validation loss in 1 epoch"
    )


def test_once_ended_it_does_not_begin_again_unless_told_so(tmp_path):
    losses = [3, 2, 2.5, 2, 4, 1, 1, 1]
    trainer = scripted(losses, EarlyStopping(2))
    trainer.fit(TRAIN, 8, VALID, progress=False)
    trainer.save(tmp_path / "trainer")
    loaded = Scripted.load(tmp_path / "trainer", callbacks=[Keeps(), EarlyStopping(2)])
    for one in (trainer, loaded):
        assert one.history.stopped
        before = now(one)
        assert one.fit(TRAIN, 4, VALID, progress=False).stopped == trainer.history.stopped
        assert one.epoch == 4
        assert np.array_equal(now(one), before)
    more = Scripted.load(tmp_path / "trainer", callbacks=[Keeps(), EarlyStopping(3)])
    more.losses = losses
    assert more.history.stopped is None
    history = more.fit(TRAIN, 4, VALID, progress=False)
    assert more.epoch == 5
    assert history.stopped.startswith("the validation loss has not been lower for 3 epochs")
    assert np.array_equal(now(more), trainer.callbacks.memos[0]["2"])


@pytest.mark.parametrize("after", [1, 2, 3])
def test_saved_and_loaded_it_ends_with_the_same_bits(tmp_path, after):
    losses = [3, 2, 2.5, 2.2, 1]
    trainer, other = (scripted(losses, EarlyStopping(2)) for _ in range(2))
    trainer.fit(TRAIN, 5, VALID, progress=False)
    other.fit(TRAIN, after, VALID, progress=False)
    next(other.steps(TRAIN))
    other.save(tmp_path / "trainer")
    other = Scripted.load(tmp_path / "trainer", callbacks=[Keeps(), EarlyStopping(2)])
    other.losses = losses
    other.fit(TRAIN, 5 - after, VALID, progress=False)
    assert other.epoch == trainer.epoch == 4
    assert other.history.stopped == trainer.history.stopped
    assert now(other).tobytes() == now(trainer).tobytes()


def test_the_real_loss_is_that_of_the_best_epoch():
    trainer = a_trainer(optimizer=SGD(8.0), callbacks=[EarlyStopping(2)])
    history = trainer.fit(TRAIN, 40, VALID, progress=False)
    assert history.stopped
    assert history.best.epoch == trainer.epoch - 2
    assert trainer.evaluate(VALID) == history.best.loss < history.validation_loss[-1]


def test_the_training_loss_needs_no_validation():
    trainer = a_trainer(optimizer=SGD(8.0), callbacks=[EarlyStopping(2, watch="training")])
    history = trainer.fit(TRAIN, 40, progress=False)
    assert history.stopped.startswith("the training loss has not been lower for 2 epochs")
    assert np.argmin(history.train_loss) == len(history.train_loss) - 3


def test_without_validation_it_says_so_before_anything_is_done():
    trainer = a_trainer(callbacks=[EarlyStopping(2)])
    with pytest.raises(ValueError, match=r"EarlyStopping.* watches the validation loss, but fit"):
        trainer.fit(TRAIN, 2, progress=False)
    assert trainer.n == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"patience": 0}, "patience must be a positive integer, got 0"),
        ({"patience": 1.5}, "patience must be a positive integer, got 1.5"),
        ({"restore": 1}, "restore must be True or False, got 1"),
        ({"min_delta": -1}, "min_delta must be a number from 0 on, got -1"),
        ({"min_delta": float("inf")}, "min_delta must be a number from 0 on, got inf"),
        ({"watch": "test"}, "watch must be 'validation' or 'training', got 'test'"),
    ],
)
def test_options_that_cannot_be(arguments, said):
    with pytest.raises(ValueError, match=said):
        EarlyStopping(**{"patience": 3} | arguments)
