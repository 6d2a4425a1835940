"""A trainer in a file: it goes on bit for bit, and a file that is not whole is refused."""

from pathlib import Path

import numpy as np
import pytest
from helpers import Frozen, a_model, a_trainer, few, python

import bptt
from bptt import (
    GRU,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    Adam,
    ClipNorm,
    ClipValue,
    CrossEntropy,
    Embedding,
    Exponential,
    FileFormatError,
    Linear,
    Mean,
    Residual,
    Stream,
    Trainer,
    files,
)

IDS = np.random.default_rng(1).integers(0, 6, 300)
VALID = np.random.default_rng(2).integers(0, 6, 50)
CELLS = [
    LSTM(3, 5), RNN(5, 4), GRU(4, 5), GRU(5, 4, reset_after=False), Residual(RNN(4, 4)), Mean(4),
    LSTM(4, 3, layer_norm=True), LSTM(3, 4, peepholes=True),
]  # fmt: skip
HALF = few(67)
"""Updates before the save, and after it; a pass has from 20 to 30."""

CASES = {
    f"{how}, k1={k1} k2={k2}, workers={workers}": (how, k1, k2, workers)
    for how in ("steps", "fit")
    for k1, k2 in ((3, 3), (2, 5))
    for workers in (1, 2)
}


def fresh(k1, k2, workers):
    model = a_model([Embedding(6, 3), *CELLS, Linear(4, 6)], "float32")
    optimizer = SGD(Exponential(0.2, 0.8), momentum=0.9) if k1 == 3 else Adam(0.01)
    return Trainer(
        model,
        loss=CrossEntropy(),
        optimizer=optimizer,
        truncation=TBPTT(k1, k2, clip_delta=0.05),
        clip=ClipNorm(0.5) if workers == 1 else ClipValue(0.1),
        workers=workers,
    )


def advance(trainer, how):
    """``HALF`` more updates; by fit, the rest of the pass, another, and a few updates more."""
    stream, goal, losses = Stream(IDS, 5), trainer.n + HALF, []
    if how == "fit":
        trainer.fit(stream, 2, Stream(VALID, 2), progress=False)
        goal = trainer.n + 7
    while trainer.n < goal:
        for step in trainer.steps(stream):
            losses.append(step.loss)
            if step.n == goal:
                break
    return losses


def everything(trainer, losses):
    """All by which two trainers could differ, but the clock."""
    history = trainer.history.to_arrays()
    found = {f"history.{n}": a for n, a in history.items() if "seconds" not in n}
    found |= {"params": trainer.model.params.flat, "losses": np.array(losses)}
    found |= {f"moments.{name}": moment for name, moment in trainer.moments.items()}
    found["counters"] = np.array([trainer.n, trainer.epoch, trainer.under_way.position])
    found["pass"] = np.array([trainer.under_way.loss, trainer.under_way.targets])
    return found


