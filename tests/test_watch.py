"""A close look at an update, against copies of what was there before and after it."""

import math
from itertools import chain

import naive
import numpy as np
import pytest
from helpers import Frozen, a_model, a_trainer, assert_close, few, plain

import bptt
from bptt import (
    ARTBP,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    AdaGrad,
    Adam,
    AdamW,
    ClipNorm,
    ClipValue,
    CrossEntropy,
    Embedding,
    FullBPTT,
    Linear,
    RandomTBPTT,
    RMSProp,
    Schedule,
    Stream,
    histories,
)

IDS = np.random.default_rng(9).integers(0, 6, 100)
FEWER = IDS[: few(60)]
GATES = ("i", "f", "g", "o")


def rms(values):
    return math.sqrt(np.mean(np.asarray(values, np.float64) ** 2))


class Falling(Schedule):
    """Another rate for every update, and for every pass."""

    def rate(self, updates, epochs, memo):
        return 0.5 / (1 + updates + 10 * epochs)

    def __repr__(self):
        return "Falling()"


def a_deep_trainer(units=5, **changes):
    """Of an LSTM and an RNN above it, over six ids."""
    model = a_model([Embedding(6, 3), LSTM(3, units), RNN(units, 4), Linear(4, 6)])
    options = {"loss": CrossEntropy(), "optimizer": Frozen(), "workers": 1}
    return bptt.Trainer(model, **options | changes)


@pytest.mark.parametrize(
    ("optimizer", "clip", "truncation"),
    [
        (SGD(0.1), None, TBPTT(4, 4)),
        (SGD(0.5, momentum=0.9), ClipNorm(0.05), TBPTT(4, 4)),
        (SGD(Falling(), momentum=0.5), ClipValue(0.01), TBPTT(3, 7)),
        (Adam(0.01), None, TBPTT(4, 4)),
        (Adam(0.01, beta1=0.5, eps=1e-3), ClipNorm(0.05), TBPTT(2, 6)),
        (SGD(0.1, 0.9, nesterov=True, weight_decay=0.1), ClipNorm(0.05), TBPTT(4, 4)),
        (AdaGrad(0.1), ClipValue(0.01), TBPTT(4, 4)),
        (RMSProp(0.01, centered=True), ClipNorm(0.05), TBPTT(2, 6)),
        (AdamW(0.01, weight_decay=0.5), ClipNorm(0.05), TBPTT(4, 4)),
        (SGD(0.1, momentum=0.9), None, RandomTBPTT(5, shortest=2, spread=2)),
        (Adam(0.01), ClipValue(0.01), RandomTBPTT(5, shortest=2, spread=2)),
        (Adam(0.01), ClipNorm(0.05), ARTBP(5, 4.0)),
    ],
    ids=str,
)
@pytest.mark.parametrize("workers", [1, 2])
def test_the_norms_of_every_parameter(optimizer, clip, truncation, workers):
    trainer = a_trainer(optimizer=optimizer, clip=clip, truncation=truncation, workers=workers)
    before, seen, stream = trainer.model.params.copy(), 0, Stream(FEWER, 2)
    for step in chain(trainer.steps(stream), trainer.steps(stream)):
        found, after = trainer.watch(), trainer.model.params.copy()
        assert found.n == step.n == trainer.n
        assert list(found.parameters) == list(after)
        for name, norms in found.parameters.items():
            gradient = step.grads[name]
            wanted = (
                rms(after[name]),
                rms(gradient),
                rms(after[name] - before[name]),
                np.abs(gradient).mean(),
                np.abs(gradient).max(),
            )
            np.testing.assert_allclose(norms, wanted, rtol=1e-9)
            assert all(type(norm) is float for norm in norms)
        before, seen = after, seen + 1
    assert seen > 4
    assert trainer.epoch == 2


def test_float32_is_as_good_as_its_rounding():
    trainer = a_trainer("float32", optimizer=Adam(0.1), clip=ClipNorm(0.05))
    before = plain(trainer.model.params)
    for step in trainer.steps(Stream(IDS, 4)):
        after = plain(trainer.model.params)
        for name, norms in trainer.watch().parameters.items():
            assert math.isclose(norms.gradient, rms(step.grads[name]), rel_tol=1e-6)
            assert math.isclose(norms.value, rms(after[name]), rel_tol=1e-6)
            assert math.isclose(norms.update, rms(after[name] - before[name]), rel_tol=1e-4)
        before = after


def test_looking_changes_nothing():
    watched, left_alone = (a_trainer(optimizer=Adam(0.01), workers=2) for _ in range(2))
    for _, _ in zip(watched.steps(Stream(IDS, 4)), left_alone.steps(Stream(IDS, 4)), strict=True):
        first, again = watched.watch(), watched.watch()
        assert first.parameters == again.parameters
    assert np.array_equal(watched.model.params.flat, left_alone.model.params.flat)


def test_an_optimizer_that_does_not_say_what_it_changed():
    trainer = a_trainer(optimizer=Frozen())
    next(trainer.steps(Stream(IDS, 4)))
    for norms in trainer.watch().parameters.values():
        assert math.isnan(norms.update)
        assert norms.gradient > 0
        assert norms.value > 0


