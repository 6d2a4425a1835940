"""Clipping: what the optimizer is told to do with a gradient, and what is done unit by unit."""

import math

import numpy as np
import pytest
from helpers import a_model, a_stream, assert_close

from bptt import (
    GRU,
    L1,
    LSTM,
    SGD,
    TBPTT,
    AbsoluteError,
    Clip,
    ClipAdaptive,
    ClipNorm,
    ClipValue,
    CrossEntropy,
    Embedding,
    Linear,
    Residual,
    SquaredError,
    Stream,
    Trainer,
)
from bptt.clip import Clipping, Units


def test_a_norm_above_the_bound_is_scaled_to_it():
    assert ClipNorm(5.0).clipping(20.0) == Clipping(0.25, math.inf)
    assert ClipNorm(5).clipping(1e300) == Clipping(5 / 1e300, math.inf)


@pytest.mark.parametrize("norm", [0.0, 1e-30, 4.999, 5.0])
def test_a_norm_within_the_bound_is_left_alone(norm):
    assert ClipNorm(5.0).clipping(norm) == Clipping(1.0, math.inf)


@pytest.mark.parametrize("norm", [0.0, 1.0, 1e30])
def test_a_value_is_cut_off_whatever_the_norm(norm):
    assert ClipValue(0.5).clipping(norm) == Clipping(1.0, 0.5)


@pytest.mark.parametrize("bound", [0, -1.0, math.nan, True, None, "5", np.ones(2)])
@pytest.mark.parametrize(
    ("clip", "name"),
    [(ClipNorm, "norm"), (ClipValue, "value"), (ClipAdaptive, "ratio"), (ClipAdaptive, "eps")],
)
def test_bounds_are_positive_numbers(clip, name, bound):
    with pytest.raises(ValueError, match=f"{name} must be a positive number, got"):
        clip(**{name: bound})


STACKS = [
    [Embedding(6, 3), LSTM(3, 4), Residual(GRU(4, 4)), Linear(4, 6)],
    [Embedding(5, 1), LSTM(1, 17), Linear(17, 1)],
    [LSTM(3, 1), Linear(1, 2)],
]


def of_units(values, by_id):
    """The norm of each unit, to be spread over its numbers."""
    if max(values.shape) == values.size:
        return np.linalg.norm(values)
    return np.linalg.norm(values, axis=1 if by_id else 0, keepdims=True)


def adapted(model, grads, ratio, eps):
    """Equation 3 of the paper."""
    found = {}
    for name, g in grads.items():
        by_id = isinstance(model.layers[int(name[0])], Embedding)
        w, g = model.params[name].astype(np.float64), g.astype(np.float64)
        largest, norm = np.maximum(of_units(w, by_id), eps), of_units(g, by_id)
        over = norm / largest > ratio
        found[name] = np.where(over, ratio * largest / np.where(over, norm, 1) * g, g)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", STACKS, ids=str)
def test_units_are_clipped_one_by_one(layers, dtype):
    model = a_model(layers, dtype)
    rng = np.random.default_rng(1)
    grads, out = model.params.like(), model.params.like()
    for name, values in model.params.items():
        values[..., 0] *= 1e-9
        values[...] *= 10.0 ** rng.uniform(-1, 1, values.shape[-1])
        grads[name][...] = 10.0 ** rng.uniform(-4, 0, values.shape[-1])
    grads.flat *= rng.normal(size=grads.flat.size)
    before, there = grads.flat.copy(), model.params.flat.copy()
    clip, units = ClipAdaptive(0.03, 0.02), Units.of(model.layers, model.params)
    for _ in range(2):
        clip.clip(model.params, grads, units, out)
        wanted = adapted(model, grads, 0.03, 0.02)
        for name, values in wanted.items():
            np.testing.assert_allclose(
                out[name], values, rtol=3e-7 if dtype == "float32" else 1e-14
            )
    assert 0.1 < np.mean(out.flat == grads.flat) < 0.9
    assert np.array_equal(grads.flat, before)
    assert np.array_equal(model.params.flat, there)


