"""Windows whose length, stream or memory changes or does not fit."""

import naive
import numpy as np
import pytest
from helpers import Frozen, a_model, an_input, assert_close, assert_update, plain

import bptt
from bptt import (
    ARTBP,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    AdaptiveTBPTT,
    CrossEntropy,
    Embedding,
    FullBPTT,
    Linear,  # fmt: skip
    NonFiniteError,
    SquaredError,
    Stream,
    Trainer,
)
from bptt.kernels.compile import JIT


def driven(optimizer, **options):
    """A network that forgets where its input is 0, and remembers where it is not."""
    model = a_model([LSTM(1, 3), Linear(3, 2)])
    model.params["0.Wx"][0, 3:6] = 9.0
    model.params["0.Wh"] *= 0.3
    model.params["0.b"][3:6] = -4.0
    x = np.zeros((120, 1))
    x[40:80] = 0.9
    targets = np.random.default_rng(0).normal(size=(120, 2))
    trainer = Trainer(model, loss=SquaredError(), optimizer=optimizer,
                      truncation=AdaptiveTBPTT(0.5, 8, every=1, **options), workers=1)  # fmt: skip
    return trainer, x, targets


@pytest.mark.filterwarnings("ignore:.*does not decay:RuntimeWarning")
@pytest.mark.parametrize("options", [{}, {"k1": 1}, {"k1": 3}, {"k1": 2, "memory": "sqrt"}])
def test_every_loss_reaches_back_as_far_as_an_adaptive_window_says(options):
    """Also where it has grown from one update to the next, at once by more than its new steps."""
    trainer, x, targets = driven(Frozen(), **options)
    laid, start, sizes = (x[:, None], targets[:, None], np.ones((120, 1), bool)), 0, []
    for step in trainer.steps(Stream(x, 1, targets)):
        new, params = slice(start, start + step.k1), plain(trainer.model.params)
        assert_update(step, naive.update(trainer.model.layers, params, *laid, new, step.k2))
        assert step.k2 == trainer.memo["reach"] + step.k1 - 1
        start = new.stop
        sizes.append(step.k2 - step.k1)
    assert max(np.diff(sizes)) > 3


@pytest.mark.filterwarnings("ignore:.*does not decay:RuntimeWarning")
@pytest.mark.parametrize("k1", [None, 2])
def test_an_adaptive_window_that_grows_goes_on_bit_for_bit(tmp_path, k1):
    trainer, x, targets = driven(SGD(1e-3), k1=k1)
    stream = Stream(x, 1, targets)
    while not (trainer.under_way and trainer.under_way.finished):
        trainer.save(tmp_path / "trainer")
        other = Trainer.load(tmp_path / "trainer")
        step, again = next(trainer.steps(stream)), next(other.steps(stream))
        assert (again.loss, again.grads.flat.tobytes()) == (step.loss, step.grads.flat.tobytes())


def test_a_budget_that_is_too_small_is_refused_before_anything_changes(tmp_path):
    model = a_model([RNN(2, 3), Linear(3, 2)])
    trainer = Trainer(model, loss=SquaredError(), optimizer=SGD(0.1),
                      truncation=TBPTT(4, 4, memory=1e-6), workers=1)  # fmt: skip
    stream = Stream(np.ones((20, 2)), 1, np.ones((20, 2)))
    for _ in range(2):
        with pytest.raises(ValueError, match="memory"):
            next(trainer.steps(stream))
        assert trainer.under_way is None
        trainer.save(tmp_path / "trainer")


@pytest.mark.parametrize("truncation", [FullBPTT(), FullBPTT(memory="sqrt")], ids=str)
def test_after_a_pass_over_another_stream_a_loaded_trainer_goes_on(tmp_path, truncation):
    rng = np.random.default_rng(0)
    model = a_model([Embedding(8, 3), LSTM(3, 5), Linear(5, 8)])
    short, long = (Stream(rng.integers(0, 8, n), 2) for n in (11, 301))
    trainer = Trainer(model, loss=CrossEntropy(), optimizer=SGD(0.1), truncation=truncation,
                      workers=1)  # fmt: skip
    list(trainer.steps(short))
    trainer.save(tmp_path / "trainer")
    other = Trainer.load(tmp_path / "trainer")
    step, again = next(trainer.steps(long)), next(other.steps(long))
    assert step.grads.flat.tobytes() == again.grads.flat.tobytes()


def test_windows_of_random_length_keep_their_budget():
    rng = np.random.default_rng(0)
    steps = 1000 if JIT else 200
    for memory in (0.3, 0.35):
        truncation = ARTBP(60, 3.0, memory=memory)
        trainer = Trainer(a_model([LSTM(2, 16), Linear(16, 2)]), loss=SquaredError(),
                          optimizer=Frozen(), truncation=truncation, workers=1)  # fmt: skip
        stream = Stream(rng.normal(size=(steps, 2)), 2, rng.normal(size=(steps, 2)))
        for _ in trainer.steps(stream):
            assert sum(window.nbytes() for window in trainer.team.windows) <= memory * 1e6


def test_gradients_keep_their_budget(monkeypatch):
    from bptt.workers import Workers

    teams = []
    state_gradient = Workers.state_gradient
    monkeypatch.setattr(
        Workers, "state_gradient", lambda team: (teams.append(team), state_gradient(team))[1]
    )
    model = a_model([LSTM(2, 3), Linear(3, 2)])
    x, targets = an_input(model, 200, 2), np.zeros((200, 2, 2))
    bptt.gradients(model, SquaredError(), x, targets, memory=0.1)
    assert sum(window.nbytes() for window in teams[0].windows) <= 0.1e6


def test_x_has_no_gradient_before_the_first_target():
    model = a_model([Linear(3, 4)])
    x, targets = an_input(model, 20, 2), np.zeros((8, 2, 4))
    stored, again = (
        bptt.gradients(model, SquaredError(), x, targets, memory=memory).x
        for memory in (None, "sqrt")
    )
    assert not stored[:12].any()
    assert_close(again, stored)


def test_what_is_not_finite_is_named_where_steps_are_run_again():
    found = []
    for memory in (None, "sqrt"):
        model = a_model([RNN(2, 3, "identity"), LSTM(3, 2), Linear(2, 2)])
        model.params["0.Wh"] = 1e50 * np.eye(3)
        trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(),
                          truncation=TBPTT(30, 30, memory=memory), workers=1)  # fmt: skip
        stream = Stream(np.ones((40, 2)), 1, np.ones((40, 2)))
        with np.errstate(all="ignore"), pytest.raises(NonFiniteError) as error:
            next(trainer.steps(stream))
        found.append(error.value.where)
    assert found[0] == found[1] == "0 (RNN)"
