"""Trainer: what an update is, fit and evaluate, and errors before anything has changed."""

import math
from itertools import pairwise

import naive
import numpy as np
import pytest
from helpers import Frozen, a_trainer, assert_all_close, plain

import bptt
from bptt import (
    RNN,
    SGD,
    TBPTT,
    Adam,
    ClipNorm,
    ClipValue,
    Exponential,
    Linear,
    NonFiniteError,
    SquaredError,
    Stream,
)

RNG = np.random.default_rng(9)
IDS = RNG.integers(0, 6, 60)


def test_an_update_is_clip_and_step_on_the_gradient_it_reports():
    trainer = a_trainer(optimizer=SGD(0.5, momentum=0.9), clip=ClipNorm(0.05), workers=2)
    velocity = 0
    before = trainer.model.params.flat.copy()
    for n, step in enumerate(trainer.steps(Stream(IDS, 3)), start=1):
        assert (step.n, trainer.n, step.targets) == (n, n, 59 - 48 if n == 5 else 12)
        norm = np.linalg.norm(step.grads.flat)
        assert math.isclose(step.grad_norm, norm, rel_tol=1e-12)
        assert norm > 0.05
        velocity = 0.9 * velocity + step.grads.flat * 0.05 / norm
        before = before - 0.5 * velocity
        np.testing.assert_allclose(trainer.model.params.flat, before, rtol=1e-12)
    assert n == 5
    assert trainer.epoch == 1


def test_plain_training_by_hand():
    """Full passes of SGD with carried state, against the oracle run with moving parameters."""
    trainer = a_trainer()
    params = plain(trainer.model.params)
    (x, there), (targets, _) = naive.lanes(IDS[:-1], 3), naive.lanes(IDS[1:], 3)
    layers = trainer.model.layers
    for _ in range(2):
        state = naive.zero_state(layers, 3)
        steps = trainer.steps(Stream(IDS, 3))
        for start, step in zip(range(0, 16, 4), steps, strict=False):
            window = slice(start, start + 4)
            wanted = naive.backward(
                layers, params, x[window], targets[window], state, there[window]
            )
            _, state = naive.forward(layers, params, x[window], state)
            params = {n: p - 0.1 * wanted.params[n] for n, p in params.items()}
            assert math.isclose(step.loss, wanted.loss, rel_tol=1e-10)
            assert_all_close(trainer.model.params, params, 1e-10)
        trainer.restart()


def test_training_learns_to_copy_a_cycle():
    ids = np.tile(np.arange(6), 40)
    trainer = a_trainer("float32", optimizer=Adam(0.03), clip=ClipValue(0.5), workers=2)
    history = trainer.fit(Stream(ids, 4), epochs=6, validation=Stream(ids, 2), progress=False)
    assert history.validation_loss[-1] < 0.2 < history.validation_loss[0]
    assert history.best.loss == min(history.validation_loss)


def test_the_history_of_fit():
    trainer, train, valid = a_trainer(clip=ClipNorm(2.0)), Stream(IDS, 3), Stream(IDS[:20], 2)
    history = trainer.fit(train, epochs=2, validation=valid, progress=False)
    assert history is trainer.history
    assert history.clip_norm == 2.0
    assert list(history.update) == list(range(1, 11))
    assert list(history.epoch_update) == [5, 10]
    assert (np.diff(history.seconds) > 0).all()
    targets = np.array([12, 12, 12, 12, 11])
    losses = np.array(history.loss).reshape(2, 5)
    np.testing.assert_allclose(history.train_loss, losses @ targets / 59, rtol=1e-12)
    assert math.isclose(history.validation_loss[-1], trainer.evaluate(valid), rel_tol=1e-15)
    trainer.fit(train, epochs=np.int64(1), progress=False)
    assert len(history.update) == 15
    assert math.isnan(history.validation_loss[-1])


def test_the_progress_bar_goes_to_the_error_output(capsys):
    a_trainer().fit(Stream(IDS, 3), epochs=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert "20/20" in err
    a_trainer().fit(Stream(IDS, 3), epochs=1, progress=False)
    assert "20/20" not in capsys.readouterr().err


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("pairs", "batch"), [(200, 1), (200, 3), (14, 3), (3, 3)])
def test_evaluate_is_the_mean_over_all_targets(pairs, batch, workers):
    trainer = a_trainer(workers=workers)
    ids, targets = RNG.integers(0, 6, pairs), RNG.integers(-1, 6, pairs)
    targets[0] = 1
    (x, there), (laid, _) = naive.lanes(ids, batch), naive.lanes(targets, batch)
    model = trainer.model
    y, _ = naive.forward(
        model.layers, plain(model.params), x, naive.zero_state(model.layers, batch)
    )
    before = model.params.flat.copy()
    wanted = naive.mean_loss(y, laid, there)
    for _ in range(2):
        assert math.isclose(trainer.evaluate(Stream(ids, batch, targets)), wanted, rel_tol=1e-12)
    assert np.array_equal(model.params.flat, before)
    assert trainer.n == trainer.epoch == 0


