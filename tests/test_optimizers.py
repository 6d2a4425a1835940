"""Optimizers: one update, written out; that they agree with PyTorch's is in test_torch.py."""

import math

import numpy as np
import pytest

from bptt import SGD, Adam, Exponential
from bptt.clip import Clipping

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


@pytest.mark.parametrize("optimizer", [SGD(1.0), SGD(1.0, 0.9), Adam()], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clipping_inside_is_clipping_before(optimizer, dtype):
    grads = RNG.normal(size=(4, 9)).astype(dtype)
    inside, _ = run(optimizer, grads, dtype, Clipping(0.5, 0.3))
    before, _ = run(optimizer, np.clip(grads * 0.5, -0.3, 0.3).astype(dtype), dtype)
    np.testing.assert_allclose(inside, before, rtol=1e-6)
    assert inside.dtype == dtype


def test_the_gradient_is_left_alone():
    grads = RNG.normal(size=(2, 5))
    copy = grads.copy()
    run(Adam(), grads, clipping=Clipping(0.1, 0.1))
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
    ],
)
def test_numbers_that_cannot_be(make, said):
    with pytest.raises(ValueError, match=said):
        make()
