"""BatchNorm in training: statistics of an update's new steps, and what becomes of them after it."""

from itertools import pairwise

import naive
import numpy as np
import pytest
from helpers import Frozen, a_model, a_state, an_input, assert_all_close, assert_close, plain, words

import bptt
from bptt import (
    GRU,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    Activation,
    BatchNorm,
    FullBPTT,
    Linear,
    Model,
    Residual,
    SquaredError,
    Stream,
    Trainer,
)

STACKS = [
    [Linear(3, 4), BatchNorm(4), RNN(4, 3), BatchNorm(3, eps=0.1), Linear(3, 2)],
    [RNN(3, 4), Residual(BatchNorm(4)), Activation(4, "tanh"), LSTM(4, 3), BatchNorm(3)],
    [BatchNorm(3), Linear(3, 5), BatchNorm(5)],
]


def is_batch_norm(layer):
    return isinstance(getattr(layer, "layer", layer), BatchNorm)


def forward(layers, params, x, state, moments, resets=None):
    """y, and what came into each BatchNorm, layer by layer.

    moments : from the layer's number and its x (..., T, B, n) to its mean and variance.
    """
    came = {}
    for i, layer in enumerate(layers):
        own = naive.own(params, i)
        if is_batch_norm(layer):
            came[i], around = x, x if isinstance(layer, Residual) else 0
            inner = getattr(layer, "layer", layer)
            own = {name: p[..., None, :] for name, p in own.items()}
            x = around + naive.scaled(own, x, *moments(i, x), inner.eps)
        else:
            start = {f"0.{name}": s for name, s in naive.own(state, i).items()}
            named = {f"0.{name}": p for name, p in own.items()}
            x, _ = naive.forward([layer], named, x, start, resets=resets)
    return x, came


def moments_of(x, counts):
    """Mean and variance over the steps and lanes that count, (..., 1, 1, n)."""
    share = (counts / max(1, counts.sum()))[..., None]
    mean = (share * x).sum(axis=(-3, -2), keepdims=True)
    return mean, (share * (x - mean) ** 2).sum(axis=(-3, -2), keepdims=True)


def by_worker(x, counts, bounds):
    """The `moments_of` the lanes of each worker, (..., 1, B, n)."""
    parts = [
        [
            np.repeat(m, last - first, axis=-2)
            for m in moments_of(x[..., first:last, :], counts[:, first:last])
        ]
        for first, last in pairwise(bounds)
    ]
    return [np.concatenate(pieces, axis=-2) for pieces in zip(*parts, strict=True)]


BOUNDS = {1: [0, 3], 2: [0, 1, 3], 3: [0, 1, 2, 3]}


@pytest.mark.parametrize("workers", BOUNDS)
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_the_gradient_in_training(layers, workers):
    """All steps are new; some lanes have ended, and yet have targets and errors."""
    model = a_model(layers)
    x, state, targets = an_input(model, 6, 3), a_state(model, 3), np.ones((4, 3, model.n_out))
    resets, ended = np.zeros((2, 6, 3), bool)
    resets[3, 1] = ended[4:, 0] = ended[5:, 2] = True
    found = bptt.gradients(model, SquaredError(), x, targets, state, seed=0, resets=resets,
                           ended=ended, workers=workers)  # fmt: skip

    def loss(tried):
        y, _ = forward(layers, tried, tried.get("x", x), plain(state),
                       lambda i, came: by_worker(came, ~ended, BOUNDS[workers]), resets)  # fmt: skip
        return naive.mean_loss(y, targets)

    params = plain(model.params)
    assert_close(found.loss, loss(params), 1e-12)
    wanted = naive.complex_step(loss, params | {"x": x})
    assert_close(found.x, wanted.pop("x"))
    assert_all_close(found.params, wanted)