def test_nothing_to_look_at_before_the_first_update_or_after_load(tmp_path):
    trainer = a_trainer()
    with pytest.raises(ValueError, match="there was no update since the trainer was made"):
        trainer.watch()
    steps = trainer.steps(Stream(IDS, 4))
    next(steps)
    assert trainer.watch().n == 1
    trainer.save(tmp_path / "run.safetensors")
    loaded = bptt.Trainer.load(tmp_path / "run.safetensors")
    with pytest.raises(ValueError, match="the trainer was made, copied, loaded or told"):
        loaded.watch()
    next(loaded.steps(Stream(IDS, 4)))
    assert loaded.watch().n == 2


def windows(trainer, lanes):
    """Each update's step, and its window as the oracle wants it: x, targets, the state before it;
    the newest k2 steps, fewer at the beginning."""
    (x, there), (targets, _) = naive.lanes(FEWER[:-1], lanes), naive.lanes(FEWER[1:], lanes)
    layers, params = trainer.model.layers, plain(trainer.model.params)
    stop = 0
    for step in trainer.steps(Stream(FEWER, lanes)):
        stop += step.k1
        first, start = max(0, stop - step.k2), stop - step.k1
        state = naive.zero_state(layers, lanes)
        if first:
            _, state = naive.forward(layers, params, x[:first], state)
        yield step, x[first:stop], targets[start:stop], there[start:stop], state


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("k", [(4, 4), (2, 5)])
def test_errors_and_where_they_were_bounded(k, workers, memory):
    bound = 0.02
    truncation = TBPTT(*k, clip_delta=bound, memory=memory)
    trainer = a_deep_trainer(truncation=truncation, workers=workers)
    model, some = trainer.model, []
    for step, x, targets, there, state in windows(trainer, 5):
        found = trainer.watch()
        assert set(found.flow) == set(found.clipped) == {"1.h", "2.h"}
        wanted = naive.backward(
            model.layers, plain(model.params), x, targets, state, there, bound
        ).delta
        missing = step.k2 - len(x)
        for i, delta in wanted.items():
            norms = np.linalg.norm(delta, axis=2)
            clipped, flow = found.clipped[f"{i}.h"], found.flow[f"{i}.h"]
            assert flow.shape == clipped.shape == (step.k2,)
            assert np.isnan(flow[:missing]).all()
            assert np.isnan(clipped[:missing]).all()
            assert_close(flow[missing:], np.linalg.norm(norms, axis=1), 1e-9)
            assert np.array_equal(flow, step.flow[f"{i}.h"], equal_nan=True)
            share = (norms > bound * (1 - 1e-9)).mean(axis=1)
            np.testing.assert_allclose(clipped[missing:], share, rtol=1e-12)
            some.append(share)
    assert 0.05 < np.concatenate(some).mean() < 0.95


def test_without_a_bound_nothing_is_bounded():
    trainer = a_deep_trainer(truncation=TBPTT(4, 4))
    next(trainer.steps(Stream(IDS, 5)))
    for share in trainer.watch().clipped.values():
        assert np.array_equal(share, np.zeros(4))


def saturation(gates):
    """Name -> (T,): how far from their steepest the activations are, from what they give."""
    slopes = {
        name: (1 - gate**2 if name == "g" else 4 * gate * (1 - gate)).mean(axis=(1, 2))
        for name, gate in gates.items()
    }
    return {name: 1 - slope for name, slope in slopes.items()}


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("units", [1, 5, 8, 11])
@pytest.mark.parametrize("k", [(4, 4), (2, 5)])
def test_saturation_is_that_of_the_gates(k, units, workers, memory):
    trainer = a_deep_trainer(units, truncation=TBPTT(*k, memory=memory), workers=workers)
    trainer.model.params["1.b"][units : 2 * units] = 6
    for step, x, _, _, state in windows(trainer, 5):
        found = trainer.watch().saturation
        assert list(found) == [f"1.{name}" for name in GATES]
        seen = histories(trainer.model, x, state)
        for name, wanted in saturation({name: seen[f"1.{name}"] for name in GATES}).items():
            got = found[f"1.{name}"]
            assert got.shape == (step.k2,)
            assert np.isnan(got[: step.k2 - len(x)]).all()
            np.testing.assert_allclose(got[step.k2 - len(x) :], wanted, rtol=1e-10, atol=1e-12)
        assert np.nanmin(found["1.f"]) > 0.8


def test_saturation_is_that_before_the_parameters_moved():
    trainer = a_trainer(optimizer=SGD(1.0), truncation=FullBPTT(), workers=2)
    before = bptt.Model(trainer.model.layers, dtype="float64")
    before.params.flat[:] = trainer.model.params.flat
    next(trainer.steps(Stream(IDS, 5)))
    x, _ = naive.lanes(IDS[:-1], 5)
    seen = histories(before, x)
    for name, wanted in saturation({name: seen[f"1.{name}"] for name in GATES}).items():
        np.testing.assert_allclose(trainer.watch().saturation[f"1.{name}"], wanted, rtol=1e-10)


def test_a_model_without_gates_or_states_has_parameters_only():
    model = a_model([Embedding(6, 4), Linear(4, 6)])
    trainer = bptt.Trainer(
        model, loss=CrossEntropy(), optimizer=SGD(0.1), truncation=TBPTT(4, 4), workers=1
    )
    next(trainer.steps(Stream(IDS, 5)))
    found = trainer.watch()
    assert found.flow == found.clipped == found.saturation == {}
    assert set(found.parameters) == {"0.W", "1.W", "1.b"}
