"""The regulariser Ω of RNN: its gradient, with what it takes for constant held fixed."""

import naive
import numpy as np
import pytest
from helpers import (
    Frozen,
    a_model,
    a_state,
    a_stream,
    an_input,
    assert_all_close,
    assert_close,
    plain,
    words,
)

import bptt
from bptt import (
    LSTM,
    RNN,
    SGD,
    TBPTT,
    Embedding,
    FullBPTT,
    LayerNorm,
    Linear,
    Model,
    Residual,
    SquaredError,
    Stream,
    Trainer,
)

STACKS = [
    *([RNN(3, 5, name, omega=0.3), Linear(5, 2)] for name in naive.ACTIVATIONS),
    [RNN(3, 4, omega=0.5), Residual(RNN(4, 4, "sigmoid", omega=2.0)), LSTM(4, 2)],
    [Embedding(6, 3), RNN(3, 17, "leaky_relu", omega=0.1), LayerNorm(17), RNN(17, 2)],
]


def omegas(layers):
    found = {i: getattr(layer, "layer", layer) for i, layer in enumerate(layers)}
    return {i: rnn for i, rnn in found.items() if isinstance(rnn, RNN) and rnn.omega}


def deltas(layers, params, x, state, loss, resets):
    """δ (T, B, H) of each layer that has Ω."""
    nudges = {i: np.zeros((*x.shape[:2], rnn.n)) for i, rnn in omegas(layers).items()}

    def nudged(tried):
        return loss(naive.forward(layers, params, x, state, tried, resets=resets)[0])

    return naive.complex_step(nudged, nudges)


def slopes_at(rnn, h):
    """f'(z) as a function of its value."""
    return {
        "identity": np.ones_like(h),
        "tanh": 1 - h**2,
        "sigmoid": h * (1 - h),
        "relu": (h > 0) * 1.0,
        "leaky_relu": np.where(h > 0, 1, 0.01),
    }[rnn.activation]


def of_omega(rnn, wh, delta, h, resets):
    """∂Ω/∂Wh by complex step: δ and f'(z) stay as they are."""
    counts = (np.linalg.norm(delta, axis=2) > 0) & ~resets
    before = (delta * slopes_at(rnn, h))[counts]
    norms = np.linalg.norm(delta, axis=2)[counts]

    def value(tried):
        back = before @ tried["Wh"].swapaxes(-1, -2)
        return (((np.sqrt((back**2).sum(axis=-1)) / norms) - 1) ** 2).sum(axis=-1)

    return naive.complex_step(value, {"Wh": wh})["Wh"]


def outputs(layers, params, x, state, resets, i):
    """h_t (T, B, H) of the RNN that is layer ``i``, or inside it."""
    y, _ = naive.forward(layers[: i + 1], params, x, state, resets=resets)
    if isinstance(layers[i], Residual):
        below, _ = naive.forward(layers[:i], params, x, state, resets=resets)
        return y - below
    return y


def with_omega(layers, params, x, state, resets, delta, plain_grads, scale):
    """The gradient of the loss, and of Ω beside it."""
    found = dict(plain_grads)
    for i, rnn in omegas(layers).items():
        h = outputs(layers, params, x, state, resets, i)
        wh = params[f"{i}.Wh"]
        term = of_omega(rnn, wh, delta[i], h, resets)
        found[f"{i}.Wh"] = found[f"{i}.Wh"] + rnn.omega * scale * term
    return found


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_the_gradient_in_training(layers, workers, memory):
    """With resets, and a lane whose errors end before the last step; outside there is no Ω."""
    model = a_model(layers)
    x, state, targets = an_input(model, 8, 3), a_state(model, 3), np.ones((8, 3, 2))
    resets, mask = np.zeros((8, 3), bool), np.ones((8, 3), bool)
    resets[[3, 5], [0, 2]] = True
    mask[:5, 1] = mask[6:, 2] = mask[2] = False
    options = {"mask": mask, "resets": resets, "workers": workers, "memory": memory}
    params, start = plain(model.params), plain(state)

    def mean(y):
        return naive.mean_loss(y, targets, mask)

    def loss(tried):
        return mean(naive.forward(layers, tried, x, start, resets=resets)[0])

    delta = deltas(layers, params, x, start, mean, resets)
    assert (delta[max(delta)] == 0).all(axis=2).any()
    wanted = naive.complex_step(loss, params)
    outside, grads, _ = bptt.value_and_grad(model, SquaredError(), x, targets, state, **options)
    assert_all_close(grads, wanted)
    found, grads, _ = bptt.value_and_grad(
        model, SquaredError(), x, targets, state, seed=0, **options
    )
    wanted = with_omega(layers, params, x, start, resets, delta, wanted, 1 / mask.sum())
    assert_all_close(grads, wanted)
    assert found == outside
    assert_close(found, loss(params), 1e-12)


