"""What kernels share with the public objects cannot be put out of step with them by assignment."""

import copy
from collections.abc import Mapping

import numpy as np
import pytest
from helpers import a_model, a_state, a_trainer
from test_resume import bits

import bptt
from bptt import LSTM, AdamW, BatchNorm, CrossEntropy, Embedding, Linear, Model, Stream

IDS = np.random.default_rng(1).integers(0, 6, 81)
X = IDS[:40].reshape(20, 2)
STREAM = Stream(IDS, 2)


def trained():
    layers = [Embedding(6, 3), LSTM(3, 4), BatchNorm(4), Linear(4, 6)]
    trainer = a_trainer(model=a_model(layers, "float32"), optimizer=AdamW(0.01))
    return trainer, next(trainer.steps(STREAM))


def holders():
    """Public objects that lead to arrays which kernels read or write, by name."""
    trainer, step = trained()
    gradients = bptt.gradients(trainer.model, CrossEntropy(), X, X)
    return {
        "trainer": trainer,
        "model": trainer.model,
        "step": step,
        "gradients": gradients,
        "params": trainer.model.params,
        "buffers": trainer.model.buffers,
        "arrays": trainer.model.arrays,
        "moments": trainer.moments,
        "grads": step.grads,
        "state": trainer.model(X)[1],
    }


def shares(value):
    """Whether it is, or leads to, arrays that others read."""
    if isinstance(value, Mapping):
        return any(isinstance(entry, np.ndarray) for entry in value.values())
    return isinstance(value, np.ndarray | Model)


WRONG = [None, 3, "x", [], np.zeros(3), np.zeros(10**5), np.zeros((2, 2, 2)), Model([LSTM(1, 1)])]


@pytest.mark.parametrize(
    "name",
    ["trainer", "model", "step", "gradients", "params", "buffers", "arrays", "moments", "grads",
     "state"],
)  # fmt: skip
def test_nothing_else_can_be_put_in_their_place(name):
    holder, found = holders()[name], []
    for attribute in dir(holder):
        if not attribute.startswith("_") and shares(getattr(holder, attribute)):
            found.append(attribute)
            for wrong in WRONG:
                with pytest.raises((AttributeError, bptt.ShapeError)):
                    setattr(holder, attribute, wrong)
    entries = list(holder) if isinstance(holder, Mapping) else []
    for entry in entries:
        for wrong in WRONG:
            with pytest.raises(bptt.ShapeError, match=f"^{entry} "):
                holder[entry] = wrong
    assert found or entries


def test_these_are_the_attributes_that_lead_to_shared_arrays():
    found = {
        name: [a for a in dir(one) if not a.startswith("_") and shares(getattr(one, a))]
        for name, one in holders().items()
    }
    assert {name: names for name, names in found.items() if names} == {
        "trainer": ["model", "moments"],
        "model": ["arrays", "buffers", "params"],
        "step": ["flow", "grads"],
        "gradients": ["final_state", "flow", "params", "state"],
        **{name: ["flat"] for name in ("params", "buffers", "grads", "state")},
    }


def halved(holder, entry):
    """Slips for ``holder[entry][...] *= 0.5``, and other ways to say it."""

    def assign():
        holder[entry] = holder[entry].astype(np.float64) * 0.5

    def in_place():
        holder[entry] *= 0.5

    def assign_all():
        holder.flat = holder.flat * np.where(belongs(), 0.5, 1)

    def in_place_all():
        holder.flat *= np.where(belongs(), 0.5, 1).astype(np.float32)

    def belongs():
        only = holder.like()
        only[entry] = np.ones(only[entry].shape)
        return only.flat > 0

    return [assign, in_place, *([assign_all, in_place_all] if hasattr(holder, "flat") else [])]


@pytest.mark.parametrize(
    ("name", "entry"),
    [("params", "1.Wh"), ("arrays", "1.Wh"), ("arrays", "2.running_var"), ("moments", "v"),
     ("buffers", "2.running_var")],
)  # fmt: skip
def test_what_is_assigned_is_what_training_and_calls_go_on_with(name, entry):
    (other, _), (untouched, _) = trained(), trained()

    def holder(trainer):
        return trainer.moments if name == "moments" else getattr(trainer.model, name)

    def outcome(trainer):
        steps = [bits(step) for step in trainer.steps(STREAM)]
        return steps, *(trainer.model(x)[0].tobytes() for x in (X, X[:1]))

    holder(other)[entry][...] *= 0.5
    wanted = outcome(other)
    assert wanted != outcome(untouched)
    for way in range(len(halved(holder(other), entry))):
        one, _ = trained()
        halved(holder(one), entry)[way]()
        assert outcome(one) == wanted


def test_a_state_takes_what_is_assigned():
    model = a_model([LSTM(3, 4)], "float32")
    state, x = a_state(model, 2), np.ones((9, 2, 3))
    wanted = model(x, {name: view * 0.5 for name, view in state.items()})[0]
    state.flat = state.flat * 0.5
    assert np.array_equal(model(x, state)[0], wanted)
    wide = state.like(state.flat.astype(np.float64))
    assert np.array_equal(model(x, wide)[0], wanted)


@pytest.mark.parametrize(
    "name", ["layers", "dtype", "n_in", "n_out", "reads_ids", "trains", "whole"]
)
def test_what_a_model_is_made_of_is_fixed(name):
    model = a_model([LSTM(3, 4)])
    for value in (getattr(model, name), None, "float32", [LSTM(5, 9)], 7):
        with pytest.raises(AttributeError, match=f"{name} of a Model is fixed; make another Model"):
            setattr(model, name, value)


def test_what_a_trainer_is_made_for_is_fixed():
    trainer = a_trainer()
    for name in ("model", "moments"):
        with pytest.raises(AttributeError, match=f"'{name}' of 'Trainer' object has no setter"):
            setattr(trainer, name, getattr(copy.deepcopy(trainer), name))


def test_callbacks_that_are_set_are_those_that_hear():
    class Counting(bptt.Callback):
        def after_update(self, trainer, step, memo):
            return {"n": memo.get("n", 0) + 1}

    trainer = a_trainer()
    with pytest.raises(TypeError, match="callbacks must be a list of Callbacks, got"):
        trainer.callbacks = [3]
    trainer.callbacks = [Counting()]
    for _ in range(3):
        next(trainer.steps(STREAM))
    assert trainer.callbacks.memos == [{"n": 3}]


def test_a_source_whose_lanes_were_changed_is_refused():
    stream = Stream(IDS, 2)
    stream.batch = 3
    for read in (a_trainer().evaluate, lambda source: next(a_trainer().steps(source))):
        with pytest.raises(bptt.ShapeError, match="x has 2 lanes, but its source said 3"):
            read(stream)
