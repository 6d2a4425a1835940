"""When callbacks are called, what they remember, and what happens when one raises."""

import numpy as np
import pytest
from helpers import a_trainer

import bptt
from bptt import Callback, Checkpoint, CSVLog, EarlyStopping, JSONLog, Stream, Trainer

IDS = np.random.default_rng(5).integers(0, 6, 60)
TRAIN, VALID = Stream(IDS, 3), Stream(IDS[:20], 2)
"""Five updates a pass."""


class Recorder(Callback):
    """Writes down its calls, under its name."""

    def __init__(self, calls, name=""):
        self.calls, self.name = calls, name

    def begin(self, trainer, memo):
        self.calls.append(f"{self.name}begin {trainer.n}")

    def after_update(self, trainer, step, memo):
        assert step.n == trainer.n
        self.calls.append(f"{self.name}update {step.n}")

    def after_epoch(self, trainer, epoch, memo):
        history = trainer.history
        assert epoch[:2] == (trainer.epoch, trainer.n)
        assert epoch.train_loss == history.train_loss[-1]
        np.testing.assert_equal(epoch.validation_loss, history.validation_loss[-1])
        self.calls.append(f"{self.name}epoch {epoch.n}")

    def save(self, trainer, memo):
        self.calls.append(f"{self.name}save {trainer.n}")


class Counter(Callback):
    """Remembers how many updates there were, and in an array, after which epochs."""

    def after_update(self, trainer, step, memo):
        return {**memo, "updates": memo.get("updates", 0) + 1}

    def after_epoch(self, trainer, epoch, memo):
        return {**memo, "epochs": np.append(memo.get("epochs", np.zeros(0, int)), epoch.n)}


class Raises(Callback):
    """In one of its methods, once, at the ``n``-th call."""

    def __init__(self, method, n):
        self.n = n
        setattr(self, method, self._count)

    def _count(self, *_):
        self.n -= 1
        if self.n == 0:
            raise OSError("the disk is full")


def updates(numbers, name=""):
    return [f"{name}{what} {n}" for n in numbers for what in ("update", "save")]


def test_steps_have_updates_and_no_epochs():
    calls = []
    trainer = a_trainer(callbacks=[Recorder(calls)])
    for step in trainer.steps(TRAIN):
        assert calls[-1] == f"save {step.n}"
    assert calls == ["begin 0", *updates(range(1, 6))]


def test_the_end_of_an_epoch_comes_before_what_is_saved():
    calls = []
    trainer = a_trainer(callbacks=[Recorder(calls)])
    trainer.fit(TRAIN, 2, VALID, progress=False)
    first = ["begin 0", *updates(range(1, 5)), "update 5", "epoch 1", "save 5"]
    assert calls == [*first, "begin 5", *updates(range(6, 10)), "update 10", "epoch 2", "save 10"]


def test_all_hear_of_an_update_before_anything_is_saved():
    calls = []
    trainer = a_trainer(callbacks=[Recorder(calls, "a "), Recorder(calls, "b ")])
    next(trainer.steps(TRAIN))
    assert calls[2:] == ["a update 1", "b update 1", "a save 1", "b save 1"]


def test_they_change_no_bit():
    plain, other = a_trainer(), a_trainer(callbacks=[Recorder([]), Counter(), EarlyStopping(9)])
    for trainer in (plain, other):
        trainer.fit(TRAIN, 2, VALID, progress=False)
    assert np.array_equal(plain.model.params.flat, other.model.params.flat)
    assert plain.history.validation_loss == other.history.validation_loss


def test_a_memo_is_kept_and_saved(tmp_path):
    trainer = a_trainer(callbacks=[Counter()])
    trainer.fit(TRAIN, 2, progress=False)
    next(trainer.steps(TRAIN))
    trainer.save(tmp_path / "trainer")
    other = Trainer.load(tmp_path / "trainer", callbacks=[Counter()])
    for one in (trainer, other):
        assert one.callbacks.memos[0]["updates"] == 11
        assert one.callbacks.memos[0]["epochs"].tolist() == [1, 2]


@pytest.mark.parametrize("method", ["after_update", "after_epoch", "save", "begin"])
@pytest.mark.parametrize("n", [1, 2])
def test_after_one_that_raises_the_trainer_goes_on_and_is_saved(tmp_path, method, n):
    plain, trainer = a_trainer(), a_trainer(callbacks=[Raises(method, n), Counter()])
    with pytest.raises(OSError, match="the disk is full"):
        trainer.fit(TRAIN, 2, VALID, progress=False)
    assert list(trainer.history.update) == list(range(1, trainer.n + 1))
    trainer.save(tmp_path / "trainer")
    loaded = Trainer.load(tmp_path / "trainer", callbacks=[Counter()])
    plain.fit(TRAIN, 3, VALID, progress=False)
    for one in (trainer, loaded):
        one.fit(TRAIN, 3 - one.epoch, VALID, progress=False)
        assert one.history.loss == plain.history.loss
        assert one.history.epoch_update == plain.history.epoch_update
        assert np.array_equal(one.model.params.flat, plain.model.params.flat)
        missed = method == "after_update"
        assert one.callbacks.memos[-1]["updates"] == 15 - missed


