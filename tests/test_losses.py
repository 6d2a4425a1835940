"""Losses: value and gradient, against the oracle, from the smallest logits to the largest."""

import math

import naive
import numpy as np
import pytest
from helpers import Frozen, a_trainer, assert_close

import bptt
from bptt import CrossEntropy, Linear, Model, SquaredError
from bptt.kernels.target import padded
from bptt.losses import LOSSES

RNG = np.random.default_rng(8)


def through_identity(y, loss, targets, dtype="float64", mask=None):
    """Loss of outputs ``y`` (T, B, O) and its gradient by them."""
    size = y.shape[2]
    model = Model([Linear(size, size)], dtype=dtype)
    model.params["0.W"] = np.eye(size)
    found = bptt.gradients(model, loss, y.astype(dtype), targets, mask=mask)
    return found.loss, found.x


def slope(y, targets, mask=None):
    def value(tried):
        return naive.mean_loss(tried["y"], targets, mask)

    return naive.complex_step(value, {"y": y})["y"]


@pytest.mark.parametrize("outputs", [1, 2, 5, 16, 33])
@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 30.0])
def test_cross_entropy(outputs, scale):
    y, targets = RNG.normal(size=(3, 2, outputs)) * scale, RNG.integers(-1, outputs, (3, 2))
    targets[0, 0] = 0
    loss, dy = through_identity(y, CrossEntropy(), targets)
    assert math.isclose(loss, naive.mean_loss(y, targets), rel_tol=1e-12, abs_tol=1e-15)
    np.testing.assert_allclose(dy, slope(y, targets), atol=1e-15)


def smoothed(y, targets, smoothing):
    """Mean cross-entropy with the distribution of a smoothed target."""
    wanted = smoothing / y.shape[-1] + (1 - smoothing) * (
        targets[..., None] == np.arange(y.shape[-1])
    )
    log_p = y - np.log(np.exp(y).sum(axis=-1, keepdims=True))
    valid = targets >= 0
    return (-(wanted * log_p).sum(axis=-1) * valid).sum(axis=(-2, -1)) / valid.sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("outputs", [1, 2, 5, 33])
@pytest.mark.parametrize("smoothing", [0, 0.1, 0.75])
def test_label_smoothing(smoothing, outputs, dtype):
    y, targets = RNG.normal(size=(3, 2, outputs)), RNG.integers(-1, outputs, (3, 2))
    targets[0, 0] = 0
    y, rel = y.astype(dtype), {"float32": 1e-6, "float64": 1e-12}[dtype]
    loss, dy = through_identity(y, CrossEntropy(smoothing), targets, dtype)
    y = y.astype(np.float64)
    want = naive.complex_step(lambda tried: smoothed(tried["y"], targets, smoothing), {"y": y})["y"]
    assert math.isclose(loss, smoothed(y, targets, smoothing), rel_tol=rel, abs_tol=rel)
    np.testing.assert_allclose(dy, want, atol=rel)
    assert not dy[targets < 0].any()


def test_evaluation_goes_without_smoothing():
    """In `evaluate` and in the validation of `fit`; training is with it."""
    ids = np.random.default_rng(0).integers(0, 6, 40)
    stream = bptt.Stream(ids, 2)
    smooth, plain = (
        a_trainer(loss=loss, optimizer=Frozen()) for loss in (CrossEntropy(0.3), CrossEntropy())
    )
    wanted = plain.evaluate(stream)
    assert smooth.evaluate(stream) == wanted
    history = smooth.fit(stream, 1, stream, progress=False)
    assert history.validation_loss[0] == wanted
    assert math.isclose(plain.fit(stream, 1, progress=False).train_loss[0], wanted)
    assert abs(history.train_loss[0] - wanted) > 0.01


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_label_smoothing_as_pytorch_live(smoothing):
    torch = pytest.importorskip("torch")
    y, targets = RNG.normal(size=(3, 2, 5)) * 3, RNG.integers(0, 5, (3, 2))
    tried = torch.tensor(y.reshape(6, 5), requires_grad=True)
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)
    wanted = theirs(tried, torch.tensor(targets.ravel()))
    wanted.backward()
    loss, dy = through_identity(y, CrossEntropy(smoothing), targets)
    assert math.isclose(loss, wanted.item(), rel_tol=1e-12)
    np.testing.assert_allclose(dy, tried.grad.reshape(3, 2, 5), atol=1e-15)


@pytest.mark.parametrize("smoothing", [1, -0.1, "much", True])
def test_smoothing_that_cannot_be(smoothing):
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\), got"):
        CrossEntropy(smoothing)