def a_stream(model, pairs=26):
    """Three lanes, of which two are a step shorter; and what is in them."""
    rng = np.random.default_rng(5)
    data, goals = rng.normal(size=(pairs, 3)), rng.normal(size=(pairs, model.n_out))
    begins = np.arange(pairs) % 7 == 5
    laid = [naive.lanes(column, 3) for column in (data, goals, begins)]
    (x, there), (targets, _), (resets, _) = laid
    return Stream(data, 3, goals, begins), (x, targets, resets, there)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("k1_k2", [(4, 4), (2, 5), (1, 4)], ids=str)
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_older_steps_keep_their_statistics_as_constants(layers, k1_k2, workers):
    """Of every update: gradient, and the running statistics after it."""
    model = a_model(layers)
    stream, (x, targets, resets, there) = a_stream(model)
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), workers=workers,
                      truncation=TBPTT(*k1_k2))  # fmt: skip
    params, buffers = plain(model.params), plain(model.buffers)
    norms = [i for i, layer in enumerate(layers) if is_batch_norm(layer)]
    known = {i: [np.zeros((*x.shape[:2], layers[i].sizes[1])) for _ in range(2)] for i in norms}
    states = {}
    start = 0
    for step in trainer.steps(stream):
        stop = start + step.k1
        first = max(0, stop - k1_k2[1])
        rows = slice(first, stop)

        def moments(i, came, first=first, start=start, stop=stop):
            new = by_worker(came[..., start - first :, :, :], there[start:stop], BOUNDS[workers])
            old = [m[first:start] for m in known[i]]
            shape = (*came.shape[:-3], stop - start, *came.shape[-2:])
            return [
                np.concatenate([np.broadcast_to(o, (*shape[:-3], *o.shape)),
                                np.broadcast_to(n, shape)], axis=-3)
                for o, n in zip(old, new, strict=True)
            ]  # fmt: skip

        def loss(tried, rows=rows, new=slice(start, stop), moments=moments):
            y, _ = forward(layers, tried, x[rows], states.get(rows.start, naive.zero_state(layers, 3)),
                           moments, resets[rows])  # fmt: skip
            return naive.mean_loss(y, targets[new], there[new])

        assert_close(step.loss, loss(params), 1e-12)
        assert_all_close(step.grads, naive.complex_step(loss, params))
        state = states.get(first, naive.zero_state(layers, 3))
        _, came = forward(layers, params, x[rows], state, moments, resets[rows])
        for i in norms:
            new = came[i][start - first :][there[start:stop]]
            for m, kept in zip(moments(i, came[i]), known[i], strict=True):
                kept[start:stop] = m[start - first :]
            if len(new) > 1:
                for name, value in (("mean", new.mean(0)), ("var", new.var(0, ddof=1))):
                    buffers[f"{i}.running_{name}"] *= 0.9
                    buffers[f"{i}.running_{name}"] += 0.1 * value
        assert_all_close(model.buffers, buffers, 1e-12)
        start = stop
        states = {s: states_at(layers, params, x, resets, known, s) for s in range(stop)}
    assert start == stream.steps


def states_at(layers, params, x, resets, known, step):
    """The state before ``step``, when each BatchNorm has used what is ``known`` of it."""
    state, given = naive.zero_state(layers, 3), x[:step]
    if not step:
        return state
    for i, layer in enumerate(layers):
        start = {f"0.{name}": s for name, s in naive.own(state, i).items()}
        if is_batch_norm(layer):
            own = {n: p[..., None, :] for n, p in naive.own(params, i).items()}
            around = given if isinstance(layer, Residual) else 0
            eps = getattr(layer, "layer", layer).eps
            given = around + naive.scaled(own, given, *(m[:step] for m in known[i]), eps)
        else:
            named = {f"0.{n}": p for n, p in naive.own(params, i).items()}
            given, final = naive.forward([layer], named, given, start, resets=resets[:step])
            state |= {f"{i}.{n.removeprefix('0.')}": s for n, s in final.items()}
    return state
