"""What several tests share: models with parameters that hide nothing, comparisons, processes."""

import math
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import naive
import numpy as np

import bptt
from bptt import LSTM, SGD, TBPTT, CrossEntropy, Embedding, Linear
from bptt.kernels.compile import JIT

TESTS = Path(__file__).parent
ROOT = Path(bptt.__file__).parent.parent
EXACT = 1e-10
"""Relative tolerance for float64 against an oracle that sums in another order."""


def few(n):
    """``n`` examples; fewer where kernels run as plain Python."""
    return n if JIT else max(2, n // 2)


def words(layers):
    """Layers as the name of a test."""
    return " ".join(map(word, layers))


def word(layer):
    """A layer with the option that makes another cell of it."""
    before = "" if getattr(layer, "reset_after", True) else "before"
    return f"{layer}{getattr(layer, 'activation', before)}"


def a_model(layers, dtype="float64", seed=0):
    """A model none of whose parameters is zero."""
    model = bptt.Model(layers, dtype=dtype)
    rng = np.random.default_rng(seed)
    model.params.flat[:] = rng.normal(scale=0.6, size=model.params.flat.size)
    return model


def a_state(model, lanes, seed=1):
    state = model.zero_state(lanes)
    state.flat[:] = np.random.default_rng(seed).uniform(-0.9, 0.9, state.flat.size)
    return state


def an_input(model, steps, lanes, seed=2):
    rng = np.random.default_rng(seed)
    if model.reads_ids:
        return rng.integers(0, model.n_in, (steps, lanes))
    return rng.normal(size=(steps, lanes, model.n_in)).astype(model.dtype)


def some_marks(steps, lanes, seed=8):
    """resets and ended, (T, B): several sequences in most lanes, with padding after some."""
    rng = np.random.default_rng(seed)
    resets, ended = rng.random((steps, lanes)) < 0.3, np.zeros((steps, lanes), bool)
    for b in range(lanes):
        stops = [*np.flatnonzero(resets[1:, b]) + 1, steps]
        for start, stop in zip([0, *stops], stops, strict=False):
            ended[stop - rng.integers(0, stop - start + (start > 0)) : stop, b] = True
    return resets, ended


def a_stream(model, loss, pairs, batch, seed=6):
    """A stream, and the same pairs laid out in lanes: x, targets, where there are any."""
    rng = np.random.default_rng(seed)
    if model.reads_ids:
        data = rng.integers(0, model.n_in, pairs)
    else:
        data = rng.normal(size=(pairs, model.n_in))
    if isinstance(loss, CrossEntropy):
        targets = rng.integers(-1, model.n_out, pairs)
        targets[::7] = 0
    else:
        targets = rng.normal(size=(pairs, model.n_out))
    (x, there), (laid, _) = naive.lanes(data, batch), naive.lanes(targets, batch)
    return bptt.Stream(data, batch, targets), (x, laid, there)


def flow_of(delta, k2):
    """Per layer the norms over lanes and units, newest last, nan before the first step."""
    flow = {}
    for i, errors in delta.items():
        flow[f"{i}.h"] = np.full(k2, np.nan)
        flow[f"{i}.h"][k2 - len(errors) :] = np.sqrt((errors**2).sum(axis=(1, 2)))
    return flow


def at_once(work, of):
    """``work`` for each of ``of``, in threads of their own, which come to an end."""
    threads = [threading.Thread(target=work, args=(one,)) for one in of]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "threads hang"


def plain(block):
    """A Block as a dict of float64."""
    return {name: view.astype(np.float64) for name, view in block.items()}


def assert_close(got, want, rel=EXACT, name=""):
    """The largest difference is at most ``rel`` of the largest number wanted."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert got.shape == want.shape, name
    assert np.isfinite(got).all(), name
    difference = np.abs(got - want).max(initial=0)
    assert difference <= rel * np.abs(want).max(initial=0) + 1e-300, (name, difference)


def assert_goes_on(trainer, path, stream, updates):
    """What `save` wrote to ``path`` goes on as ``trainer`` itself, bit for bit; it is returned."""
    trainer.save(path)
    other = bptt.Trainer.load(path)
    for _ in range(updates):
        one, two = (next(t.steps(stream)) for t in (trainer, other))
        assert one.loss == two.loss
        assert one.grads.flat.tobytes() == two.grads.flat.tobytes()
    assert trainer.model.params.flat.tobytes() == other.model.params.flat.tobytes()
    return other


def assert_update(step, wanted, rel=EXACT):
    """``step`` is the `naive.Result` ``wanted``."""
    if step.targets:
        # A loss near zero is a difference of logits of the size of one.
        assert math.isclose(step.loss, wanted.loss, rel_tol=rel, abs_tol=1e-14)
    else:
        assert math.isnan(step.loss)
    assert_all_close(step.grads, wanted.params, rel)
    assert math.isclose(step.grad_norm, np.linalg.norm(step.grads.flat), rel_tol=EXACT)
    flow = flow_of(wanted.delta, step.k2)
    assert set(step.flow) == set(flow)
    for name, norms in flow.items():
        np.testing.assert_allclose(step.flow[name], norms, rtol=10 * rel, atol=1e-15)


def assert_all_close(got, want, rel=EXACT):
    assert set(got) == set(want)
    for name in want:
        assert_close(got[name], want[name], rel, name)


@dataclass(frozen=True)
class Frozen(bptt.Optimizer):
    """Leaves the parameters as they are."""

    learning_rate: float = 1.0

    def update(self, params, grads, moments, n, rate, clipping):
        pass


def a_trainer(dtype="float64", **changes):
    """Of a small LSTM over six ids."""
    options = {
        "model": a_model([Embedding(6, 3), LSTM(3, 5), Linear(5, 6)], dtype),
        "loss": CrossEntropy(),
        "optimizer": SGD(0.1),
        "truncation": TBPTT(4, 4),
        "workers": 1,
    }
    return bptt.Trainer(**options | changes)


def python(code, *args, **variables):
    """Run ``code`` in a new process that finds bptt and the tests; its output and errors."""
    path = os.pathsep.join([str(ROOT), str(TESTS)])
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, args)],
        env=os.environ | {"PYTHONPATH": path} | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr
