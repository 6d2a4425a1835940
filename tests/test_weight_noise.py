"""Noise on parameters: the gradient is taken at the changed ones, and moves the clean ones."""

import math

import naive
import numpy as np
import pytest
from helpers import Frozen, a_model, assert_all_close, assert_close, few, plain

import bptt
from bptt import (
    LSTM,
    RNN,
    SGD,
    TBPTT,
    Linear,
    NonFiniteError,
    SquaredError,
    Stream,
    Trainer,
    WeightDrop,
    WeightNoise,
)
from bptt.layers.draws import keys
from bptt.regularizers.base import Draw

SEED = 11
LAYERS = [LSTM(3, 5), RNN(5, 4), Linear(4, 2)]
MATRICES = ["0.Wx", "0.Wh", "1.Wx", "1.Wh", "2.W"]
NOISES = {
    "noise": [(WeightNoise(0.3), MATRICES)],
    "noise on some": [(WeightNoise(0.5, ["1.b", "Wh"]), ["0.Wh", "1.Wh", "1.b"])],
    "drop": [(WeightDrop(0.5), ["0.Wh", "1.Wh"])],
    "both": [(WeightDrop(0.3, None), MATRICES), (WeightNoise(0.2), MATRICES),
             (WeightDrop(0.6, "1.Wh"), ["1.Wh"])],
}  # fmt: skip
"""Noise, each with the parameters that it takes hold of."""


def uniform(n, salt, size, seed=SEED):
    return naive.drawn(seed, n, 1, 1, (1 << 20) + salt, size)[0, 0]


def normal(n, salt, size, seed=SEED):
    """Box & Muller's pairs."""
    one, two = uniform(n, salt, size + size % 2, seed).reshape(-1, 2).T
    radius, angle = np.sqrt(-2 * np.log(1 - one)), 2 * np.pi * two
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:size]


def disturbed(model, noises, n):
    """What the update after ``n`` finished ones is run with, and its slope by the clean ones."""
    params, slopes = model.params.copy(), model.params.like(np.ones_like(model.params.flat))
    size = params.flat.size
    for salt, (noise, names) in enumerate(noises):
        if isinstance(noise, WeightNoise):
            change = params.like(noise.std * normal(n, salt, size).astype(params.dtype))
            for name in names:
                params[name] += change[name]
        else:
            kept = params.like(
                (uniform(n, salt, size) >= noise.p).astype(params.dtype) / (1 - noise.p)
            )
            for name in names:
                params[name] *= kept[name]
                slopes[name] *= kept[name]
    return params, slopes


def a_trainer(noises=(), dtype="float64", layers=LAYERS, **options):
    options = {"optimizer": Frozen(), "truncation": TBPTT(4, 4), "seed": SEED} | options
    if noises:
        options["regularizers"] = [noise for noise, _ in noises]
    return Trainer(a_model(layers, dtype), loss=SquaredError(), **options)


def a_stream(pairs=59, lanes=3):
    """A stream, and the same in lanes: x, targets, where there are any, resets."""
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(pairs, 3)), rng.normal(size=(pairs, 2)), np.arange(pairs) % 9 == 4
    x, targets, resets = (naive.lanes(column, lanes)[0] for column in columns)
    stream = Stream(columns[0], lanes, columns[1], columns[2])
    return stream, x, targets, naive.lanes(columns[0], lanes)[1], resets


@pytest.mark.parametrize("noises", NOISES.values(), ids=NOISES)
@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("workers", [1, 3])
def test_the_gradient_is_taken_at_the_changed_parameters(noises, memory, workers):
    trainer = a_trainer(
        noises, truncation=TBPTT(4, 4, memory=memory), workers=workers, optimizer=SGD(0.1)
    )
    stream, x, targets, there, resets = a_stream()
    other, state, start = a_model(LAYERS), None, 0
    steps = trainer.steps(stream)
    while start < len(x):
        before = trainer.model.params.copy()
        params, slopes = disturbed(trainer.model, noises, trainer.n)
        other.params.flat[:] = params.flat
        step, rows = next(steps), slice(start, start + 4)
        loss, grads, state = bptt.value_and_grad(
            other, SquaredError(), x[rows], targets[rows], state,
            mask=there[rows], resets=resets[rows],
        )  # fmt: skip
        assert_close(step.loss, loss, 1e-12)
        assert_close(step.grads.flat, grads.flat * slopes.flat)
        assert math.isclose(step.grad_norm, np.linalg.norm(step.grads.flat), rel_tol=1e-12)
        assert_close(trainer.model.params.flat, before.flat - 0.1 * step.grads.flat, 1e-12)
        start += step.k1
    assert trainer.n == 5


