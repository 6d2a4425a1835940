"""Layers random in training: what they draw depends on seed, step, lane and layer alone."""

import naive
import numpy as np
import pytest
from helpers import (
    Frozen,
    a_model,
    a_state,
    an_input,
    assert_all_close,
    assert_close,
    assert_goes_on,
    plain,
    words,
)

import bptt
from bptt import (
    GRU,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    ActivationPenalty,
    Dropout,
    Linear,
    Residual,
    SquaredError,
    Stream,
    Trainer,
    VariationalDropout,
    Zoneout,
)
from bptt.layers.draws import keys, uniform
from bptt.layers.marks import Marks
from bptt.task import Batch, Reach
from bptt.workers import Workers

STACKS = [
    [Dropout(3, 0.4), LSTM(3, 4), Dropout(4, 0.6), Linear(4, 2)],
    [RNN(3, 4), Residual(Dropout(4, 0.5)), GRU(4, 2)],
    [VariationalDropout(3, 0.4), GRU(3, 4), VariationalDropout(4, 0.5), Linear(4, 2)],
    [Zoneout(LSTM(3, 4), 0.3, 0.5), ActivationPenalty(4, 0.7, 0.9), Zoneout(RNN(4, 2), 0.4)],
    [
        Zoneout(GRU(3, 3), 0.4),
        Residual(Zoneout(GRU(3, 3, reset_after=False), 0.5)),
        ActivationPenalty(3, 0.0, 2.0),
        Linear(3, 2),
    ],
]
SEED = 8


def test_what_is_drawn():
    drawn = [
        [[uniform(key, 2, j) for j in range(3)] for key in lanes] for lanes in keys(7, 5, 4, 2)
    ]
    assert_close(drawn, naive.drawn(7, 5, 4, 2, 2, 3), 1e-15)


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_the_gradients_of_input_and_state_in_training(layers, memory):
    model = a_model(layers)
    x, state = an_input(model, 5, 2), a_state(model, 2)
    rng = np.random.default_rng(4)
    targets, mask = rng.normal(size=(4, 2, model.n_out)), rng.random((4, 2)) < 0.7
    resets = np.zeros((5, 2), bool)
    resets[3, 1] = True
    params = plain(model.params)

    def loss(tried):
        start, added = {n: tried[n] for n in tried if n != "x"}, []
        y, _ = naive.forward(
            layers, params, tried["x"], start, resets=resets, seed=SEED, penalties=added
        )
        return naive.mean_loss(y, targets, mask, added)

    wanted = naive.complex_step(loss, {"x": x} | plain(state))
    found = bptt.gradients(model, SquaredError(), x, targets, state, mask=mask, resets=resets,
                           seed=SEED, memory=memory)  # fmt: skip
    assert_close(found.x, wanted.pop("x"))
    assert_all_close(found.state, wanted)


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_errors_that_are_weighted_on_their_way_back(layers, memory):
    model = a_model(layers)
    x, state, rng = an_input(model, 6, 2), a_state(model, 2), np.random.default_rng(6)
    targets, weights = rng.normal(size=(6, 2, model.n_out)), rng.uniform(0, 2, 6)

    def loss(tried):
        now, outputs, added = plain(state), [], []
        for t in range(6):
            y, now = naive.forward(
                layers, tried, x[t : t + 1], now, seed=SEED, first=t, penalties=added
            )
            now = {name: s.real + 1j * weights[t] * s.imag for name, s in now.items()}
            outputs.append(y)
        return naive.mean_loss(np.concatenate(outputs, axis=-3), targets, None, added)

    team = Workers(model, 2, 2, 6, memory)
    team.reserve(6)
    team.begin(state)
    batch = Batch.of(model, SquaredError(), x, targets, None, Marks(keys=keys(SEED, 0, 6, 2)))
    team.forward_and_back(batch, SquaredError(), Reach(6, weights=weights))
    assert_all_close(team.gradient, naive.complex_step(loss, plain(model.params)))


def test_keys_are_never_zero_and_differ():
    found = keys(2**64 - 1, 2**40, 50, 40)
    assert found.all()
    assert len(np.unique(found)) == found.size
    assert not np.isin(keys(3, 0, 50, 40), keys(4, 0, 50, 40)).any()


