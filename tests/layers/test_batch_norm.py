"""BatchNorm in training: statistics of an update's new steps, and what becomes of them after it."""

from itertools import pairwise

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
    [Linear(3, 4), Residual(Residual(BatchNorm(4))), RNN(4, 2)],
]


def is_batch_norm(layer):
    return isinstance(naive.innermost(layer), BatchNorm)


def forward(layers, params, x, state, moments, resets=None, skip=None):
    """y, what came into each BatchNorm, and the final state: layer by layer.

    moments : from the layer's number and its x (..., T, B, n) to its mean and variance.
    """
    came, final = {}, {}
    for i, layer in enumerate(layers):
        own = naive.own(params, i)
        if is_batch_norm(layer):
            inner, around = naive.innermost(layer), 0
            came[i] = x
            while layer != inner:
                layer, around = layer.layer, around + x
            own = {name: p[..., None, :] for name, p in own.items()}
            x = around + naive.scaled(own, x, *moments(i, x), inner.eps)
        else:
            start = {f"0.{name}": s for name, s in naive.own(state, i).items()}
            named = {f"0.{name}": p for name, p in own.items()}
            x, after = naive.forward([layer], named, x, start, resets=resets, skip=skip)
            final |= {f"{i}.{name}": s for name, s in naive.own(after, 0).items()}
    return x, came, final


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


def assert_gradient(got, want):
    """Measured by the largest of all numbers: statistics take out whatever is added to all steps,
    so the gradient of a bias below them is rounding."""
    assert set(got) == set(want)
    assert_close(*(np.concatenate([g[name].ravel() for name in want]) for g in (got, want)))


BOUNDS = {1: [0, 3], 2: [0, 1, 3], 3: [0, 1, 2, 3]}


@pytest.mark.parametrize("workers", BOUNDS)
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_the_gradient_in_training(layers, workers):
    """All steps are new; some are skipped, and count nowhere."""
    model = a_model(layers)
    x, state, targets = an_input(model, 6, 3), a_state(model, 3), np.ones((4, 3, model.n_out))
    resets, ended, skip = np.zeros((3, 6, 3), bool)
    resets[3, 1] = ended[4:, 0] = ended[5:, 2] = skip[:2, 0] = skip[2:4, 2] = True
    found = bptt.gradients(model, SquaredError(), x, targets, state, seed=0, resets=resets,
                           ended=ended, skip=skip, workers=workers)  # fmt: skip
    skip |= ended

    def loss(tried):
        def moments(i, came):
            return by_worker(came, ~skip, BOUNDS[workers])

        y, *_ = forward(layers, tried, tried.get("x", x), plain(state), moments, resets, skip)
        return naive.mean_loss(y, targets, ~skip[2:])

    params = plain(model.params)
    assert_close(found.loss, loss(params), 1e-12)
    wanted = naive.complex_step(loss, params | {"x": x})
    assert_close(found.x, wanted.pop("x"))
    assert_gradient(found.params, wanted)


def a_stream(model, pairs=26):
    """Three lanes, of which two are a step shorter; and what is in them."""
    rng = np.random.default_rng(5)
    data, goals = rng.normal(size=(pairs, 3)), rng.normal(size=(pairs, model.n_out))
    begins = np.arange(pairs) % 7 == 5
    laid = [naive.lanes(column, 3) for column in (data, goals, begins)]
    (x, there), (targets, _), (resets, _) = laid
    return Stream(data, 3, goals, begins), (x, targets, resets, there)