def test_in_float32():
    noises = NOISES["both"]
    trainer = a_trainer(noises, "float32", workers=2)
    stream, x, targets, there, resets = a_stream()
    params, slopes = disturbed(trainer.model, noises, 0)
    step = next(trainer.steps(stream))
    wanted = naive.complex_step(
        mean_loss(LAYERS, x, targets, there, resets, slice(4)), plain(params)
    )
    assert_all_close(step.grads, {n: g * slopes[n] for n, g in wanted.items()}, 1e-4)
    assert step.grads.dtype == np.float32


def mean_loss(layers, x, targets, there, resets, rows, state=None, new=None):
    """A function of params: the mean loss of steps ``new`` after running ``rows``."""
    state = naive.zero_state(layers, x.shape[1]) if state is None else state
    new = rows if new is None else new

    def loss(params):
        y, _ = naive.forward(layers, params, x[rows], state, resets=resets[rows])
        return naive.mean_loss(y, targets[new], there[new])

    return loss


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("noises", [NOISES["drop"], NOISES["both"]], ids=["drop", "both"])
def test_with_memory_older_steps_are_run_again_with_the_newest_parameters(noises, workers):
    trainer = a_trainer(noises, truncation=TBPTT(2, 5, memory="sqrt"), workers=workers)
    stream, x, targets, there, resets = a_stream(40)
    state, first, start = naive.zero_state(LAYERS, 3), 0, 0
    for n, step in enumerate(trainer.steps(stream)):
        params, slopes = disturbed(trainer.model, noises, n)
        stop = start + step.k1
        loss = mean_loss(
            LAYERS, x, targets, there, resets, slice(first, stop), state, slice(start, stop)
        )
        wanted = naive.complex_step(loss, plain(params))
        assert_all_close(step.grads, {n: g * slopes[n] for n, g in wanted.items()})
        next_first = max(0, stop + min(2, len(x) - stop) - 5)
        between = slice(first, next_first)
        if next_first > first:
            _, state = naive.forward(
                LAYERS, plain(params), x[between], state, resets=resets[between]
            )
        first, start = next_first, stop
    assert start == len(x)


def sums(layer, params, x, state):
    """What one step makes of its input and the state before: x W + h Wh + b."""
    if isinstance(layer, Linear):
        return x @ params["W"] + params["b"][..., None, :]
    return x @ params["Wx"] + state["h"] @ params["Wh"] + params["b"][..., None, :]


def outputs(layer, z, state):
    """And the cell of its sums: output and next state."""
    if isinstance(layer, Linear):
        return z, {}
    if isinstance(layer, RNN):
        return np.tanh(z), {"h": np.tanh(z)}
    i, f, g, o = np.split(z, 4, axis=-1)
    c = naive.sigmoid(f) * state["c"] + naive.sigmoid(i) * np.tanh(g)
    h = naive.sigmoid(o) * np.tanh(c)
    return h, {"h": h, "c": c}


