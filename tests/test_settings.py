"""What a trainer is told between two updates holds from the next on."""

import math
from dataclasses import replace

import naive
import numpy as np
import pytest
from helpers import Frozen, a_model, a_trainer, plain
from toolbox import OPTIMIZERS

import bptt
from bptt import (
    L2,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    Adam,
    AdaptiveTBPTT,
    Callback,
    ClipNorm,
    Cosine,
    CrossEntropy,
    CSVLog,
    EarlyStopping,
    FullBPTT,
    Linear,
    OnPlateau,
    SquaredError,
    Stream,
    Trainer,
    WarmUp,
    WeightNoise,
)
from bptt.clip import UNCLIPPED

IDS = np.random.default_rng(0).integers(0, 6, 60)
STREAM = Stream(IDS, 3)
"""Five updates of four steps a pass."""

WRONG = [
    ({"loss": "mse"}, TypeError, "loss must be a Loss, got 'mse'"),
    ({"optimizer": 1e-3}, TypeError, "optimizer must be a Optimizer"),
    ({"truncation": (5, 5)}, TypeError, "truncation must be a Truncation"),
    ({"optimizer": Adam(eps=1e-60)}, ValueError, "eps of Adam is 1e-60, which is 0.0 in float32"),
    ({"clip": ClipNorm(1e-60)}, ValueError, "norm of ClipNorm is 1e-60, which is 0.0 in float32"),
    ({"truncation": TBPTT(2, 2, clip_delta=1e-60)}, ValueError, "clip_delta is 1e-60, which is 0"),
    ({"clip": 5.0}, TypeError, "clip must be a Clip or None, got 5.0"),
    ({"regularizers": [3]}, TypeError, "regularizers must be penalties or noise, got 3"),
    ({"regularizers": [L2(0.1, "9.W")]}, ValueError, "names '9.W'"),
    ({"callbacks": EarlyStopping(3)}, TypeError, "callbacks must be a list of Callbacks"),
    ({"workers": 0}, ValueError, "workers must be a positive integer or None, got 0"),
    ({"workers": 1.0}, ValueError, "workers must be a positive integer or None"),
    ({"workers": True}, ValueError, "workers must be a positive integer or None"),
    ({"seed": -1}, ValueError, "seed must be a non-negative integer of at most 64 bits, got -1"),
]


@pytest.mark.parametrize(("change", "error", "said"), WRONG)
def test_what_cannot_be_is_refused_as_by_the_constructor(change, error, said):
    with pytest.raises(error, match=said):
        a_trainer("float32", **change)
    trainer, whole = (a_trainer("float32") for _ in range(2))
    next(trainer.steps(STREAM))
    ((name, value),) = change.items()
    before = getattr(trainer, name)
    with pytest.raises(error, match=said):
        setattr(trainer, name, value)
    assert getattr(trainer, name) is before
    list(trainer.steps(STREAM))
    list(whole.steps(STREAM))
    assert np.array_equal(trainer.model.params.flat, whole.model.params.flat)


def test_the_model_stays():
    with pytest.raises(AttributeError):
        a_trainer().model = a_model([LSTM(3, 4)])
    with pytest.raises(TypeError, match="model must be a Model"):
        Trainer([LSTM(3, 4)], loss=CrossEntropy(), optimizer=SGD(1), truncation=TBPTT(1, 1))


def loaded(trainer, tmp_path):
    trainer.save(tmp_path / "trainer")
    return Trainer.load(tmp_path / "trainer")