class Statistics:
    """Of every BatchNorm at every step of a stream, (T, B, n), found update by update."""

    def __init__(self, layers, there, bounds):
        self.there, self.bounds, self.layers = there, bounds, layers
        shapes = {i: (*there.shape, layer.sizes[1]) for i, layer in enumerate(layers)}
        self.found = {i: np.zeros((2, *shapes[i])) for i in shapes if is_batch_norm(layers[i])}

    def moments(self, first, start, stop):
        """For `forward` over the steps from ``first`` to ``stop``, new from ``start`` on."""

        def of(i, came):
            new = by_worker(came[..., start - first :, :, :], self.there[start:stop], self.bounds)
            whole = [np.empty(came.shape, came.dtype) for _ in new]
            for to, old, now in zip(whole, self.found[i], new, strict=True):
                to[..., : start - first, :, :] = old[first:start]
                to[..., start - first :, :, :] = now
            return whole

        return of

    def state(self, params, x, resets, step):
        """Before ``step``."""
        state = naive.zero_state(self.layers, x.shape[1])
        if step:
            _, _, state = forward(self.layers, params, x[:step], state,
                                  self.moments(0, step, step), resets[:step])  # fmt: skip
        return state

    def settle(self, came, first, start, stop, buffers):
        """Take what came in at the new steps; the running statistics go on by a tenth."""
        for i, x in came.items():
            for to, m in zip(self.found[i], self.moments(first, start, stop)(i, x), strict=True):
                to[start:stop] = m[start - first :]
            new = x[start - first :][self.there[start:stop]]
            if len(new) > 1:
                for name, m in (("mean", new.mean(axis=0)), ("var", new.var(axis=0, ddof=1))):
                    buffers[f"{i}.running_{name}"] *= 0.9
                    buffers[f"{i}.running_{name}"] += 0.1 * m


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
    known, start = Statistics(layers, there, BOUNDS[workers]), 0
    for step in trainer.steps(stream):
        stop = start + step.k1
        first = max(0, stop - k1_k2[1])
        state, moments = known.state(params, x, resets, first), known.moments(first, start, stop)
        goals, valid = targets[start:stop], there[start:stop]

        def run(tried, rows=slice(first, stop), state=state, moments=moments):
            return forward(layers, tried, x[rows], state, moments, resets[rows])

        def loss(tried, run=run, goals=goals, valid=valid):
            return naive.mean_loss(run(tried)[0], goals, valid)

        assert_close(step.loss, loss(params), 1e-12)
        assert_gradient(step.grads, naive.complex_step(loss, params))
        known.settle(run(params)[1], first, start, stop, buffers)
        assert_all_close(model.buffers, buffers, 1e-12)
        start = stop
    assert start == stream.steps


def a_trainer(layers, dtype="float64", **options):
    return Trainer(a_model(layers, dtype), loss=SquaredError(), optimizer=SGD(0.1, momentum=0.9),
                   **{"truncation": TBPTT(2, 5)} | options)  # fmt: skip


def test_the_running_statistics_are_those_of_all_workers():
    """Below the first BatchNorm nothing depends on the number of workers."""
    found = []
    for workers in (1, 3):
        trainer = a_trainer(STACKS[2], workers=workers, truncation=TBPTT(4, 4))
        next(trainer.steps(a_stream(trainer.model)[0]))
        found.append(plain(trainer.model.buffers))
    assert_close(found[0]["0.running_mean"], found[1]["0.running_mean"], 1e-14)
    assert_close(found[0]["0.running_var"], found[1]["0.running_var"], 1e-14)


@pytest.mark.parametrize("k1_k2", [(4, 4), (2, 5)], ids=str)
def test_a_run_goes_on_to_the_bit(tmp_path, k1_k2):
    trainer = a_trainer(STACKS[1], "float32", workers=2, truncation=TBPTT(*k1_k2))
    stream, _ = a_stream(trainer.model, 61)
    for _ in range(3):
        next(trainer.steps(stream))
    other = assert_goes_on(trainer, tmp_path / "trainer", stream, 9)
    for name, array in trainer.model.arrays.items():
        assert np.array_equal(array, other.model.arrays[name])
    trainer.model.save(tmp_path / "model")
    again = Model.load(tmp_path / "model")
    assert again.layers == trainer.model.layers
    x = an_input(again, 7, 2)
    assert np.array_equal(again(x)[0], trainer.model(x)[0])


def test_outside_training_the_running_statistics_are_used():
    trainer = a_trainer(STACKS[0], truncation=TBPTT(4, 4))
    stream, _ = a_stream(trainer.model, 61)
    list(trainer.steps(stream))
    model, buffers = trainer.model, trainer.model.buffers.flat.copy()
    assert np.abs(buffers - Model(STACKS[0]).buffers.flat).min() > 1e-3
    x, state = an_input(model, 5, 3), a_state(model, 3)
    wanted, _ = naive.forward(STACKS[0], plain(model.arrays), x, plain(state))
    assert_close(model(x, state)[0], wanted, 1e-12)
    now = state
    for t in range(5):
        y, now = model(x[t : t + 1], now)
        assert_close(y[0], wanted[t], 1e-12)
    loss, *_ = bptt.value_and_grad(model, SquaredError(), x, 0 * wanted, state)
    assert_close(loss, np.mean(wanted**2))
    pieces = bptt.predict(model, stream)
    assert np.isfinite(pieces).all()
    trainer.evaluate(stream)
    assert np.array_equal(model.buffers.flat, buffers)


@pytest.mark.parametrize("workers", [1, 3])
def test_padding_is_not_counted(workers):
    """Whatever stands after the end of a lane, an update is the same to the bit."""
    found = []
    for filling in (0.0, 1e3):
        model = a_model(STACKS[0])
        x, ended = an_input(model, 5, 3), np.zeros((5, 3), bool)
        ended[2:, 1] = ended[:, 2] = True
        x[ended] = filling
        result = bptt.value_and_grad(model, SquaredError(), x, np.ones((5, 3, 2)), mask=~ended,
                                     ended=ended, seed=0, workers=workers)  # fmt: skip
        found.append((result[0], result[1].flat.tobytes()))
        assert np.isfinite(result[1].flat).all()
    assert found[0] == found[1]


