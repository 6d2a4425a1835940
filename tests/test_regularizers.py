"""Penalties and noise on parameters, by value; and that runs with them go on bit for bit."""

import math
from itertools import pairwise

import naive
import numpy as np
import pytest
from helpers import Frozen, a_model, assert_all_close, assert_close, few, plain

import bptt
from bptt import (
    GRU,
    L1,
    L2,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    AdaGrad,
    Adam,
    AdamW,
    ClipAdaptive,
    ClipNorm,
    ClipValue,
    CrossEntropy,
    Dropout,
    Embedding,
    Linear,
    NonFiniteError,
    RMSProp,
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
    return naive.drawn(seed, n, 1, 1, (1 << 16) + salt, size)[0, 0]


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
        for salt in (1 << 16, (1 << 16) + 1):
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
    WeightNoise(0.5).disturb(values, Draw(key, (1 << 16) + 1, first))
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


def test_nothing_is_copied_where_nothing_is_asked_for():
    trainer = a_trainer(clip=ClipNorm(0.1))
    step = next(trainer.steps(a_stream()[0]))
    assert trainer._regularization.params is trainer.model.params
    shaped, _ = trainer._regularization.for_optimizer(step.grads, trainer.clip, step.grad_norm)
    assert shaped is step.grads


PENALTIES = {
    "L1": ([L1(0.3)], lambda name, p: 0.3 * np.sign(p) * (p.ndim > 1)),
    "L2": ([L2(0.3)], lambda name, p: 0.3 * p * (p.ndim > 1)),
    "both, on some": (
        [L1(0.2, ("b", "0.Wh")), L2(0.1, "Wh")],
        lambda name, p: (
            0.2 * np.sign(p) * (name in ("0.Wh", "0.b", "1.b", "2.b")) + 0.1 * p * ("Wh" in name)
        ),
    ),
}
"""Penalties, and their slope."""


def clipped(clip, grads, norm):
    if isinstance(clip, ClipNorm):
        return {name: g * clip.norm / norm for name, g in grads.items()}
    if isinstance(clip, ClipValue):
        return {name: np.clip(g, -clip.value, clip.value) for name, g in grads.items()}
    return grads


@pytest.mark.parametrize("clip", [None, ClipNorm(0.05), ClipValue(0.01)], ids=str)
@pytest.mark.parametrize(("penalties", "slope"), PENALTIES.values(), ids=PENALTIES)
def test_penalties_join_the_clipped_gradient(penalties, slope, clip):
    """And neither the loss nor the gradient that an update reports has them in it."""
    trainer = a_trainer(optimizer=SGD(0.1, 0.5), regularizers=penalties, clip=clip)
    plainly, stream = a_trainer(), a_stream()[0]
    trainer.model.params["0.Wh"][0] = 0
    before, velocity = plain(trainer.model.params), plain(trainer.model.params.like())
    steps, same = trainer.steps(stream), plainly.steps(stream)
    for _ in range(5):
        plainly.model.params.flat[:] = trainer.model.params.flat
        step, wanted = next(steps), next(same)
        assert_close(step.loss, wanted.loss, 1e-12)
        assert_all_close(step.grads, wanted.grads)
        assert step.grad_norm > 0.05
        grads = clipped(clip, plain(step.grads), step.grad_norm)
        velocity = {n: 0.5 * v + grads[n] + slope(n, before[n]) for n, v in velocity.items()}
        before = {n: p - 0.1 * velocity[n] for n, p in before.items()}
        assert_all_close(trainer.model.params, before, 1e-12)


def test_what_is_zero_stays_there_under_a_penalty():
    grads, params = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, -0.0, 1e-300, -2.0])
    L1(0.5).add_slope(params, grads)
    assert np.array_equal(grads, [1.0, 2.0, 3.5, 3.5])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [SGD, Adam], ids=lambda kind: kind.__name__)
def test_l2_of_all_parameters_is_weight_decay(kind, dtype):
    options = {"clip": ClipNorm(0.05), "dtype": dtype}
    decayed = a_trainer(optimizer=kind(0.05, weight_decay=0.2), **options)
    penalised = a_trainer(
        optimizer=kind(0.05), regularizers=[L2(0.2, ["W", "Wx", "Wh", "b"])], **options
    )
    stream = a_stream()[0]
    for one, other in zip(decayed.steps(stream), penalised.steps(stream), strict=True):
        assert_close(one.loss, other.loss, 1e-5 if dtype == "float32" else 1e-12)
    assert_close(
        decayed.model.params.flat, penalised.model.params.flat, 1e-4 if dtype == "float32" else 1e-9
    )