def test_large_gradients_and_parameters_that_are_zero():
    model = a_model([Linear(3, 4)], "float32")
    model.params["0.W"][:, :2] = 0
    grads, out = model.params.like(), model.params.like()
    grads["0.W"][:, 1:] = 3e37
    ClipAdaptive(0.01).clip(model.params, grads, Units.of(model.layers, model.params), out)
    norms = np.linalg.norm(model.params["0.W"], axis=0)
    wanted = 0.01 * np.array([0, 1e-3, *norms[2:]])
    np.testing.assert_allclose(np.linalg.norm(out["0.W"], axis=0), wanted, rtol=1e-6)
    assert not out["0.b"].any()


@pytest.mark.parametrize("size", [1e-170, 1e-140, 1.0, 1e160, 1e300])
def test_units_of_any_size(size):
    model = a_model([Linear(3, 4)])
    model.params.flat[:] = size
    grads, out = model.params.like(), model.params.like()
    grads.flat[:] = np.array([-2.0, 1.0] * 8) * size
    clip = ClipAdaptive(0.5, 1e-200)
    with np.errstate(over="ignore", under="ignore"):
        clip.clip(model.params, grads, Units.of(model.layers, model.params), out)
    unit = Linear(3, 4).shapes()
    scaled = {name: (grads[f"0.{name}"] / size).reshape(unit[name]) for name in unit}
    for name, g in scaled.items():
        wanted = 0.5 * g / np.linalg.norm(g, axis=0) * np.sqrt(len(g))
        np.testing.assert_allclose(out[f"0.{name}"] / size, wanted, rtol=1e-13)


@pytest.mark.parametrize("regularizers", [[], [L1(1e-44)]], ids=["", "penalty"])
@pytest.mark.parametrize(
    ("dtype", "x", "target", "loss", "bound"),
    [
        ("float32", 3e37, 1.0, AbsoluteError(), 1e-3),
        ("float64", 3e170, 1.0, AbsoluteError(), 1e-3),
        ("float64", 3.0, 1e-200, SquaredError(), 1e-201),
    ],
)
def test_a_gradient_of_any_size_is_scaled_to_the_bound(dtype, x, target, loss, bound, regularizers):
    model = a_model([Linear(1, 2)], dtype)
    model.params.flat[:] = 0
    trainer = Trainer(
        model, loss=loss, optimizer=SGD(1.0), truncation=TBPTT(1, 1), clip=ClipNorm(bound),
        regularizers=regularizers,
    )  # fmt: skip
    with np.errstate(over="ignore", under="ignore"):
        step = next(trainer.steps(Stream(np.array([[x]]), 1, np.array([[-target, target / 2]]))))
    grads = step.grads.flat.astype(np.longdouble)
    norm = np.sqrt((grads**2).sum())
    np.testing.assert_allclose(step.grad_norm, float(norm), rtol=1e-13)
    wanted = (-grads / norm * bound).astype(float)
    np.testing.assert_allclose(model.params.flat[:2], wanted[:2], rtol=1e-5)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("layers", STACKS[:2], ids=str)
def test_what_an_update_does_with_it(layers, workers):
    model = a_model(layers)
    loss = CrossEntropy() if model.n_out > 1 else SquaredError()
    stream, _ = a_stream(model, loss, 40, 3)
    trainer = Trainer(
        model, loss=loss, optimizer=SGD(0.5), truncation=TBPTT(3, 5), clip=ClipAdaptive(0.02),
        workers=workers,
    )  # fmt: skip
    before = model.params.copy()
    for step in trainer.steps(stream):
        assert np.isclose(step.grad_norm, np.linalg.norm(step.grads.flat), rtol=1e-12)
        after, moved = model.params.copy(), model.params.copy()
        model.params.flat[:] = before.flat
        for name, g in adapted(model, step.grads, 0.02, 1e-3).items():
            moved[name] = before[name] - 0.5 * g
        assert_close(after.flat, moved.flat, 1e-13)
        assert not np.allclose(after.flat, before.flat - 0.5 * step.grads.flat, rtol=1e-3)
        model.params.flat[:] = after.flat
        before = after


def test_a_clip_that_leaves_both_ways_open():
    class Mine(Clip):
        def clipping(self, norm):
            return None

    with pytest.raises(NotImplementedError, match="Mine does not say how it clips"):
        Mine().clip(None, None, None, None)