def test_over_one_step_and_lane_the_variance_is_zero():
    """Then y is β, no error comes back, and the running statistics learn nothing."""
    model = a_model([Linear(3, 4), BatchNorm(4)])
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), truncation=TBPTT(1, 1))
    before, goal = model.buffers.flat.copy(), np.ones((2, 4))
    step = next(trainer.steps(Stream(np.ones((2, 3)), 1, goal)))
    assert_close(step.loss, np.mean((model.params["1.beta"] - 1) ** 2), 1e-15)
    assert not any(step.grads[name].any() for name in ("0.W", "0.b", "1.gamma"))
    assert step.grads["1.beta"].all()
    assert np.array_equal(model.buffers.flat, before)


@pytest.mark.parametrize("truncation", [TBPTT(3, 3, memory="sqrt"), FullBPTT(memory=10.0)])
@pytest.mark.parametrize("layers", STACKS[:2], ids=words)
def test_memory_is_refused_in_training_alone(layers, truncation):
    said = r"layer 1 is .*BatchNorm\(4\).*, which takes statistics .*, so memory must be None"
    with pytest.raises(ValueError, match=said):
        a_trainer(layers, truncation=truncation)
    model, memory = a_model(layers), truncation.memory
    x, goals = an_input(model, 4, 2), np.ones((4, 2, model.n_out))
    with pytest.raises(ValueError, match=said):
        bptt.value_and_grad(model, SquaredError(), x, goals, seed=0, memory=memory)
    again, stored = (bptt.value_and_grad(model, SquaredError(), x, goals, memory=m)[1].flat
                     for m in (memory, None))  # fmt: skip
    assert_close(again, stored, 1e-12)


@pytest.mark.parametrize(("dtype", "rel"), [("float32", 1e-5), ("float64", 1e-11)])
def test_it_is_pytorchs(dtype, rel):
    """nn.BatchNorm1d on (T·B, n), over five updates and then in evaluation."""
    torch = pytest.importorskip("torch")
    model = a_model([Linear(3, 17), BatchNorm(17, momentum=0.3, eps=1e-3)], dtype)
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 17), torch.nn.BatchNorm1d(17, 1e-3, 0.3))
    theirs.to(getattr(torch, dtype))
    named = {"0.weight": "0.W", "0.bias": "0.b", "1.weight": "1.gamma", "1.bias": "1.beta"}
    with torch.no_grad():
        for name, param in theirs.named_parameters():
            param.copy_(torch.tensor(np.array(model.params[named[name]].T)))
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), truncation=TBPTT(4, 4),
                      workers=1)  # fmt: skip
    rng = np.random.default_rng(0)
    x, goals = rng.normal(1, 2, (20, 3, 3)), rng.normal(size=(20, 3, 17))
    lanes = [array.swapaxes(0, 1).reshape(60, -1) for array in (x, goals)]
    for n, step in enumerate(trainer.steps(Stream(lanes[0], 3, lanes[1]))):
        rows = slice(4 * n, 4 * n + 4)
        given, wanted = (torch.tensor(a[rows].reshape(12, -1).astype(dtype)) for a in (x, goals))
        theirs.zero_grad()
        loss = torch.nn.functional.mse_loss(theirs(given), wanted)
        loss.backward()
        assert_close(step.loss, loss.item(), rel)
        for name, param in theirs.named_parameters():
            if name != "0.bias":  # It is rounding, as in `assert_gradient`.
                assert_close(step.grads[named[name]], param.grad.numpy().T, rel, name)
    for name in ("running_mean", "running_var"):
        assert_close(model.buffers[f"1.{name}"], theirs[1].get_buffer(name).numpy(), rel)
    theirs.eval()
    y = theirs(torch.tensor(x.reshape(60, 3).astype(dtype))).detach().numpy()
    assert_close(model(x.astype(dtype))[0].reshape(60, 17), y, rel)


def test_it_trains_and_then_evaluates_alike():
    """Inputs of quite different sizes: the loss falls, and is about the same outside training."""
    rng = np.random.default_rng(3)
    x = rng.normal(5, [1e-2, 1, 1e2], (600, 3))
    goals = np.tanh(x @ [[1e2], [1], [-1e-2]] - 500)
    model = Model([BatchNorm(3), RNN(3, 8), BatchNorm(8), Linear(8, 1)])
    trainer = Trainer(model, loss=SquaredError(), optimizer=SGD(0.1, momentum=0.9),
                      truncation=TBPTT(5, 5))  # fmt: skip
    history = trainer.fit(Stream(x, 4, goals), epochs=10, progress=False)
    assert history.train_loss[-1] < history.train_loss[0] / 5
    assert trainer.evaluate(Stream(x, 4, goals)) < 2 * history.train_loss[-1]
