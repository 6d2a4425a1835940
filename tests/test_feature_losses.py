"""Losses over features: their definitions, written out, and PyTorch's where it is installed."""

import math
import re
from typing import NamedTuple

import numpy as np
import pytest
from helpers import Frozen, assert_close
from naive import complex_step, sigmoid
from test_losses import through_identity

import bptt
from bptt import AbsoluteError, BinaryCrossEntropy, DataError, Huber, ShapeError, SquaredError
from bptt.kernels.target import padded

RNG = np.random.default_rng(11)


def size(d):
    """|d|, which `complex_step` can differentiate."""
    return d * np.sign(d.real)


def huber(d, delta):
    return np.where(size(d).real <= delta, d**2 / 2, delta * (size(d) - delta / 2))


def binary(y, target):
    return -target * np.log(sigmoid(y)) - (1 - target) * np.log(sigmoid(-y))


class Case(NamedTuple):
    """A loss; the loss of each feature; PyTorch's name for it, and its options."""

    loss: bptt.Loss
    naive: object
    name: str
    options: dict


CASES = {
    "squared": Case(SquaredError(), lambda y, t: (y - t) ** 2, "MSELoss", {}),
    "absolute": Case(AbsoluteError(), lambda y, t: size(y - t), "L1Loss", {}),
    "huber": Case(Huber(), lambda y, t: huber(y - t, 1.0), "HuberLoss", {}),
    "narrow": Case(Huber(0.2), lambda y, t: huber(y - t, 0.2), "HuberLoss", {"delta": 0.2}),
    "binary": Case(BinaryCrossEntropy(), binary, "BCEWithLogitsLoss", {}),
    "binary sum": Case(BinaryCrossEntropy("sum"), binary, "BCEWithLogitsLoss", {}),
}


def over_features(values, loss):
    summed = getattr(loss, "features", "mean") == "sum"
    return values.sum(axis=-1) if summed else values.mean(axis=-1)


def an_example(outputs):
    """y, targets (4, 3, O), and a mask (4, 3)."""
    y, targets = RNG.normal(size=(4, 3, outputs)) * 2, RNG.random((4, 3, outputs))
    targets[RNG.random(targets.shape) < 0.3] = 0
    targets[RNG.random(targets.shape) < 0.3] = 1
    mask = RNG.random((4, 3)) < 0.6
    mask[0, 0] = True
    return y, targets, mask


@pytest.mark.parametrize("outputs", [1, 2, 5, 33])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name, outputs):
    loss, naive = CASES[name][:2]
    y, targets, mask = an_example(outputs)

    def mean(given):
        losses = over_features(naive(given["y"], targets), loss)
        return (losses * mask).sum(axis=(-2, -1)) / mask.sum()

    value, dy = through_identity(y, loss, targets, mask=mask)
    assert math.isclose(value, mean({"y": y}), rel_tol=1e-12)
    assert_close(dy, complex_step(mean, {"y": y})["y"], 1e-12)
    assert not dy[~mask].any()


@pytest.mark.parametrize("name", CASES)
def test_float32(name):
    loss = CASES[name].loss
    y, targets, mask = an_example(7)
    y, targets = y.astype(np.float32), targets.astype(np.float32)
    want, want_dy = through_identity(y, loss, targets, "float64", mask)
    value, dy = through_identity(y, loss, targets, "float32", mask)
    assert math.isclose(value, want, rel_tol=1e-6)
    assert_close(dy, want_dy, 1e-6)


@pytest.mark.parametrize("name", CASES)
def test_targets_of_the_last_steps_only(name):
    loss = CASES[name].loss
    y, targets, mask = an_example(5)
    value, dy = through_identity(y, loss, targets[1:], mask=mask[1:])
    want, want_dy = through_identity(y[1:], loss, targets[1:], mask=mask[1:])
    assert value == want
    assert not dy[0].any()
    assert np.array_equal(dy[1:], want_dy)


@pytest.mark.parametrize("name", CASES)
def test_two_workers_and_windows_that_overlap(name):
    """The trainer's updates, against gradients of whole windows with frozen parameters."""
    loss, x = CASES[name].loss, RNG.random((33, 4))
    layers = [bptt.RNN(4, 5), bptt.Linear(5, 4)]
    found = []
    for workers in (1, 2):
        trainer = bptt.Trainer(bptt.Model(layers, dtype="float64"), loss=loss, optimizer=Frozen(),
                               truncation=bptt.TBPTT(3, 20), workers=workers)  # fmt: skip
        stream = bptt.Stream(x, 2)
        found.append([(step.loss, step.grads.flat.copy()) for step in trainer.steps(stream)])
    model, (inputs, targets) = trainer.model, (x[i:][:32].reshape(2, 16, 4) for i in (0, 1))
    inputs, targets = inputs.swapaxes(0, 1), targets.swapaxes(0, 1)
    for i, (one, two) in enumerate(zip(*found, strict=True)):
        stop = min(3 * i + 3, 16)
        want = bptt.gradients(model, loss, inputs[:stop], targets[3 * i : stop])
        for value, grads in (one, two):
            assert math.isclose(value, want.loss, rel_tol=1e-12)
            assert_close(grads, want.params.flat, 1e-10)


