"""Penalties on parameters by value; all regularizers and clips together, and what is refused."""

import math
from itertools import pairwise

import numpy as np
import pytest
from helpers import Frozen, a_model, assert_all_close, assert_close, assert_goes_on, few, plain

from bptt import (
    GRU,
    L1,
    L2,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    AdaGrad,
    Adam,
    AdamW,
    ClipAdaptive,
    ClipNorm,
    ClipValue,
    CrossEntropy,
    Dropout,
    Embedding,
    Linear,
    RMSProp,
    SquaredError,
    Stream,
    Trainer,
    WeightDrop,
    WeightNoise,
)

SEED = 11
LAYERS = [LSTM(3, 5), RNN(5, 4), Linear(4, 2)]


def a_trainer(dtype="float64", **options):
    options = {"optimizer": Frozen(), "truncation": TBPTT(4, 4), "seed": SEED} | options
    return Trainer(a_model(LAYERS, dtype), loss=SquaredError(), **options)


def a_stream():
    rng = np.random.default_rng(1)
    return Stream(rng.normal(size=(59, 3)), 3, rng.normal(size=(59, 2)), np.arange(59) % 9 == 4)


def test_nothing_is_copied_where_nothing_is_asked_for():
    trainer = a_trainer(clip=ClipNorm(0.1))
    step = next(trainer.steps(a_stream()))
    assert trainer._regularization.params is trainer.model.params
    shaped, _ = trainer._regularization.for_optimizer(step.grads, trainer.clip, step.grad_norm)
    assert shaped is step.grads


PENALTIES = {
    "L1": ([L1(0.3)], lambda name, p: 0.3 * np.sign(p) * (p.ndim > 1)),
    "L2": ([L2(0.3)], lambda name, p: 0.3 * p * (p.ndim > 1)),
    "both, on some": (
        [L1(0.2, ("b", "0.Wh")), L2(0.1, "Wh")],
        lambda name, p: (
            0.2 * np.sign(p) * (name in ("0.Wh", "0.b", "1.b", "2.b")) + 0.1 * p * ("Wh" in name)
        ),
    ),
}
"""Penalties, and their slope."""


def clipped(clip, grads, norm):
    if isinstance(clip, ClipNorm):
        return {name: g * clip.norm / norm for name, g in grads.items()}
    if isinstance(clip, ClipValue):
        return {name: np.clip(g, -clip.value, clip.value) for name, g in grads.items()}
    return grads


@pytest.mark.parametrize("clip", [None, ClipNorm(0.05), ClipValue(0.01)], ids=str)
@pytest.mark.parametrize(("penalties", "slope"), PENALTIES.values(), ids=PENALTIES)
def test_penalties_join_the_clipped_gradient(penalties, slope, clip):
    """And neither the loss nor the gradient that an update reports has them in it."""
    trainer = a_trainer(optimizer=SGD(0.1, 0.5), regularizers=penalties, clip=clip)
    plainly, stream = a_trainer(), a_stream()
    trainer.model.params["0.Wh"][0] = 0
    before, velocity = plain(trainer.model.params), plain(trainer.model.params.like())
    steps, same = trainer.steps(stream), plainly.steps(stream)
    for _ in range(5):
        plainly.model.params.flat[:] = trainer.model.params.flat
        step, wanted = next(steps), next(same)
        assert_close(step.loss, wanted.loss, 1e-12)
        assert_all_close(step.grads, wanted.grads)
        assert step.grad_norm > 0.05
        grads = clipped(clip, plain(step.grads), step.grad_norm)
        velocity = {n: 0.5 * v + grads[n] + slope(n, before[n]) for n, v in velocity.items()}
        before = {n: p - 0.1 * velocity[n] for n, p in before.items()}
        assert_all_close(trainer.model.params, before, 1e-12)


def test_what_is_zero_stays_there_under_a_penalty():
    grads, params = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, -0.0, 1e-300, -2.0])
    L1(0.5).add_slope(params, grads)
    assert np.array_equal(grads, [1.0, 2.0, 3.5, 3.5])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [SGD, Adam], ids=lambda kind: kind.__name__)
def test_l2_of_all_parameters_is_weight_decay(kind, dtype):
    options = {"clip": ClipNorm(0.05), "dtype": dtype}
    decayed = a_trainer(optimizer=kind(0.05, weight_decay=0.2), **options)
    penalised = a_trainer(
        optimizer=kind(0.05), regularizers=[L2(0.2, ["W", "Wx", "Wh", "b"])], **options
    )
    stream = a_stream()
    for one, other in zip(decayed.steps(stream), penalised.steps(stream), strict=True):
        assert_close(one.loss, other.loss, 1e-5 if dtype == "float32" else 1e-12)
    assert_close(
        decayed.model.params.flat, penalised.model.params.flat, 1e-4 if dtype == "float32" else 1e-9
    )


