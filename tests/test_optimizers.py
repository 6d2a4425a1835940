"""Optimizers, all through one table; that they agree with PyTorch's is in test_torch.py."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers import a_trainer, few
from toolbox import OPTIMIZERS

import bptt
from bptt import SGD, AdaGrad, Adam, AdamW, Cosine, Exponential, RMSProp, StepDecay, Stream, WarmUp
from bptt.clip import Clipping
from bptt.config import build, describe
from bptt.schedules import SCHEDULES

FREE = Clipping(1.0, math.inf)
RNG = np.random.default_rng(1)


def run(optimizer, grads, dtype="float64", clipping=FREE):
    params = np.linspace(-1, 1, grads.shape[1]).astype(dtype)
    moments = {name: np.zeros_like(params) for name in optimizer.moments}
    for n, grad in enumerate(grads, start=1):
        optimizer.update(params, grad.astype(dtype), moments, n, 0.1, clipping)
    return params, moments


def test_sgd_by_hand():
    grads = RNG.normal(size=(3, 7))
    params, moments = run(SGD(1.0, momentum=0.5), grads)
    v1 = grads[0]
    v2 = 0.5 * v1 + grads[1]
    v3 = 0.5 * v2 + grads[2]
    np.testing.assert_allclose(moments["velocity"], v3, rtol=1e-14)
    np.testing.assert_allclose(params, np.linspace(-1, 1, 7) - 0.1 * (v1 + v2 + v3), rtol=1e-13)


def test_the_first_step_of_adam_is_the_rate_against_the_sign():
    grads = RNG.normal(size=(1, 7)) * np.logspace(-3, 3, 7)
    params, _ = run(Adam(1.0, eps=1e-12), grads)
    np.testing.assert_allclose(params, np.linspace(-1, 1, 7) - 0.1 * np.sign(grads[0]), atol=1e-9)


def test_the_first_step_of_rmsprop_is_one_over_the_root_of_what_enters():
    grads = RNG.normal(size=(1, 7))
    params, _ = run(RMSProp(1.0, alpha=0.75, eps=1e-12), grads)
    np.testing.assert_allclose(params, np.linspace(-1, 1, 7) - 0.2 * np.sign(grads[0]), atol=1e-9)


def test_adagrad_by_hand():
    grads = RNG.normal(size=(2, 7))
    params, _ = run(AdaGrad(1.0, eps=0.5), grads)
    first = grads[0] / (np.abs(grads[0]) + 0.5)
    second = grads[1] / (np.hypot(grads[0], grads[1]) + 0.5)
    np.testing.assert_allclose(params, np.linspace(-1, 1, 7) - 0.1 * (first + second), rtol=1e-13)


def test_decoupled_decay_is_apart_from_the_gradient():
    params, _ = run(AdamW(1.0, weight_decay=0.5), np.zeros((3, 7)))
    np.testing.assert_allclose(params, np.linspace(-1, 1, 7) * 0.95**3, rtol=1e-14)
    grads = RNG.normal(size=(1, 7))
    plain, decayed = (run(optimizer, grads)[0] for optimizer in (Adam(), AdamW()))
    np.testing.assert_allclose(decayed - plain, -1e-3 * np.linspace(-1, 1, 7), atol=1e-15)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clipping_inside_is_clipping_before(optimizer, dtype):
    grads = RNG.normal(size=(4, 9)).astype(dtype)
    inside, _ = run(optimizer, grads, dtype, Clipping(0.5, 0.3))
    before, _ = run(optimizer, np.clip(grads * 0.5, -0.3, 0.3).astype(dtype), dtype)
    np.testing.assert_allclose(inside, before, rtol=1e-6)
    assert inside.dtype == dtype


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("clipping", [FREE, Clipping(0.5, 0.3)])
def test_what_a_step_changed(optimizer, clipping):
    params = np.linspace(-1, 1, 9)
    moments = {name: np.zeros_like(params) for name in optimizer.moments}
    for n, grad in enumerate(RNG.normal(size=(4, 9)), start=1):
        before = params.copy()
        given = grad, moments, n, 0.1 / n, clipping
        optimizer.update(params, *given)
        after = params.copy()
        np.testing.assert_allclose(optimizer.change(params, *given), params - before, rtol=1e-9)
        assert np.array_equal(params, after)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_narrow_valley(optimizer, dtype):
    """½ Σ λᵢθᵢ², the largest λ a hundred times the smallest; the rate falls as it must."""
    slopes = np.logspace(0, 2, 5).astype(dtype)
    params = np.ones(5, dtype)
    moments = {name: np.zeros_like(params) for name in optimizer.moments}
    largest = 0.01 if isinstance(optimizer, SGD) else 0.2
    for n in range(1, few(800) + 1):
        rate = largest * (1 - n / (few(800) + 1))
        optimizer.update(params, slopes * params, moments, n, rate, FREE)
    assert slopes @ params**2 < 1e-3 * slopes.sum()


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("rate", [0.25, WarmUp(3, Cosine(0.5, 0.0, 9))], ids=str)
def test_through_a_file_and_back(optimizer, rate):
    known = bptt.optimizers.OPTIMIZERS | SCHEDULES
    optimizer = replace(optimizer, learning_rate=rate)
    assert build(json.loads(json.dumps(describe(optimizer, known))), known) == optimizer


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_training_goes_on_from_a_file_bit_for_bit(optimizer, tmp_path):
    optimizer = replace(optimizer, learning_rate=WarmUp(3, StepDecay(0.05, 0.5, 1)))
    stream = Stream(RNG.integers(0, 6, 60), 2)
    whole, parts = (a_trainer(optimizer=optimizer, clip=bptt.ClipNorm(0.3)) for _ in range(2))
    whole.fit(stream, 2, progress=False)
    for _ in zip(range(2), parts.steps(stream), strict=False):
        pass
    parts.save(tmp_path / "run")
    parts = bptt.Trainer.load(tmp_path / "run")
    parts.fit(stream, 2, progress=False)
    assert parts.n == whole.n
    assert np.array_equal(parts.model.params.flat, whole.model.params.flat)


def test_a_centred_rms_where_every_gradient_is_the_same():
    params, _ = run(RMSProp(1.0, alpha=0.5, centered=True), np.full((200, 7), 0.3), "float32")
    assert np.isfinite(params).all()


SQUARING = [optimizer for optimizer in OPTIMIZERS.values() if not isinstance(optimizer, SGD)]


def one_update(optimizer, x, dtype, **options):
    """A trainer whose gradients of W are ±x / 2, and its iterator over updates."""
    model = bptt.Model([bptt.Linear(1, 2)], dtype=dtype)
    model.params.flat[:] = 0
    truncation, loss = bptt.TBPTT(1, 1), bptt.AbsoluteError()
    trainer = bptt.Trainer(model, loss=loss, optimizer=optimizer, truncation=truncation, **options)
    data = np.full((3, 1), x)
    return trainer, trainer.steps(Stream(data, 1, np.array([[-1.0, 1.0]] * 3)))


@pytest.mark.parametrize("optimizer", SQUARING, ids=str)
@pytest.mark.parametrize(("dtype", "x"), [("float32", 1e24), ("float64", 1e200)])
@np.errstate(over="ignore")
def test_a_gradient_whose_square_overflows_is_refused(optimizer, dtype, x):
    trainer, updates = one_update(optimizer, x, dtype)
    said = "update 1: the .* 0.W, after the step, is not finite"
    with pytest.raises(bptt.NonFiniteError, match=said) as failed:
        next(updates)
    assert failed.value.update == 1
    assert trainer.n == 0
    assert not trainer.model.params.flat.any()
    assert not any(moment.any() for moment in trainer.moments.values())
    for clip in (bptt.ClipNorm(0.5), bptt.ClipValue(0.5), bptt.ClipAdaptive(0.5)):
        trainer, updates = one_update(replace(optimizer, learning_rate=0.1), x, dtype, clip=clip)
        next(updates)
        assert np.isfinite(trainer.model.params.flat).all()
        assert trainer.model.params.flat[:2].all()


HELD = [
    ("eps", 1e-50, "float32", False),
    ("eps", 1e-50, "float64", True),
    ("eps", 1e-30, "float32", True),
    ("eps", 1e39, "float32", False),
    ("learning_rate", 1e-50, "float32", False),
    ("learning_rate", 1e39, "float32", False),
    ("learning_rate", 1e39, "float64", True),
]


@pytest.mark.parametrize("optimizer", [SGD(0.1), *SQUARING], ids=str)
@pytest.mark.parametrize(("name", "value", "dtype", "fits"), HELD)
def test_numbers_that_the_dtype_does_not_hold_are_refused(optimizer, name, value, dtype, fits):
    if not hasattr(optimizer, name):
        return
    optimizer = replace(optimizer, **{name: value})
    if fits:
        one_update(optimizer, 1.0, dtype)
        return
    said = f"{name} of {type(optimizer).__name__} is {value!r}, which is "
    with pytest.raises(ValueError, match=re.escape(said)):
        one_update(optimizer, 1.0, dtype)


def test_bounds_that_the_dtype_does_not_hold_are_refused():
    for clip in (bptt.ClipNorm(1e-50), bptt.ClipValue(1e-50)):
        with pytest.raises(ValueError, match=r"1e-50, which is 0\.0 in float32"):
            one_update(SGD(0.1), 1.0, "float32", clip=clip)
    said, x = r"clip_delta is 1e-50, which is 0\.0 in float32", np.ones((2, 1, 3))
    with pytest.raises(ValueError, match=said):
        a_trainer("float32", truncation=bptt.TBPTT(2, 2, clip_delta=1e-50))
    with pytest.raises(ValueError, match=said):
        bptt.value_and_grad(
            bptt.Model([bptt.RNN(3, 3)]), bptt.SquaredError(), x, x, clip_delta=1e-50
        )


def test_optimizers_are_named_by_their_classes():
    names = {"SGD", "AdaGrad", "RMSProp", "Adam", "AdamW"}
    assert {n: kind.__name__ for n, kind in bptt.optimizers.OPTIMIZERS.items()} == {
        n: n for n in names
    }
    assert {type(optimizer).__name__ for optimizer in OPTIMIZERS.values()} == names


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_the_gradient_is_left_alone(optimizer):
    grads = RNG.normal(size=(2, 5))
    copy = grads.copy()
    run(optimizer, grads, clipping=Clipping(0.1, 0.1))
    assert np.array_equal(grads, copy)


def test_rates_are_numbers_or_schedules():
    assert SGD(0.5).rate(3, 4) == 0.5
    assert Adam(Exponential(1.0, 0.5)).rate(9, 2) == 0.25


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SGD(0), "learning_rate must be a positive number, got 0"),
        (lambda: SGD("fast"), "learning_rate must be a positive number, got 'fast'"),
        (lambda: SGD(1e-3, momentum=1.0), r"momentum must be in \[0, 1\), got 1.0"),
        (lambda: Adam(-1.0), "learning_rate must be a positive number"),
        (lambda: Adam(1e-3, beta1=1), r"beta1 must be in \[0, 1\), got 1"),
        (lambda: Adam(1e-3, beta2=-0.1), r"beta2 must be in \[0, 1\), got -0.1"),
        (lambda: Adam(1e-3, eps=0.0), "eps must be a positive number, got 0.0"),
        (lambda: SGD(0.1, nesterov=True), "nesterov needs a momentum above 0"),
        (lambda: SGD(0.1, 0.9, nesterov=1), "nesterov must be True or False, got 1"),
        (lambda: SGD(0.1, weight_decay=-1), "weight_decay must be a number from 0 on, got -1"),
        (lambda: Adam(weight_decay=math.inf), "weight_decay must be a number from 0 on, got inf"),
        (lambda: AdamW(weight_decay="much"), "weight_decay must be a number from 0 on, got 'much'"),
        (lambda: AdamW(beta1=1), r"beta1 must be in \[0, 1\), got 1"),
        (lambda: AdaGrad(eps=0), "eps must be a positive number, got 0"),
        (lambda: AdaGrad(0), "learning_rate must be a positive number, got 0"),
        (lambda: RMSProp(alpha=1), r"alpha must be in \[0, 1\), got 1"),
        (lambda: RMSProp(eps=-1), "eps must be a positive number, got -1"),
        (lambda: RMSProp(momentum=True), r"momentum must be in \[0, 1\), got True"),
        (lambda: RMSProp(centered=0), "centered must be True or False, got 0"),
    ],
)
def test_numbers_that_cannot_be(make, said):
    with pytest.raises(ValueError, match=said):
        make()