@pytest.mark.parametrize("outputs", [1, 2, 5, 33])
def test_squared_error(outputs):
    y, targets = RNG.normal(size=(2, 3, 2, outputs))
    mask = np.array([[True, False], [True, True], [False, True]])
    loss, dy = through_identity(y, SquaredError(), targets, mask=mask)
    assert math.isclose(loss, naive.mean_loss(y, targets, mask), rel_tol=1e-12)
    assert_close(dy, slope(y, targets, mask), 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits_neither_overflow_nor_lose_the_loss(dtype):
    y = np.array([[[1e4, 0.0, -1e4]], [[-1e4, -1e4 + 1, 1e4]]])
    loss, dy = through_identity(y, CrossEntropy(), np.array([[0], [2]]), dtype)
    assert loss == 0
    assert np.abs(dy).max() < 1e-30
    loss, dy = through_identity(y, CrossEntropy(), np.array([[2], [0]]), dtype)
    assert loss == 2e4
    assert_close(dy, [[[0.5, 0, -0.5]], [[-0.5, 0, 0.5]]], 1e-6)


@pytest.mark.parametrize("shift", [100, -100, -1000])
def test_a_shift_of_all_logits_changes_nothing(shift):
    y, targets = RNG.normal(size=(3, 2, 5)), RNG.integers(0, 5, (3, 2))
    loss, dy = through_identity(y, CrossEntropy(), targets)
    moved, moved_dy = through_identity(y + shift, CrossEntropy(), targets)
    assert math.isclose(loss, moved, rel_tol=1e-12)
    np.testing.assert_allclose(dy, moved_dy, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("outputs", [1, 3, 8, 21])
def test_cross_entropy_reads_no_padding_and_leaves_zeros_there(outputs, dtype):
    width = padded(outputs, dtype)
    y = np.full((3, 2, width), np.nan, dtype)
    y[..., :outputs] = RNG.normal(size=(3, 2, outputs))
    targets = RNG.integers(0, outputs, (2, 2)).astype(np.int32)
    dy, valid = np.full(y.shape, 99, dtype), np.ones((2, 2), bool)
    valid[0, 1] = False
    loss = CrossEntropy().run(y, 1, outputs, targets, valid, 0.5, dy)
    inside = y[1:, :, :outputs].astype(np.float64)
    assert math.isclose(loss, 3 * naive.mean_loss(inside, targets, valid), rel_tol=1e-6)
    np.testing.assert_allclose(dy[1:, :, :outputs], 1.5 * slope(inside, targets, valid), atol=1e-7)
    assert not dy[1:, :, outputs:].any()
    assert np.all(dy[0] == 99)


def test_losses_of_more_steps_than_one_logarithm_can_hold():
    y, targets = RNG.normal(size=(150, 4, 40)), RNG.integers(0, 40, (150, 4))
    loss, _ = through_identity(y, CrossEntropy(), targets)
    assert math.isclose(loss, naive.mean_loss(y, targets), rel_tol=1e-13)


@pytest.mark.parametrize("loss", [CrossEntropy(), SquaredError()], ids=str)
def test_the_mean_is_over_the_valid_targets_only(loss):
    y, mask = RNG.normal(size=(4, 3, 5)), RNG.random((4, 3)) < 0.5
    takes_ids = isinstance(loss, CrossEntropy)
    targets = RNG.integers(0, 5, (4, 3)) if takes_ids else RNG.normal(size=(4, 3, 5))
    value, dy = through_identity(y, loss, targets, mask=mask)
    assert math.isclose(value, naive.losses(y, targets)[mask].mean(), rel_tol=1e-12)
    assert not dy[~mask].any()
    assert np.abs(dy[mask]).min() > 0


@pytest.mark.parametrize("value", [1e8, 1e15, 1e20])
def test_large_differences_in_float32(value):
    y, targets = np.zeros((1, 1, 2)), np.full((1, 1, 2), value)
    loss, dy = through_identity(y, SquaredError(), targets, "float32")
    assert math.isclose(loss, value**2, rel_tol=1e-6)
    assert_close(dy, -targets, 1e-6)


def test_losses_are_named_by_their_classes():
    names = {"CrossEntropy", "BinaryCrossEntropy", "SquaredError", "AbsoluteError", "Huber"}
    assert {name: type(loss()).__name__ for name, loss in LOSSES.items()} == {n: n for n in names}


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint64", ">i4"])
def test_ids_of_any_integer_type(dtype):
    y = RNG.normal(size=(2, 2, 3))
    targets = np.array([[0, 2], [1, 1]])
    got = through_identity(y, CrossEntropy(), targets.astype(dtype))[0]
    assert got == through_identity(y, CrossEntropy(), targets)[0]