def test_one_that_raises_in_steps():
    trainer = a_trainer(callbacks=[Raises("after_update", 2)])
    with pytest.raises(OSError, match="the disk is full"):
        list(trainer.steps(TRAIN))
    assert [step.n for step in trainer.steps(TRAIN)] == [3, 4, 5]


def test_a_file_asks_for_those_it_cannot_make(tmp_path):
    stopping = EarlyStopping(2)
    trainer = a_trainer(callbacks=[Counter(), stopping])
    trainer.fit(TRAIN, 1, VALID, progress=False)
    trainer.save(tmp_path / "trainer")
    with pytest.raises(TypeError, match=r"not of this library: Counter\. Hand over all"):
        Trainer.load(tmp_path / "trainer")
    other = Trainer.load(tmp_path / "trainer", callbacks=[EarlyStopping(7), Counter(), Counter()])
    stopped, counted, anew = other.callbacks.memos
    assert stopped["best"] == trainer.history.best.loss
    assert (counted["updates"], anew) == (5, {})
    assert len(Trainer.load(tmp_path / "trainer", callbacks=[]).callbacks) == 0


def test_a_memo_goes_to_the_one_with_the_same_options_first(tmp_path):
    trainer = a_trainer(callbacks=[EarlyStopping(2), EarlyStopping(3, restore=False)])
    trainer.fit(TRAIN, 1, VALID, progress=False)
    trainer.save(tmp_path / "trainer")
    changed = [EarlyStopping(3, restore=False), EarlyStopping(5)]
    memos = Trainer.load(tmp_path / "trainer", callbacks=changed).callbacks.memos
    assert ["params" in memo for memo in memos] == [False, True]


def test_those_of_the_library_come_back(tmp_path):
    callbacks = (
        EarlyStopping(2, restore=False, min_delta=0.1, watch="training"),
        Checkpoint(tmp_path / "a", every_updates=3, every_epochs=np.int64(2)),
        Checkpoint("b", best=True),
        CSVLog("c", replace=True),
        JSONLog("d", every_updates=5),
    )
    a_trainer(callbacks=callbacks).save(tmp_path / "trainer")
    assert tuple(Trainer.load(tmp_path / "trainer").callbacks) == callbacks


class Forgets(Callback):
    def __init__(self, memo):
        self.memo = memo

    def after_update(self, trainer, step, memo):
        return self.memo


def test_what_is_no_memo_is_refused():
    trainer = a_trainer(callbacks=[Forgets(3)])
    with pytest.raises(TypeError, match=r"Forgets\.after_update must return a memo, .*; got 3"):
        next(trainer.steps(TRAIN))


def test_what_no_file_can_hold_is_not_saved(tmp_path):
    trainer = a_trainer(callbacks=[Forgets({"seen": {1, 2}})])
    next(trainer.steps(TRAIN))
    with pytest.raises(TypeError, match=r"Forgets cannot be saved: it remembers 'seen': \{1, 2\}"):
        trainer.save(tmp_path / "trainer")
    trainer.callbacks.memos[0] = {"seen": np.float32(0.5)}
    trainer.save(tmp_path / "trainer")


@pytest.mark.parametrize(
    ("callbacks", "error", "said"),
    [
        (EarlyStopping(3), TypeError, "callbacks must be a list of Callbacks, got EarlyStopping"),
        ([EarlyStopping], TypeError, "callbacks must be a list of Callbacks, got <class"),
        ([None], TypeError, "callbacks must be a list of Callbacks, got None in it"),
        (
            [CSVLog("a/../log"), JSONLog("log")],
            ValueError,
            r"two callbacks write to a/../log, but each needs a file of its own",
        ),
    ],
)
def test_what_is_no_list_of_callbacks(tmp_path, callbacks, error, said):
    with pytest.raises(error, match=said):
        a_trainer(callbacks=callbacks)
    a_trainer().save(tmp_path / "trainer")
    with pytest.raises(error, match=said):
        Trainer.load(tmp_path / "trainer", callbacks=callbacks)


def test_the_base_does_nothing():
    trainer = a_trainer(callbacks=[bptt.Callback()])
    trainer.fit(TRAIN, 1, progress=False)
    assert trainer.callbacks.memos == [{}]
