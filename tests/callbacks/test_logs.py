"""Logs: rows by value, and files that are another run's."""

import csv
import json

import numpy as np
import pytest
from helpers import a_trainer

from bptt import SGD, CSVLog, DataError, Exponential, JSONLog, Stream, Trainer

IDS = np.random.default_rng(5).integers(0, 6, 60)
TRAIN, VALID = Stream(IDS, 3), Stream(IDS[:20], 2)
"""Five updates a pass."""
NAMES_OF_UPDATES = ["update", "epoch", "loss", "grad_norm", "rate", "seconds"]
NAMES_OF_EPOCHS = ["epoch", "update", "train_loss", "validation_loss", "rate", "seconds"]
RATE = SGD(Exponential(0.5, 0.5))


def rows_in(path, kind):
    """Rows of strings or numbers as dicts of floats; None where there is none."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file) if kind is CSVLog else map(json.loads, file))
    return [{n: None if v in ("", None) else float(v) for n, v in row.items()} for row in rows]


@pytest.mark.parametrize("kind", [CSVLog, JSONLog])
def test_rows_of_updates(tmp_path, kind):
    trainer = a_trainer(optimizer=RATE, callbacks=[kind(tmp_path / "log", every_updates=2)])
    wanted = []
    for _ in range(2):
        for step in trainer.steps(TRAIN):
            epoch = 1 + (step.n > 5)
            row = (step.n, epoch, step.loss, step.grad_norm, 0.5**epoch, trainer.seconds)
            wanted.append(dict(zip(NAMES_OF_UPDATES, row, strict=True)))
    rows = rows_in(tmp_path / "log", kind)
    assert rows == wanted[1::2]
    assert list(rows[0]) == NAMES_OF_UPDATES


@pytest.mark.parametrize("kind", [CSVLog, JSONLog])
def test_rows_of_epochs(tmp_path, kind):
    trainer = a_trainer(optimizer=RATE, callbacks=[kind(tmp_path / "log")])
    trainer.fit(TRAIN, 2, VALID, progress=False)
    trainer.fit(TRAIN, 1, progress=False)
    history, rows = trainer.history, rows_in(tmp_path / "log", kind)
    wanted = zip((1, 2, 3), (5, 10, 15), history.train_loss, (*history.validation_loss[:2], None),
                 (0.5, 0.25, 0.125), history.epoch_seconds, strict=True)  # fmt: skip
    assert rows == [dict(zip(NAMES_OF_EPOCHS, row, strict=True)) for row in wanted]
    assert list(rows[0]) == NAMES_OF_EPOCHS


def test_the_text(tmp_path):
    class Quick(Trainer):
        """Whose clock stands still."""

        seconds = property(lambda self: 1.5, lambda self, value: None)

    model = a_trainer("float32").model
    logs = [CSVLog(tmp_path / "csv"), JSONLog(tmp_path / "json")]
    trainer = Quick(model, loss=a_trainer().loss, optimizer=SGD(1), workers=1,
                    truncation=a_trainer().truncation, callbacks=logs)  # fmt: skip
    history = trainer.fit(TRAIN, 1, progress=False)
    loss = repr(float(history.train_loss[0]))
    assert (tmp_path / "csv").read_bytes().decode() == (
        f"epoch,update,train_loss,validation_loss,rate,seconds\n1,5,{loss},,1,1.5\n"
    )
    assert (tmp_path / "json").read_bytes().decode() == (
        f'{{"epoch": 1, "update": 5, "train_loss": {loss}, "validation_loss": null, '
        '"rate": 1, "seconds": 1.5}\n'
    )


def test_an_update_without_targets_has_no_loss(tmp_path):
    targets = np.full(24, -1)
    log = CSVLog(tmp_path / "log", every_updates=1)
    trainer = a_trainer(callbacks=[log])
    list(trainer.steps(Stream(IDS[:24], 1, targets)))
    rows = rows_in(tmp_path / "log", CSVLog)
    assert {(row["loss"], row["rate"]) for row in rows} == {(None, 0)}


@pytest.mark.parametrize("kind", [CSVLog, JSONLog])
def test_a_new_run_leaves_the_log_of_another_alone(tmp_path, kind):
    path = tmp_path / "log"
    a_trainer(callbacks=[kind(path)]).fit(TRAIN, 1, VALID, progress=False)
    before = path.read_bytes()
    trainer = a_trainer(callbacks=[kind(path)])
    with pytest.raises(FileExistsError, match=f"{path} is there already, and not the log of this"):
        trainer.fit(TRAIN, 1, VALID, progress=False)
    assert (trainer.n, path.read_bytes()) == (0, before)
    trainer = a_trainer(callbacks=[kind(path, replace=True)])
    trainer.fit(TRAIN, 2, VALID, progress=False)
    trainer.fit(TRAIN, 1, VALID, progress=False)
    assert [row["epoch"] for row in rows_in(path, kind)] == [1, 2, 3]


def test_an_empty_file_may_be_used(tmp_path):
    (tmp_path / "log").touch()
    a_trainer(callbacks=[CSVLog(tmp_path / "log")]).fit(TRAIN, 1, progress=False)
    assert len(rows_in(tmp_path / "log", CSVLog)) == 1


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("kind", [CSVLog, JSONLog])
def test_a_run_that_goes_on_cuts_what_it_had_not_yet_written(tmp_path, kind, replace):
    path = tmp_path / "log"
    trainer = a_trainer(callbacks=[kind(path, every_updates=1, replace=replace)])
    steps = trainer.steps(TRAIN)
    next(steps), next(steps)
    trainer.save(tmp_path / "trainer")
    for _ in steps:
        pass
    with open(path, "ab") as file:
        file.write(b"half a li")
    other = Trainer.load(tmp_path / "trainer")
    assert len(path.read_bytes().splitlines()) == (6 if kind is JSONLog else 7)
    next(other.steps(TRAIN))
    assert [row["update"] for row in rows_in(path, kind)] == [1, 2, 3]


def test_one_saved_before_its_first_row(tmp_path):
    """In the middle of the first epoch: the file is that of the run even so."""
    path = tmp_path / "log"
    trainer = a_trainer(callbacks=[CSVLog(path)])
    next(trainer.steps(TRAIN))
    trainer.save(tmp_path / "trainer")
    trainer.fit(TRAIN, 2, progress=False)
    Trainer.load(tmp_path / "trainer").fit(TRAIN, 1, progress=False)
    assert [row["epoch"] for row in rows_in(path, CSVLog)] == [1]


def test_a_log_that_is_shorter_than_what_was_written(tmp_path):
    path = tmp_path / "log"
    trainer = a_trainer(callbacks=[CSVLog(path, every_updates=1)])
    list(trainer.steps(TRAIN))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"has \d+ bytes, but this run has written \d+"):
        next(trainer.steps(TRAIN))
    path.unlink()
    with pytest.raises(FileNotFoundError, match=str(path)):
        next(trainer.steps(TRAIN))
    assert trainer.n == 5


@pytest.mark.parametrize("change", [{"path": "new"}, {"every_updates": None}])
def test_another_log_is_begun_anew(tmp_path, monkeypatch, change):
    monkeypatch.chdir(tmp_path)
    trainer = a_trainer(callbacks=[CSVLog("log", every_updates=1)])
    list(trainer.steps(TRAIN))
    trainer.save("trainer")
    options = {"path": "log", "every_updates": 1, "replace": True} | change
    other = Trainer.load("trainer", callbacks=[CSVLog(**options)])
    other.fit(TRAIN, 1, progress=False)
    rows = rows_in(options["path"], CSVLog)
    assert len(rows) == (1 if options["every_updates"] is None else 5)
    assert rows[-1]["update"] == 10


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"path": None}, TypeError, "path must be a str or a path, got None"),
        ({"every_updates": 0}, ValueError, "every_updates must be a positive integer, got 0"),
        ({"replace": 1}, ValueError, "replace must be True or False, got 1"),
    ],
)
@pytest.mark.parametrize("kind", [CSVLog, JSONLog])
def test_options_that_cannot_be(kind, arguments, error, said):
    with pytest.raises(error, match=said):
        kind(**{"path": "log"} | arguments)
