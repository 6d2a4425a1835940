"""A trainer that saves itself: when, and what."""

import numpy as np
import pytest
from helpers import a_trainer

from bptt import SGD, Callback, Checkpoint, Stream, Trainer, files

IDS = np.random.default_rng(5).integers(0, 6, 60)
TRAIN, VALID = Stream(IDS, 3), Stream(IDS[:20], 2)
"""Five updates a pass."""


class Saves(Trainer):
    """Notes when it is saved."""

    def save(self, path):
        super().save(path)
        self.saved = [*getattr(self, "saved", []), (self.epoch, self.n)]


def saved(checkpoint, epochs=3, **options):
    plain = a_trainer(**options)
    trainer = Saves(plain.model, loss=plain.loss, optimizer=plain.optimizer, workers=1,
                    truncation=plain.truncation, callbacks=[checkpoint])  # fmt: skip
    trainer.fit(TRAIN, epochs, VALID, progress=False)
    return trainer, trainer.saved


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"every_updates": 4}, [(0, 4), (1, 8), (2, 12)]),
        ({"every_updates": 5}, [(1, 5), (2, 10), (3, 15)]),
        ({"every_epochs": 1}, [(1, 5), (2, 10), (3, 15)]),
        ({"every_epochs": 2}, [(2, 10)]),
        ({"every_updates": 10, "every_epochs": 3}, [(2, 10), (3, 15)]),
        ({"every_updates": 5, "every_epochs": 1}, [(1, 5), (2, 10), (3, 15)]),
    ],
)
def test_when(tmp_path, options, wanted):
    assert saved(Checkpoint(tmp_path / "a", **options))[1] == wanted


@pytest.mark.parametrize("watch", ["validation", "training"])
def test_the_best(tmp_path, watch):
    trainer, found = saved(
        Checkpoint(tmp_path / "a", best=True, watch=watch), 12, optimizer=SGD(8.0)
    )
    history = trainer.history
    losses = history.validation_loss if watch == "validation" else history.train_loss
    lowest = np.minimum.accumulate(losses)
    wanted = [1, *(np.flatnonzero(np.diff(lowest)) + 2)]
    assert [epoch for epoch, _ in found] == wanted
    assert 1 < len(wanted) < 12
    best = Trainer.load(tmp_path / "a")
    assert best.epoch == wanted[-1]
    assert best.evaluate(VALID) == history.validation_loss[best.epoch - 1]


def test_the_file_has_the_epoch_that_ended_with_the_update(tmp_path):
    trainer, _ = saved(Checkpoint(tmp_path / "a", every_updates=15))
    other = Trainer.load(tmp_path / "a")
    assert (other.epoch, other.under_way) == (3, None)
    assert other.history.to_arrays()["validation_loss"].tolist() == list(
        trainer.history.validation_loss
    )
    assert other.history.update == trainer.history.update


def test_in_steps_it_counts_updates(tmp_path):
    trainer = a_trainer(callbacks=[Checkpoint(tmp_path / "a", every_updates=3)])
    for step in trainer.steps(TRAIN):
        assert (tmp_path / "a").exists() == (step.n >= 3)
    assert Trainer.load(tmp_path / "a").n == 3


def test_without_validation_the_best_is_refused(tmp_path):
    trainer = a_trainer(callbacks=[Checkpoint(tmp_path / "a", best=True)])
    with pytest.raises(ValueError, match=r"Checkpoint.* watches the validation loss, but fit"):
        trainer.fit(TRAIN, 1, progress=False)


def test_a_folder_that_is_not_there_is_noticed_at_once(tmp_path):
    trainer = a_trainer(callbacks=[Checkpoint(tmp_path / "no" / "a", every_epochs=1)])
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*no, where Checkpoint"):
        trainer.fit(TRAIN, 1, progress=False)
    assert trainer.n == 0


def test_a_save_that_fails_leaves_the_last_file_and_a_trainer_that_goes_on(tmp_path, monkeypatch):
    trainer = a_trainer(callbacks=[Checkpoint(tmp_path / "a", every_updates=1)])
    next(trainer.steps(TRAIN))
    before = (tmp_path / "a").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", lambda fd: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            next(trainer.steps(TRAIN))
    assert (tmp_path / "a").read_bytes() == before
    assert next(trainer.steps(TRAIN)).n == 3
    assert Trainer.load(tmp_path / "a").n == 3


def test_it_saves_what_callbacks_after_it_remember(tmp_path):
    class Counter(Callback):
        def after_update(self, trainer, step, memo):
            return {"n": step.n}

    trainer = a_trainer(callbacks=[Checkpoint(tmp_path / "a", every_updates=2), Counter()])
    list(trainer.steps(TRAIN))
    callbacks = [Checkpoint(tmp_path / "a", every_updates=2), Counter()]
    assert Trainer.load(tmp_path / "a", callbacks=callbacks).callbacks.memos[1] == {"n": 4}


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({}, ValueError, "a Checkpoint needs every_updates, every_epochs or both, or else best="),
        ({"best": True, "every_epochs": 1}, ValueError, "every_epochs=1, best=True"),
        ({"every_updates": 0}, ValueError, "every_updates must be a positive integer, got 0"),
        ({"every_epochs": 0.5}, ValueError, "every_epochs must be a positive integer, got 0.5"),
        ({"best": "yes"}, ValueError, "best must be True or False, got 'yes'"),
        ({"best": True, "watch": "x"}, ValueError, "watch must be 'validation' or 'training'"),
        ({"path": 3, "best": True}, TypeError, "path must be a str or a path, got 3"),
    ],
)
def test_options_that_cannot_be(arguments, error, said):
    with pytest.raises(error, match=said):
        Checkpoint(**{"path": "a"} | arguments)