@pytest.mark.parametrize("over_a_file", [False, True])
def test_a_new_learning_rate_begins_and_moments_stay(tmp_path, over_a_file):
    trainer = a_trainer(optimizer=Adam(OnPlateau(0.1, 0.1, 0)))
    trainer.fit(STREAM, 3, STREAM, progress=False)
    trainer.descent.memo = {**trainer.schedule_memo, "rate": 1e-4}
    trainer = loaded(trainer, tmp_path) if over_a_file else trainer
    assert next(trainer.steps(STREAM)).rate == 1e-4
    moments, steps = {n: m.copy() for n, m in trainer.moments.items()}, trainer.n
    for rate in (OnPlateau(1e-3), WarmUp(4, Cosine(8e-3, 0, 10)), 5e-3):
        trainer.optimizer = replace(trainer.optimizer, learning_rate=rate)
        params, taken = trainer.model.params.flat.copy(), trainer.n
        step = next(trainer.steps(STREAM))
        assert step.rate == (rate if isinstance(rate, float) else rate.rate(0, 0))
        steps += 1
        Adam().update(params, step.grads.flat, moments, steps, step.rate, UNCLIPPED)
        assert np.array_equal(trainer.model.params.flat, params)
        assert trainer.n == taken + 1


def test_the_same_learning_rate_goes_on():
    trainer = a_trainer(optimizer=Adam(Cosine(0.1, 0, 10)))
    next(trainer.steps(STREAM))
    trainer.optimizer = Adam(Cosine(0.1, 0, 10), beta1=0.5)
    assert trainer.rate == Cosine(0.1, 0, 10).rate(1, 0)
    assert next(trainer.steps(STREAM)).rate == Cosine(0.1, 0, 10).rate(1, 0)


def test_epochs_of_a_schedule_count_from_where_it_was_set(tmp_path):
    trainer = a_trainer()
    trainer.fit(STREAM, 2, progress=False)
    trainer.optimizer = SGD(bptt.Exponential(0.4, 0.5))
    assert [next(trainer.steps(STREAM)).rate for _ in range(5)] == [0.4] * 5
    trainer = loaded(trainer, tmp_path)
    assert next(trainer.steps(STREAM)).rate == 0.2


@pytest.mark.parametrize("before", ["sgd", "adam", "adagrad"])
@pytest.mark.parametrize("after", OPTIMIZERS)
def test_another_optimizer_begins_as_in_a_new_trainer(before, after):
    trainer, optimizer = a_trainer(optimizer=OPTIMIZERS[before]), OPTIMIZERS[after]
    list(trainer.steps(STREAM))
    params, stays = trainer.model.params.flat.copy(), type(optimizer) is type(OPTIMIZERS[before])
    steps = trainer.n if stays else 0
    moments = {n: trainer.moments[n].copy() if stays else 0 * params for n in optimizer.moments}
    trainer.optimizer = optimizer
    for _ in range(3):
        step, steps = next(trainer.steps(STREAM)), steps + 1
        optimizer.update(params, step.grads.flat, moments, steps, step.rate, UNCLIPPED)
        assert np.array_equal(trainer.model.params.flat, params)
    assert np.isfinite(trainer.watch().parameters["0.W"].update)


def test_a_new_loss_is_the_one_that_is_evaluated_too():
    model = a_model([LSTM(2, 3), Linear(3, 2)])
    x, y = np.random.default_rng(0).normal(size=(2, 20, 2))
    stream = Stream(x, 1, y)
    first, second = (
        Trainer(model, loss=loss, optimizer=Frozen(), truncation=FullBPTT(), workers=1)
        for loss in (SquaredError(), bptt.Huber(0.1))
    )
    first.evaluate(stream)
    first.loss = second.loss
    assert first.evaluate(stream) == second.evaluate(stream)
    assert next(first.steps(stream)).loss == next(second.steps(stream)).loss


TRUNCATIONS = [TBPTT(3, 7), TBPTT(5, 5), TBPTT(2, 9, memory="sqrt"), AdaptiveTBPTT(0.5, 4, k1=2)]