@pytest.mark.parametrize(
    "optimizer",
    [SGD(0.1, 0.9, nesterov=True, weight_decay=0.1), AdaGrad(0.1), RMSProp(0.01, centered=True),
     Adam(0.01), AdamW(0.01, weight_decay=0.5)],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("clip", [ClipNorm(0.05), ClipAdaptive(0.01)], ids=str)
def test_what_watch_says_of_an_update(optimizer, clip):
    regularizers = [L1(0.1), L2(0.2), WeightDrop(0.5), WeightNoise(0.1)]
    trainer = a_trainer(optimizer=optimizer, clip=clip, regularizers=regularizers, workers=2)
    before = trainer.model.params.copy()
    for step in trainer.steps(a_stream()):
        found, after = trainer.watch(), trainer.model.params.copy()
        for name, norms in found.parameters.items():
            moved = after[name] - before[name]
            assert math.isclose(norms.update, math.sqrt(np.mean(moved**2)), rel_tol=1e-9)
            assert math.isclose(norms.gradient, math.sqrt(np.mean(step.grads[name] ** 2)))
            assert math.isclose(norms.value, math.sqrt(np.mean(after[name] ** 2)))
        for name, norms in step.flow.items():
            assert np.array_equal(found.flow[name], norms, equal_nan=True)
        before = after


EVERYTHING = [WeightDrop(0.5), L1(0.01), WeightNoise(0.1, ["Wx", "b"]), L2(0.02, "W")]
STACK = [Embedding(6, 3), LSTM(3, 4), Dropout(4, 0.3), GRU(4, 5), Linear(5, 6)]


def everything(**options):
    options = {"workers": 2, "regularizers": EVERYTHING} | options
    return Trainer(
        a_model(STACK), loss=CrossEntropy(), optimizer=Adam(0.02), clip=ClipAdaptive(0.05),
        **{"truncation": TBPTT(2, 5), "seed": SEED} | options,
    )  # fmt: skip


IDS = np.random.default_rng(2).integers(0, 6, 80)


@pytest.mark.parametrize("memory", [None, "sqrt"])
def test_a_run_goes_on_bit_for_bit(tmp_path, memory):
    trainer, stream = everything(truncation=TBPTT(2, 5, memory=memory)), Stream(IDS, 3)
    for _ in range(4):
        next(trainer.steps(stream))
    other = assert_goes_on(trainer, tmp_path / "trainer", stream, few(20))
    assert other.regularizers == trainer.regularizers == tuple(EVERYTHING)
    assert other.clip == trainer.clip


def test_any_number_of_workers_draws_the_same():
    found = []
    for workers in (1, 3):
        trainer = everything(workers=workers)
        losses = [step.loss for _ in range(2) for step in trainer.steps(Stream(IDS, 3))]
        found.append((losses, trainer.model.params.flat))
    assert_close(found[0][0], found[1][0], 1e-9)
    assert_close(found[0][1], found[1][1], 1e-7)


def test_an_update_without_targets_changes_nothing():
    targets = np.full(24, -1)
    targets[:4] = targets[16:] = 1
    trainer = everything(truncation=TBPTT(4, 4))
    params = [trainer.model.params.flat.copy()]
    for step in trainer.steps(Stream(IDS[:24], 1, targets)):
        params.append(trainer.model.params.flat.copy())
        if not step.targets:
            assert {norms.update for norms in trainer.watch().parameters.values()} == {0.0}
    changed = [not np.array_equal(a, b) for a, b in pairwise(params)]
    assert changed == [True, False, False, False, True, True]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: L1(-1), "rate must be a number from 0 on, got -1"),
        (lambda: L1(math.inf), "rate must be a number from 0 on, got inf"),
        (lambda: L2("much"), "rate must be a number from 0 on, got 'much'"),
        (lambda: WeightNoise(math.nan), "std must be a number from 0 on, got nan"),
        (lambda: WeightNoise(True), "std must be a number from 0 on, got True"),
        (lambda: WeightDrop(1.0), r"p must be in \[0, 1\), got 1.0"),
        (lambda: WeightDrop(0.5, 3), "names must be a name, some names or None, got 3"),
        (lambda: L1(0.1, []), r"names must be a name, some names or None, got \[\]"),
        (lambda: L2(0.1, ("W", 1)), r"names must be a name, some names or None, got \('W', 1\)"),
    ],
)
def test_arguments_that_cannot_be(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("regularizers", "error", "said"),
    [
        (L1(0.1), TypeError, r"regularizers must be a list of them, got L1\(rate=0.1, names=None"),
        (None, TypeError, "regularizers must be a list of them, got None"),
        ([L1(0.1), 0.5], TypeError, "regularizers must be penalties or noise, got 0.5"),
        ([L1], TypeError, "regularizers must be penalties or noise, got <class"),
        ([L1(0.1, ["W", "bh"])], ValueError, r"L1\(.*\) names 'bh', but the parameters are 0.Wx, "),
        ([WeightDrop(0.5, "2.Wh")], ValueError, "names '2.Wh', but the parameters are 0.Wx, 0.Wh"),
    ],
)
def test_regularizers_that_do_not_fit(regularizers, error, said):
    with pytest.raises(error, match=said):
        a_trainer(regularizers=regularizers)


def test_a_regularizer_that_no_file_can_bring_back_is_not_saved(tmp_path):
    class Mine(L1):
        pass

    with pytest.raises(TypeError, match="cannot be saved: Mine is none of"):
        a_trainer(optimizer=SGD(0.1), regularizers=[Mine(0.1)]).save(tmp_path / "trainer")