@pytest.mark.parametrize("name", CASES)
def test_as_pytorch_live(name):
    torch = pytest.importorskip("torch")
    loss, _, theirs, options = CASES[name]
    y, targets, _ = an_example(6)
    tried = torch.tensor(y, requires_grad=True)
    each = getattr(torch.nn, theirs)(reduction="none", **options)(tried, torch.tensor(targets))
    over_features(each, loss).mean().backward()
    value, dy = through_identity(y, loss, targets)
    assert math.isclose(value, over_features(each, loss).mean().item(), rel_tol=1e-12)
    assert_close(dy, tried.grad, 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits_of_binary_features(dtype):
    y, loss = np.array([[[1e4, -1e4, 1e4, -1e4]]]), BinaryCrossEntropy("sum")
    value, dy = through_identity(y, loss, np.array([[[1.0, 0.0, 1.0, 0.0]]]), dtype)
    assert 0 <= value < 1e-30
    assert np.abs(dy).max() < 1e-30
    value, dy = through_identity(y, loss, np.array([[[0.0, 1.0, 1.0, 0.0]]]), dtype)
    assert value == 2e4
    assert_close(dy, [[[1, -1, 0, 0]]], 1e-30)


def test_very_many_binary_features():
    y, targets = RNG.normal(size=(2, 1, 1, 2048))
    y, targets = 0.01 * y, (targets > 0).astype(float)
    valid, dy = np.ones((1, 1), bool), np.empty_like(y)
    value = BinaryCrossEntropy("sum").run(y, 0, 2048, targets, valid, 0.5, dy)
    assert math.isclose(value, binary(y, targets).sum(), rel_tol=1e-13)
    assert_close(dy, 0.5 * (sigmoid(y) - targets), 1e-13)


def test_small_losses_of_binary_features_keep_their_digits():
    y, targets = np.full((1, 1, 1), 50.0), np.ones((1, 1, 1))
    value, dy = through_identity(y, BinaryCrossEntropy(), targets)
    assert math.isclose(value, math.exp(-50), rel_tol=1e-12)
    assert abs(dy.item()) < 1e-16


def test_where_a_loss_has_a_corner():
    y, targets = np.array([[[0.0, 1.0, -1.0, 3.0]]]), np.zeros((1, 1, 4))
    assert through_identity(y, AbsoluteError(), targets)[1].tolist() == [[[0, 0.25, -0.25, 0.25]]]
    assert through_identity(y, Huber(), targets)[1].tolist() == [[[0, 0.25, -0.25, 0.25]]]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_targets_that_are_not_finite(name, value):
    targets = np.zeros((2, 3, 4))
    targets[1, 2, 3] = value
    said = rf"targets\[1, 2, 3\] is {re.escape(f'{value}')}, (not a finite|too large for float32)"
    with pytest.raises(DataError, match=said):
        through_identity(np.zeros((2, 3, 4)), CASES[name].loss, targets, "float32")


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_binary_targets_outside_0_to_1(value):
    targets = np.zeros((2, 3, 4))
    targets[1, 2, 3] = value
    said = rf"targets\[1, 2, 3\] is {value}, but must be from 0 to 1"
    with pytest.raises(DataError, match=said):
        through_identity(np.zeros((2, 3, 4)), BinaryCrossEntropy(), targets)


@pytest.mark.parametrize("name", CASES)
def test_targets_of_another_kind(name):
    loss = CASES[name].loss
    said = f"{type(loss).__name__} takes float targets, got dtype int64"
    with pytest.raises(ShapeError, match=said):
        through_identity(np.zeros((2, 3, 4)), loss, np.zeros((2, 3), np.int64))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_not_finite_are_seen(name, value):
    y, loss = np.zeros((1, 1, padded(1, "float64"))), CASES[name].loss
    y[0, 0, 0] = value
    targets, valid = np.ones((1, 1, 1)), np.ones((1, 1), bool)
    with np.errstate(invalid="ignore"):
        found = loss.run(y, 0, 1, targets, valid, 1.0, np.zeros_like(y))
    assert not math.isfinite(found)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Huber(0), "delta must be a positive number, got 0"),
        (lambda: Huber(math.inf), "delta must be finite, got inf"),
        (lambda: BinaryCrossEntropy("max"), "features must be 'mean' or 'sum', got 'max'"),
    ],
)
def test_options_that_cannot_be(make, said):
    with pytest.raises(ValueError, match=said):
        make()