def run(params, x, state, constants=None):
    """One step of all layers: output, next state, and the sums and what they came from.

    constants : for each layer, added to the sums.
    """
    y, after, found = x, {}, []
    for i, layer in enumerate(LAYERS):
        own, before = naive.own(params, i), naive.own(state, i)
        z = sums(layer, own, y, before) + (0 if constants is None else constants[i])
        found.append((layer, z, y, before))
        y, new = outputs(layer, z, before)
        after |= {f"{i}.{name}": value for name, value in new.items()}
    return y, after, found


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("noises", [NOISES["drop"], NOISES["both"]], ids=["drop", "both"])
def test_without_it_they_keep_what_their_own_update_made_of_them(noises, workers):
    """Error goes back through older steps by the newest parameters, at the sums of their own.

    So the oracle runs the newest parameters, and adds a constant to the sums of older steps.
    """
    trainer = a_trainer(noises, truncation=TBPTT(2, 5), workers=workers)
    rng = np.random.default_rng(1)
    data, goals = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    (x, there), (targets, _) = naive.lanes(data, 3), naive.lanes(goals, 3)
    kept, state, start = [], naive.zero_state(LAYERS, 3), 0
    for n, step in enumerate(trainer.steps(Stream(data, 3, goals))):
        params, slopes = disturbed(trainer.model, noises, n)
        params, stop = plain(params), start + step.k1
        first = max(0, stop - 5)
        for t in range(start, stop):
            before = state
            _, state, found = run(params, x[t], before)
            kept.append((before, found))
        constants = [
            [
                z - sums(layer, naive.own(params, i), y, own)
                for i, (layer, z, y, own) in enumerate(f)
            ]
            for _, f in kept[first:stop]
        ]

        def loss(tried, rows=slice(first, stop), new=slice(start, stop), constants=constants):
            now, found = kept[rows.start][0], []
            for x_t, constant in zip(x[rows], constants, strict=True):
                y, now, _ = run(tried, x_t, now, constant)
                found.append(y)
            return naive.mean_loss(np.stack(found, axis=-3), targets[new], there[new])

        wanted = naive.complex_step(loss, params)
        assert_all_close(step.grads, {n: g * slopes[n] for n, g in wanted.items()})
        start = stop
    assert start == len(x)


def test_numbers_are_normal_and_independent():
    """Of the places, the updates, the regularizers and the seeds; and of what layers draw."""
    noise, size, found = WeightNoise(1.0, "Wx"), 20_000, []
    for seed, n in ((0, 0), (0, 1), (1, 0)):
        key = keys(seed, n, 1, 1)[0, 0]
        for salt in (1 << 20, (1 << 20) + 1):
            values = np.zeros(few(size))
            noise.disturb(values, Draw(key, salt, 0))
            found.append(values)
    found = np.array(found)
    bound = 5 / math.sqrt(found.shape[1])
    assert (np.abs(found.mean(axis=1)) < bound).all()
    assert (np.abs(found.std(axis=1) - 1) < bound).all()
    assert (np.abs((found**4).mean(axis=1) - 3) < 20 * bound).all()
    assert (np.abs(np.corrcoef(found) - np.eye(len(found))) < bound).all()
    assert abs(np.corrcoef(found[0, 1:], found[0, :-1])[0, 1]) < bound
    assert not np.isin(naive.drawn(0, 0, 1, 1, 3, 50), uniform(0, 0, 50, seed=0)).any()


@pytest.mark.parametrize("first", [0, 1, 6, 7])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_number_depends_on_its_place_alone(first, size):
    values, key = np.full(size, 2.0), keys(SEED, 4, 1, 1)[0, 0]
    WeightNoise(0.5).disturb(values, Draw(key, (1 << 20) + 1, first))
    wanted = 2 + 0.5 * normal(4, 1, 20)[first : first + size]
    assert_close(values, wanted, 1e-14)


def test_evaluation_and_all_else_outside_training_know_no_noise():
    trainer, clean = a_trainer(NOISES["both"], optimizer=SGD(0.1)), a_trainer(optimizer=SGD(0.1))
    stream, x, *_ = a_stream()
    steps = trainer.steps(stream)
    for _ in range(3):
        next(steps)
        clean.model.params.flat[:] = trainer.model.params.flat
        assert trainer.evaluate(stream) == clean.evaluate(stream)
    y, _ = naive.forward(LAYERS, plain(clean.model.params), x, naive.zero_state(LAYERS, 3))
    assert_close(trainer.model(x)[0], y, 1e-12)


@pytest.mark.filterwarnings("ignore:(overflow|invalid|divide).* encountered:RuntimeWarning")
def test_what_is_not_finite_is_found_where_the_noise_made_it():
    model = bptt.Model([RNN(1, 2, "identity"), Linear(2, 1)])
    trainer = Trainer(
        model, loss=SquaredError(), optimizer=SGD(0.1), truncation=TBPTT(3, 3), seed=SEED,
        regularizers=[WeightNoise(1e38, "Wh")],
    )  # fmt: skip
    before, data = model.params.flat.copy(), np.ones(24, np.float32)
    with pytest.raises(NonFiniteError, match="update 1: the output of layer 0"):
        next(trainer.steps(Stream(data, 2, targets=data)))
    assert np.array_equal(model.params.flat, before)
    assert trainer.n == 0