def test_evaluating_in_the_middle_of_a_pass_changes_nothing():
    plainly, looking = (a_trainer(truncation=TBPTT(2, 5), workers=2) for _ in range(2))
    stream = Stream(IDS, 3)
    for _ in plainly.steps(stream):
        pass
    for _ in looking.steps(stream):
        looking.evaluate(stream)
        looking.evaluate(Stream(IDS, 1))
    assert np.array_equal(plainly.model.params.flat, looking.model.params.flat)


def test_a_pass_left_early_goes_on_where_it_was():
    whole, parts = a_trainer(truncation=TBPTT(3, 5)), a_trainer(truncation=TBPTT(3, 5))
    wanted = [step.loss for step in whole.steps(Stream(IDS, 3))]
    losses = []
    for step in parts.steps(Stream(IDS, 3)):
        losses.append(step.loss)
        if step.n == 3:
            break
    losses += [step.loss for step in parts.steps(Stream(IDS, 3))]
    assert losses == wanted
    assert parts.epoch == 1


@pytest.mark.parametrize("how", ["restart", "another stream"])
def test_a_pass_that_is_forgotten_begins_again(how):
    trainer = a_trainer(optimizer=Frozen())
    first = next(trainer.steps(Stream(IDS, 3))).loss
    if how == "restart":
        trainer.restart()
    else:
        next(trainer.steps(Stream(IDS, 2)))
    assert next(trainer.steps(Stream(IDS, 3))).loss == first


def test_two_iterators_over_one_pass_take_every_loss_once():
    alone, shared = a_trainer(), a_trainer()
    wanted = [step.loss for step in alone.steps(Stream(IDS, 3))]
    first, second = shared.steps(Stream(IDS, 3)), shared.steps(Stream(IDS, 3))
    losses = [next(first).loss, next(second).loss, *(step.loss for step in first)]
    assert losses == wanted


def test_the_learning_rate_follows_the_epochs():
    trainer = a_trainer(optimizer=SGD(Exponential(1.0, 0.5)))
    for epoch in range(3):
        before = trainer.model.params.flat.copy()
        step = next(trainer.steps(Stream(IDS[:13], 3)))
        moved = before - trainer.model.params.flat
        np.testing.assert_allclose(moved, 0.5**epoch * step.grads.flat, atol=1e-12)


def test_an_update_without_targets_changes_nothing():
    targets = np.full(24, -1)
    targets[:4] = targets[16:] = 1
    trainer = a_trainer(optimizer=Adam(0.1))
    params = [trainer.model.params.flat.copy()]
    steps = []
    for step in trainer.steps(Stream(IDS[:24], 1, targets)):
        steps.append(step)
        params.append(trainer.model.params.flat.copy())
    assert [step.targets for step in steps] == [4, 0, 0, 0, 4, 4]
    assert math.isnan(steps[1].loss)
    changed = [not np.array_equal(a, b) for a, b in pairwise(params)]
    assert changed == [True, False, False, False, True, True]
    trainer.fit(Stream(IDS[:24], 1, targets), 1, progress=False)
    valid = [loss for loss in trainer.history.loss if not math.isnan(loss)]
    assert math.isclose(trainer.history.train_loss[0], np.mean(valid), rel_tol=1e-12)
    assert math.isnan(trainer.evaluate(Stream(IDS[:24], 1, np.full(24, -1))))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.filterwarnings("ignore:(overflow|invalid|divide).* encountered:RuntimeWarning")
@pytest.mark.parametrize(
    ("weights", "where", "said"),
    [
        ({"0.Wh": 1e30}, "0 (RNN)", "the output of layer 0"),
        ({"1.W": 1e38, "0.Wx": 1e5}, "1 (Linear)", "the output of layer 1"),
        ({"1.W": 1e30, "0.Wx": 1e-15, "0.Wh": 0.0}, "0 (RNN)", "the gradient of 0.b"),
    ],
)
def test_what_is_not_finite_stops_at_its_layer(weights, where, said, workers):
    model = bptt.Model([RNN(1, 2, "identity"), Linear(2, 1)])
    trainer = bptt.Trainer(
        model,
        loss=SquaredError(),
        optimizer=Adam(1e-3),
        truncation=TBPTT(3, 3),
        workers=workers,
    )
    data = np.ones(24, np.float32)
    stream = Stream(data, 2, targets=data)
    steps = trainer.steps(stream)
    next(steps)
    for name, value in weights.items():
        model.params[name][:] = value
    before, moments = model.params.flat.copy(), trainer.moments["m"].copy()
    with pytest.raises(NonFiniteError, match=f"update 2: {said}.* after update 1") as caught:
        next(steps)
    assert (caught.value.update, caught.value.where) == (2, where)
    assert np.array_equal(model.params.flat, before)
    assert np.array_equal(trainer.moments["m"], moments)
    assert trainer.n == 1
    model.params.flat[:] = 0.1
    assert [step.n for step in trainer.steps(stream)] == [2, 3, 4, 5]


@pytest.mark.parametrize("epochs", [0, -1, 1.5, True, None])
def test_epochs_are_positive_integers(epochs):
    with pytest.raises(ValueError, match="epochs must be a positive integer, got"):
        a_trainer().fit(Stream(IDS, 3), epochs)