def test_draws_are_uniform_and_independent():
    many = naive.drawn(1, 0, 40, 10, 3, 25)
    assert abs(many.mean() - 0.5) < 0.01
    assert abs(many.std() - 12**-0.5) < 0.01
    for axis in range(3):
        pair = np.moveaxis(many, axis, 0)
        assert abs(np.corrcoef(pair[1:].ravel(), pair[:-1].ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(many.ravel(), naive.drawn(1, 0, 40, 10, 4, 25).ravel())[0, 1]) < 0.03


def slopes(layers, params, x, targets, state, valid=None, resets=None, first=0):
    def loss(tried):
        added = []
        y, _ = naive.forward(
            layers, tried, x, state, resets=resets, seed=SEED, first=first, penalties=added
        )
        return naive.mean_loss(y, targets, valid, added)

    return naive.complex_step(loss, params)


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_the_gradient_in_training(layers, workers, memory):
    model = a_model(layers)
    x, state, resets = an_input(model, 7, 3), a_state(model, 3), np.zeros((7, 3), bool)
    resets[[2, 5], [0, 1]] = True
    targets = np.random.default_rng(3).normal(size=(6, 3, model.n_out))
    loss, grads, final = bptt.value_and_grad(
        model, SquaredError(), x, targets, state, seed=SEED, resets=resets, memory=memory,
        workers=workers,
    )  # fmt: skip
    params, start = plain(model.params), plain(state)
    y, wanted_final = naive.forward(layers, params, x, start, resets=resets, seed=SEED)
    assert_close(loss, naive.mean_loss(y, targets), 1e-12)
    assert_all_close(grads, slopes(layers, params, x, targets, start, resets=resets))
    assert_all_close(final, wanted_final, 1e-12)


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("k1_k2", [(4, 4), (2, 5)], ids=str)
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_older_steps_keep_what_they_drew(layers, k1_k2, memory):
    model = a_model(layers)
    rng = np.random.default_rng(5)
    data, goals, begins = (
        rng.normal(size=(26, 3)),
        rng.normal(size=(26, model.n_out)),
        np.arange(26),
    )
    stream = Stream(data, 3, goals, begins % 7 == 5)
    (x, there), (targets, _), (resets, _) = (
        naive.lanes(column, 3) for column in (data, goals, begins % 7 == 5)
    )
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), workers=2, seed=SEED,
                      truncation=TBPTT(*k1_k2, memory=memory))  # fmt: skip
    params, start = plain(model.params), 0
    for step in trainer.steps(stream):
        stop = start + step.k1
        first = max(0, stop - k1_k2[1])
        state = naive.zero_state(layers, 3)
        if first:
            _, state = naive.forward(
                layers, params, x[:first], state, resets=resets[:first], seed=SEED
            )
        rows = slice(first, stop)
        wanted = slopes(layers, params, x[rows], targets[start:stop], state,
                        there[start:stop], resets[rows], first)  # fmt: skip
        assert_all_close(step.grads, wanted)
        start = stop
    assert start == stream.steps == trainer.time


@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_outside_training_nothing_is_drawn(layers):
    model = a_model(layers)
    x, state, targets = an_input(model, 5, 2), a_state(model, 2), np.zeros((5, 2, model.n_out))
    y, final = naive.forward(layers, plain(model.params), x, plain(state))
    for steps in (5, 2):
        mine, _ = model(x[:steps], state)
        assert_close(mine, y[:steps], 1e-12)
    assert_all_close(model(x, state)[1], final, 1e-12)
    loss, _, _ = bptt.value_and_grad(model, SquaredError(), x, targets, state)
    assert_close(loss, naive.mean_loss(y, targets), 1e-12)


def a_trainer(layers, **options):
    return Trainer(a_model(layers), loss=SquaredError(), optimizer=SGD(0.01, momentum=0.9),
                   **{"truncation": TBPTT(2, 5)} | options)  # fmt: skip


def a_stream(model):
    rng = np.random.default_rng(1)
    resets = np.arange(61) % 9 == 4
    return Stream(rng.normal(size=(61, 3)), 3, rng.normal(size=(61, model.n_out)), resets)


@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_any_number_of_workers_draws_the_same(layers):
    found = []
    for workers in (1, 3):
        trainer = a_trainer(layers, workers=workers, seed=SEED)
        found.append([step.loss for step in trainer.steps(a_stream(trainer.model))])
    assert_close(*found)


def test_another_seed_draws_others():
    found = []
    for seed in (0, 1):
        trainer = a_trainer(STACKS[0], seed=seed)
        found.append(next(trainer.steps(a_stream(trainer.model))).loss)
    assert found[0] != found[1]


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_a_run_goes_on_with_the_same_draws(tmp_path, layers, memory):
    trainer = a_trainer(layers, truncation=TBPTT(2, 5, memory=memory), workers=2, seed=SEED)
    stream = a_stream(trainer.model)
    for _ in range(3):
        next(trainer.steps(stream))
    assert_goes_on(trainer, tmp_path / "trainer", stream, 12)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "a"])
def test_what_is_no_seed(seed):
    with pytest.raises(
        ValueError, match=f"seed must be a non-negative integer of at most 64 bits, got {seed!r}"
    ):
        a_trainer(STACKS[0], seed=seed)
    model = a_model(STACKS[0])
    with pytest.raises(ValueError, match="seed must be a non-negative integer of at most 64 bits"):
        bptt.value_and_grad(
            model, SquaredError(), an_input(model, 2, 1), np.zeros((2, 1, 2)), seed=seed
        )
