"""A run that broke off and goes on from a file: the same decisions, files and bits."""

import csv
import json

import numpy as np
import pytest
from helpers import a_model

from bptt import (
    RNN,
    SGD,
    TBPTT,
    Checkpoint,
    CrossEntropy,
    CSVLog,
    EarlyStopping,
    Embedding,
    JSONLog,
    Linear,
    OnPlateau,
    Stream,
    Trainer,
    WarmUp,
    files,
)

RNG = np.random.default_rng(5)
IDS = np.where(RNG.random(90) < 0.3, RNG.integers(0, 6, 90), np.arange(90) % 6)
"""A cycle with noise in it, which is soon known by heart."""
TRAIN, VALID = Stream(IDS[:60], 3), Stream(IDS[60:], 2)
"""Seven updates a pass."""
EPOCHS = 40
OF_THE_CLOCK = {"seconds", "history.seconds", "history.epoch_seconds"}


class BreaksOff(Trainer):
    """After so many updates, before anything hears of the last."""

    last = 10**9

    def updates(self, stream):
        for step in super().updates(stream):
            if step.n == self.last:
                raise KeyboardInterrupt
            yield step


def fresh(every, first):
    """first : whether what saves is first in the list."""
    model = a_model([Embedding(6, 3), RNN(3, 4), Linear(4, 6)])
    callbacks = [
        Checkpoint("latest", **every),
        EarlyStopping(5),
        Checkpoint("best", best=True),
        CSVLog("updates.csv", every_updates=3),
        JSONLog("epochs.jsonl"),
    ]
    return BreaksOff(
        model,
        loss=CrossEntropy(),
        optimizer=SGD(WarmUp(10, OnPlateau(0.5, 0.7, 1, cooldown=1)), momentum=0.5),
        truncation=TBPTT(3, 5),
        workers=2,
        callbacks=callbacks if first else callbacks[::-1],
    )


def left_by(trainer, folder):
    """All that a run leaves, but the clock."""
    found = {"params": trainer.model.params.flat.tobytes(), "stopped": trainer.history.stopped}
    for name in ("latest", "best"):
        arrays, config = files.read(folder / name, "trainer")
        bits = {n: a.tobytes() for n, a in arrays.items() if n not in OF_THE_CLOCK}
        lengths = [one["memo"].pop("bytes", None) for one in config["callbacks"]]
        assert sum(map(bool, lengths)) == 2
        config = {n: value for n, value in config.items() if n not in OF_THE_CLOCK}
        found[name] = bits, json.dumps(config)
    with open(folder / "updates.csv", newline="") as file:
        found["updates"] = [list(row.items())[:-1] for row in csv.DictReader(file)]
    with open(folder / "epochs.jsonl") as file:
        found["epochs"] = [list(json.loads(line).items())[:-1] for line in file]
    return found


def run(trainer, folder):
    trainer.fit(TRAIN, EPOCHS - trainer.epoch, VALID, progress=False)
    return left_by(trainer, folder)


CASES = {
    "in the middle of passes": ({"every_updates": 4}, True, (6, 34, 75)),
    "behind the logs": ({"every_updates": 4}, False, (6, 34, 75)),
    "at ends of passes": ({"every_updates": 7}, True, (8, 14, 78)),
    "after epochs": ({"every_epochs": 2}, True, (15, 27, 72)),
}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """What runs that nobody disturbs leave, by case."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, (every, first, _) in CASES.items():
            folder = tmp_path_factory.mktemp("run")
            patch.chdir(folder)
            found[name] = run(fresh(every, first), folder)
    return found


@pytest.mark.parametrize("name", CASES)
def test_as_if_nothing_had_happened(unbroken, tmp_path, monkeypatch, name):
    every, first, ends = CASES[name]
    monkeypatch.chdir(tmp_path)
    trainer = fresh(every, first)
    for trainer.last in ends:
        with pytest.raises(KeyboardInterrupt):
            run(trainer, tmp_path)
        trainer = BreaksOff.load("latest")
        assert trainer.n < ends[-1]
    found = run(trainer, tmp_path)
    assert found.keys() == unbroken[name].keys()
    for part, wanted in unbroken[name].items():
        assert found[part] == wanted, part


def test_from_the_best(unbroken, tmp_path, monkeypatch):
    """Back from the end of the run: what came after the best epoch comes again."""
    name = "in the middle of passes"
    every, first, _ = CASES[name]
    monkeypatch.chdir(tmp_path)
    run(fresh(every, first), tmp_path)
    trainer = Trainer.load("best")
    assert trainer.epoch == trainer.history.best.epoch
    assert run(trainer, tmp_path) == unbroken[name]


def test_these_runs_have_it_all(unbroken):
    """They stop early, after the rate was reduced, and break off before and after the best."""
    for found in unbroken.values():
        assert "of epoch 10, which is restored" in found["stopped"]
        assert len(found["epochs"]) == 15
        rates = [dict(row)["rate"] for row in found["epochs"]]
        assert rates[-1] < max(rates)
        assert len(found["updates"]) == len(found["epochs"]) * 7 // 3