@pytest.mark.parametrize(
    "truncation",
    [
        TBPTT(4, 4),
        TBPTT(2, 5),
        TBPTT(1, 4, clip_delta=0.03),
        TBPTT(3, 7, clip_delta=0.03, memory="sqrt"),
        TBPTT(4, 6, "last"),
        FullBPTT(),
    ],
    ids=str,
)
@pytest.mark.parametrize("layers", [STACKS[1], *STACKS[-2:]], ids=words)
def test_every_window_has_its_own(layers, truncation):
    model = a_model(layers)
    stream, (x, targets, there) = a_stream(model, SquaredError(), 41, 3)
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), truncation=truncation,
                      workers=2)  # fmt: skip
    params, start = plain(model.params), 0
    losses = 1 if getattr(truncation, "losses", "") == "last" else None
    for step in trainer.steps(stream):
        new = slice(start, start + step.k1)
        first = max(0, new.stop - step.k2)
        found = naive.update(layers, params, x, targets, there, new, step.k2, losses,
                             truncation.bound)  # fmt: skip
        state = naive.zero_state(layers, 3)
        if first:
            _, state = naive.forward(layers, params, x[:first], state)
        rows, scale = slice(first, new.stop), 1 / max(1, step.targets)
        resets = np.zeros(x[rows].shape[:2], bool)
        wanted = with_omega(
            layers, params, x[rows], state, resets, found.delta, found.params, scale
        )
        assert_all_close(step.grads, wanted)
        start = new.stop
    assert start == stream.steps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-8, 1.0])
def test_errors_that_vanish_are_left_out(dtype, size):
    """At the smallest sizes δ has no digits left after a step or two, or is zero."""
    model = a_model([RNN(2, 5, omega=1.0), Linear(5, 2)], dtype)
    model.params["0.Wh"] = size * np.eye(5)
    x, goals = an_input(model, 9, 2), np.ones((1, 2, 2))
    _, grads, _ = bptt.value_and_grad(model, SquaredError(), x, goals, seed=0)
    _, without, _ = bptt.value_and_grad(model, SquaredError(), x, goals)
    assert np.isfinite(grads.flat).all()
    term = grads["0.Wh"] - without["0.Wh"]
    assert np.abs(term).max() < 20
    assert term.any() == (size > 0)


def test_errors_without_digits_are_left_out():
    """δ is about 1, 1e-22 and 1e-44 in the newest steps: in float32 the third has one digit."""
    model = a_model([RNN(2, 5, "identity", omega=1.0), Linear(5, 2)], "float32")
    model.params["0.Wh"] *= 1e-22
    x, goals, terms = an_input(model, 9, 2), np.ones((1, 2, 2)), []
    for steps in (9, 2):
        state = model(x[:-steps])[1] if steps < 9 else None
        with_it, without = (
            bptt.value_and_grad(model, SquaredError(), x[-steps:], goals, state, seed=seed)[1]
            for seed in (0, None)
        )
        terms.append(with_it["0.Wh"] - without["0.Wh"])
    assert np.abs(terms[1]).max() > 0.1
    assert_close(*terms, 1e-5)


def test_the_error_vanishes_less():
    """A long way back: what becomes of it in ten steps, after training with Ω and without."""
    rng = np.random.default_rng(0)
    x, left = rng.normal(size=(400, 2)), []
    for omega in (0.0, 1.0):
        model = Model([RNN(2, 8, omega=omega), Linear(8, 1)])
        model.params["0.Wh"] *= 0.4
        trainer = Trainer(model, loss=SquaredError(), optimizer=SGD(0.1), truncation=TBPTT(10, 10))
        trainer.fit(Stream(x, 4, np.roll(x[:, :1], 3)), epochs=10, progress=False)
        flow = bptt.gradient_flow(
            model, SquaredError(), x[:40, np.newaxis], np.ones((1, 1, 1)), lags=11
        )
        left.append(flow.curve("0.h")[10] / flow.curve("0.h")[0])
    assert left[1] > 3 * left[0]


def test_it_is_saved_and_goes_on_to_the_bit(tmp_path):
    layers = STACKS[-2]
    trainer = Trainer(a_model(layers, "float32"), loss=SquaredError(), optimizer=SGD(0.01),
                      truncation=TBPTT(2, 5), workers=2)  # fmt: skip
    stream, _ = a_stream(trainer.model, SquaredError(), 61, 3)
    for _ in range(3):
        next(trainer.steps(stream))
    trainer.save(tmp_path / "trainer")
    other = Trainer.load(tmp_path / "trainer")
    assert other.model.layers == trainer.model.layers
    for _ in range(6):
        one, two = (next(t.steps(stream)) for t in (trainer, other))
        assert np.array_equal(one.grads.flat, two.grads.flat)


def test_without_it_nothing_is_kept_for_it():
    assert not RNN(3, 5).trains
    assert RNN(3, 5, omega=0.1).trains
    assert not Model([RNN(3, 5)]).trains