@pytest.mark.filterwarnings("ignore:.*does not decay:RuntimeWarning")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("after", TRUNCATIONS, ids=str)
@pytest.mark.parametrize("before", TRUNCATIONS, ids=str)
def test_in_the_middle_of_a_pass_another_truncation_takes_up_the_state(
    before, after, workers, tmp_path
):
    """And reaches back to there at most; also over a file."""
    layers = [RNN(2, 3), LSTM(3, 4), Linear(4, 2)]
    model, rng = a_model(layers), np.random.default_rng(0)
    x, y = rng.normal(size=(2, 40, 2, 2))
    stream = Stream(x.swapaxes(0, 1).reshape(-1, 2), 2, y.swapaxes(0, 1).reshape(-1, 2))
    trainer = Trainer(model, loss=SquaredError(), optimizer=SGD(1e-300), truncation=before,
                      workers=workers)  # fmt: skip
    start = sum(next(trainer.steps(stream)).k1 for _ in range(3))
    trainer.truncation, switched = after, start
    assert trainer.memo == {}
    trainer = loaded(trainer, tmp_path)
    for _ in range(4):
        step = next(trainer.steps(stream))
        new = slice(start, start + step.k1)
        back = min(step.k2, new.stop - switched)
        there = np.ones((40, 2), bool)
        wanted = naive.update(layers, plain(model.params), x, y, there, new, back)
        for name, gradient in wanted.params.items():
            np.testing.assert_allclose(step.grads[name], gradient, atol=1e-12)
        start = new.stop


def test_a_truncation_that_cannot_be_had_changes_nothing():
    trainer, whole = (a_trainer(truncation=TBPTT(2, 5)) for _ in range(2))
    for one in (trainer, whole):
        next(one.steps(STREAM))
    with pytest.raises(ValueError, match="memory=1e-06 MB is too little"):
        trainer.truncation = TBPTT(2, 5, memory=1e-6)
    assert trainer.truncation == whole.truncation
    for a, b in zip(trainer.steps(STREAM), whole.steps(STREAM), strict=True):
        assert a.grads.flat.tobytes() == b.grads.flat.tobytes()
    whole = Trainer(a_model([bptt.Bidirectional(LSTM(2, 3))]), loss=SquaredError(),
                    optimizer=SGD(0.1), truncation=FullBPTT())  # fmt: skip
    with pytest.raises(ValueError, match="cuts those"):
        whole.truncation = AdaptiveTBPTT(0.5, 4)
    assert whole.truncation == FullBPTT()


def test_other_workers_go_on_to_rounding():
    trainer, whole = a_trainer(), a_trainer()
    for n, (a, b) in enumerate(zip(trainer.steps(STREAM), whole.steps(STREAM), strict=True)):
        assert math.isclose(a.loss, b.loss, rel_tol=1e-12)
        trainer.workers = 1 + n % 2
    assert trainer.evaluate(STREAM) == pytest.approx(whole.evaluate(STREAM), rel=1e-12)
    trainer.evaluate(STREAM)


def test_regularizers_and_clip_hold_from_the_next_update_on():
    noisy, trainer = a_trainer(regularizers=[WeightNoise(0.1)]), a_trainer()
    trainer.regularizers = [WeightNoise(0.1)]
    assert next(trainer.steps(STREAM)).loss == next(noisy.steps(STREAM)).loss
    trainer.regularizers = []
    assert trainer.regularizers == ()
    trainer.clip, params = ClipNorm(1e-3), trainer.model.params.flat.copy()
    next(trainer.steps(STREAM))
    moved = np.linalg.norm(trainer.model.params.flat - params)
    assert moved == pytest.approx(0.1 * 1e-3, rel=1e-9)
    assert trainer.history.clip_norm == 1e-3
    trainer.clip = None
    assert trainer.history.clip_norm is None


class Counting(Callback):
    def begin(self, trainer, memo):
        return {"begun": memo.get("begun", 0) + 1, "updates": memo.get("updates", 0)}

    def after_update(self, trainer, step, memo):
        return {**memo, "updates": memo["updates"] + 1}


def test_other_callbacks_begin_before_the_next_update_and_take_over_memos(tmp_path):
    trainer = a_trainer(callbacks=[Counting()])
    for step in trainer.steps(STREAM):
        if step.n == 2:
            trainer.callbacks = [CSVLog(tmp_path / "log", every_updates=1), Counting()]
    assert trainer.callbacks.memos[1] == {"begun": 2, "updates": 5}
    assert (tmp_path / "log").read_text().count("\n") == 1 + 3