@pytest.mark.parametrize(
    "optimizer",
    [SGD(0.1, 0.9, nesterov=True, weight_decay=0.1), AdaGrad(0.1), RMSProp(0.01, centered=True),
     Adam(0.01), AdamW(0.01, weight_decay=0.5)],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("clip", [ClipNorm(0.05), ClipAdaptive(0.01)], ids=str)
def test_what_watch_says_of_an_update(optimizer, clip):
    regularizers = [L1(0.1), L2(0.2), WeightDrop(0.5), WeightNoise(0.1)]
    trainer = a_trainer(optimizer=optimizer, clip=clip, regularizers=regularizers, workers=2)
    before = trainer.model.params.copy()
    for step in trainer.steps(a_stream()[0]):
        found, after = trainer.watch(), trainer.model.params.copy()
        for name, norms in found.parameters.items():
            moved = after[name] - before[name]
            assert math.isclose(norms.update, math.sqrt(np.mean(moved**2)), rel_tol=1e-9)
            assert math.isclose(norms.gradient, math.sqrt(np.mean(step.grads[name] ** 2)))
            assert math.isclose(norms.value, math.sqrt(np.mean(after[name] ** 2)))
        for name, norms in step.flow.items():
            assert np.array_equal(found.flow[name], norms, equal_nan=True)
        before = after


EVERYTHING = [WeightDrop(0.5), L1(0.01), WeightNoise(0.1, ["Wx", "b"]), L2(0.02, "W")]
STACK = [Embedding(6, 3), LSTM(3, 4), Dropout(4, 0.3), GRU(4, 5), Linear(5, 6)]


def everything(**options):
    options = {"workers": 2, "regularizers": EVERYTHING} | options
    return Trainer(
        a_model(STACK), loss=CrossEntropy(), optimizer=Adam(0.02), clip=ClipAdaptive(0.05),
        **{"truncation": TBPTT(2, 5), "seed": SEED} | options,
    )  # fmt: skip


IDS = np.random.default_rng(2).integers(0, 6, 80)


@pytest.mark.parametrize("memory", [None, "sqrt"])
def test_a_run_goes_on_bit_for_bit(tmp_path, memory):
    trainer, stream = everything(truncation=TBPTT(2, 5, memory=memory)), Stream(IDS, 3)
    for _ in range(4):
        next(trainer.steps(stream))
    trainer.save(tmp_path / "trainer")
    other = Trainer.load(tmp_path / "trainer")
    assert other.regularizers == trainer.regularizers == tuple(EVERYTHING)
    assert other.clip == trainer.clip
    for _ in range(few(20)):
        one, two = (next(t.steps(stream)) for t in (trainer, other))
        assert one.loss == two.loss
        assert np.array_equal(one.grads.flat, two.grads.flat)
    assert np.array_equal(trainer.model.params.flat, other.model.params.flat)


def test_any_number_of_workers_draws_the_same():
    found = []
    for workers in (1, 3):
        trainer = everything(workers=workers)
        losses = [step.loss for _ in range(2) for step in trainer.steps(Stream(IDS, 3))]
        found.append((losses, trainer.model.params.flat))
    assert_close(found[0][0], found[1][0], 1e-9)
    assert_close(found[0][1], found[1][1], 1e-7)


def test_an_update_without_targets_changes_nothing():
    targets = np.full(24, -1)
    targets[:4] = targets[16:] = 1
    trainer = everything(truncation=TBPTT(4, 4))
    params = [trainer.model.params.flat.copy()]
    for step in trainer.steps(Stream(IDS[:24], 1, targets)):
        params.append(trainer.model.params.flat.copy())
        if not step.targets:
            assert {norms.update for norms in trainer.watch().parameters.values()} == {0.0}
    changed = [not np.array_equal(a, b) for a, b in pairwise(params)]
    assert changed == [True, False, False, False, True, True]


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


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: L1(-1), "rate must be a number from 0 on, got -1"),
        (lambda: L1(math.inf), "rate must be a number from 0 on, got inf"),
        (lambda: L2("much"), "rate must be a number from 0 on, got 'much'"),
        (lambda: WeightNoise(math.nan), "std must be a number from 0 on, got nan"),
        (lambda: WeightNoise(True), "std must be a number from 0 on, got True"),
        (lambda: WeightDrop(1.0), r"p must be in \[0, 1\), got 1.0"),
        (lambda: WeightDrop(0.5, 3), "names must be a name, some names or None, got 3"),
        (lambda: L1(0.1, []), r"names must be a name, some names or None, got \[\]"),
        (lambda: L2(0.1, ("W", 1)), r"names must be a name, some names or None, got \('W', 1\)"),
    ],
)
def test_arguments_that_cannot_be(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("regularizers", "error", "said"),
    [
        (L1(0.1), TypeError, r"regularizers must be a list of them, got L1\(rate=0.1, names=None"),
        (None, TypeError, "regularizers must be a list of them, got None"),
        ([L1(0.1), 0.5], TypeError, "regularizers must be penalties or noise, got 0.5"),
        ([L1], TypeError, "regularizers must be penalties or noise, got <class"),
        ([L1(0.1, ["W", "bh"])], ValueError, r"L1\(.*\) names 'bh', but the parameters are 0.Wx, "),
        ([WeightDrop(0.5, "2.Wh")], ValueError, "names '2.Wh', but the parameters are 0.Wx, 0.Wh"),
    ],
)
def test_regularizers_that_do_not_fit(regularizers, error, said):
    with pytest.raises(error, match=said):
        a_trainer(regularizers=regularizers)


def test_a_regularizer_that_no_file_can_bring_back_is_not_saved(tmp_path):
    class Mine(L1):
        pass

    with pytest.raises(TypeError, match="cannot be saved: Mine is none of"):
        a_trainer(optimizer=SGD(0.1), regularizers=[Mine(0.1)]).save(tmp_path / "trainer")