def go_on(folder):
    """What the new process does: load each trainer of the folder, and train it further."""
    for name, (how, *_) in CASES.items():
        trainer = Trainer.load(Path(folder, name))
        np.savez(Path(folder, f"{name}.npz"), **everything(trainer, advance(trainer, how)))


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """Case -> what a run that was saved and loaded in a new process came to."""
    folder = tmp_path_factory.mktemp("trainers")
    for name, (how, *sizes) in CASES.items():
        trainer = fresh(*sizes)
        advance(trainer, how)
        assert not trainer.under_way.finished
        trainer.save(folder / name)
    python("import sys, test_checkpoint; test_checkpoint.go_on(sys.argv[1])", folder)
    return {name: dict(np.load(folder / f"{name}.npz")) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_a_new_process_goes_on_bit_for_bit(resumed, name):
    how, *sizes = CASES[name]
    trainer = fresh(*sizes)
    advance(trainer, how)
    wanted = everything(trainer, advance(trainer, how))
    assert wanted.keys() == resumed[name].keys()
    for part, array in wanted.items():
        assert array.tobytes() == resumed[name][part].tobytes(), part
    assert len(np.unique(wanted["losses"])) > 5


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("k1_k2", [(4, 4), (2, 7), (3, 4)], ids=str)
def test_saved_after_any_update_of_a_pass(tmp_path, k1_k2, after):
    """Too early for a whole window, in its middle, and at the end of the pass."""
    trainer, stream = a_trainer(truncation=TBPTT(*k1_k2), workers=2), Stream(IDS[:40], 3)
    for _ in range(after):
        next(trainer.steps(stream))
    trainer.save(tmp_path / "trainer")
    other = Trainer.load(tmp_path / "trainer")
    assert (other.n, other.epoch) == (trainer.n, trainer.epoch)
    for _ in range(5):
        step, wanted = next(other.steps(stream)), next(trainer.steps(stream))
        assert (step.n, step.loss, step.grad_norm) == (wanted.n, wanted.loss, wanted.grad_norm)
        assert np.array_equal(step.grads.flat, wanted.grads.flat)
        for name, norms in wanted.flow.items():
            assert np.array_equal(step.flow[name], norms, equal_nan=True)
    assert np.array_equal(other.model.params.flat, trainer.model.params.flat)


def test_saving_changes_nothing(tmp_path):
    saved, unsaved = a_trainer(truncation=TBPTT(2, 5)), a_trainer(truncation=TBPTT(2, 5))
    for _ in saved.steps(Stream(IDS, 3)):
        saved.save(tmp_path / "trainer")
    for _ in unsaved.steps(Stream(IDS, 3)):
        pass
    assert np.array_equal(saved.model.params.flat, unsaved.model.params.flat)


def test_policies_and_counters_come_back(tmp_path):
    trainer = fresh(2, 5, 2)
    trainer.fit(Stream(IDS, 5), 1, Stream(VALID, 2), progress=False)
    trainer.save(tmp_path / "trainer")
    other = Trainer.load(str(tmp_path / "trainer"))
    for name in ("loss", "optimizer", "truncation", "clip", "workers", "n", "epoch", "seconds"):
        assert getattr(other, name) == getattr(trainer, name)
    assert other.model.layers == trainer.model.layers
    assert repr(other.history) == repr(trainer.history)


@pytest.fixture
def path(tmp_path):
    """The file of a trainer in the middle of a pass."""
    trainer = a_trainer(truncation=TBPTT(2, 5), clip=ClipNorm(1.0))
    for _ in range(4):
        next(trainer.steps(Stream(IDS, 3)))
    trainer.save(tmp_path / "trainer")
    return tmp_path / "trainer"


def test_damage_anywhere_is_noticed(path):
    raw = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(raw), few(60)):
        damaged = bytearray(raw)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError):
            Trainer.load(path)
        path.write_bytes(raw[:place])
        with pytest.raises(FileFormatError):
            Trainer.load(path)
    path.write_bytes(raw)
    assert Trainer.load(path).n == 4


def test_a_model_is_no_trainer(path):
    Trainer.load(path).model.save(path)
    with pytest.raises(FileFormatError, match="holds a model, but a trainer was asked for"):
        Trainer.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda config, arrays: arrays.pop("tape.1.c"),
        lambda config, arrays: arrays.pop("tape.x"),
        lambda config, arrays: arrays.pop("params.1.Wh"),
        lambda config, arrays: arrays.pop("moments.velocity"),
        lambda config, arrays: arrays.pop("history.loss"),
        lambda config, arrays: arrays.update({"tape.1.z": arrays["tape.1.z"][:, :2]}),
        lambda config, arrays: arrays.update({"tape.1.c": arrays["tape.1.c"][:-1]}),
        lambda config, arrays: arrays.update({"tape.1.z": arrays["tape.1.z"][:, :1]}),
        lambda config, arrays: config.pop("optimizer"),
        lambda config, arrays: config.pop("n"),
        lambda config, arrays: config["optimizer"].update(type="RMSprop"),
        lambda config, arrays: config["truncation"].update(k1=50),
        lambda config, arrays: config["pass"].update(lanes=3),
        lambda config, arrays: config["model"]["layers"].pop(),
    ],
)
def test_a_file_whose_parts_do_not_belong_together(path, change):
    arrays, config = files.read(path, "trainer")
    change(config, arrays)
    files.write(path, "trainer", arrays, config)
    with pytest.raises(FileFormatError, match=str(path)):
        Trainer.load(path)


def test_a_save_that_fails_leaves_the_last_one(path, monkeypatch):
    before = path.read_bytes()
    trainer = Trainer.load(path)
    next(trainer.steps(Stream(IDS, 3)))
    monkeypatch.setattr(files.os, "fsync", lambda fd: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        trainer.save(path)
    assert path.read_bytes() == before


def test_an_optimizer_that_no_file_can_bring_back_is_not_saved(tmp_path):
    with pytest.raises((TypeError, ValueError)):
        a_trainer(optimizer=Frozen()).save(tmp_path / "trainer")


def test_what_was_loaded_is_a_trainer_of_the_class_asked_for(path):
    class Mine(bptt.Trainer):
        pass

    assert type(Mine.load(path)) is Mine
