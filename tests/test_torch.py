"""The same numbers as PyTorch: from a file made with it, and live where it is installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_all_close, assert_close
from toolbox import OPTIMIZERS

import bptt
from bptt import GRU, LSTM, RNN, ClipNorm, ClipValue, SquaredError
from bptt.clip import Clipping

FIXTURES = Path(__file__).parent / "fixtures"
FILE = dict(np.load(FIXTURES / "torch.npz"))
REL = {"float32": 3e-6, "float64": 1e-11}
PATHS = {"float32": 3e-5, "float64": 1e-11}
"""PyTorch divides by norm + 1e-6 where it clips; `clipping` below says so too."""


@pytest.fixture(scope="module")
def live():
    """What this PyTorch says."""
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("maker", FIXTURES / "make_torch_fixture.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    return maker.everything()


def in_our_words(arrays, kind):
    """Parameters, or their gradients, as a bptt model of two layers names and lays them out.

    PyTorch has two biases, of which each gets the gradient of their sum; but a GRU's n needs both.
    """
    found = {}
    for i in range(2):
        for name in ("Wx", "Wh", "b"):
            theirs = {"Wx": "weight_ih", "Wh": "weight_hh", "b": "bias_ih"}[name]
            found[f"{i}.{name}"] = arrays[f"{kind}{theirs}_l{i}"].T
        second = arrays[f"{kind}bias_hh_l{i}"].copy()
        if kind.startswith("gru"):
            n = len(second) // 3
            found[f"{i}.bh"] = second[2 * n :].copy()
            second[2 * n :] = 0
        if "grad" not in kind:
            found[f"{i}.b"] = found[f"{i}.b"] + second
    return found


GATED = {"lstm": LSTM, "gru": GRU}
KINDS = ["tanh", "relu", *GATED]


def check_cell(arrays, kind, dtype, workers):
    features, units = arrays[f"{kind}.x"].shape[2], arrays[f"{kind}.y"].shape[2]
    names = "hc" if kind == "lstm" else "h"
    if kind in GATED:
        layers = [GATED[kind](features, units), GATED[kind](units, units)]
    else:
        layers = [RNN(features, units, kind), RNN(units, units, kind)]
    model = bptt.Model(layers, dtype=dtype)
    for name, array in in_our_words(arrays, f"{kind}.").items():
        model.params[name] = array
    state = {f"{i}.{n}": arrays[f"{kind}.{n}0"][i] for n in names for i in range(2)}
    x, targets = arrays[f"{kind}.x"], arrays[f"{kind}.targets"]
    y, _ = model(x, state)
    found = bptt.gradients(model, SquaredError(), x, targets, state, workers=workers)
    rel = REL[dtype]
    assert_close(y, arrays[f"{kind}.y"], rel)
    assert_close(found.loss, arrays[f"{kind}.loss"], rel)
    assert_close(found.x, arrays[f"{kind}.grad.x"], rel)
    assert_all_close(found.params, in_our_words(arrays, f"{kind}.grad."), rel)
    for n in names:
        for i in range(2):
            assert_close(found.final_state[f"{i}.{n}"], arrays[f"{kind}.{n}n"][i], rel)
            assert_close(found.state[f"{i}.{n}"], arrays[f"{kind}.grad.{n}0"][i], rel)


CLIPS = {"free": None, "norm": ClipNorm(1.5), "value": ClipValue(0.4)}


def clipping(clip, grad):
    norm = float(np.linalg.norm(grad))
    if clip is None:
        return Clipping(1.0, np.inf)
    if isinstance(clip, ClipNorm) and norm > clip.norm:
        return Clipping(clip.clipping(norm).factor * norm / (norm + 1e-6), np.inf)
    return clip.clipping(norm)


def check_optimizer(arrays, name, clip, dtype):
    optimizer, path = OPTIMIZERS[name], []
    params = arrays["params"].astype(dtype)
    moments = {moment: np.zeros_like(params) for moment in optimizer.moments}
    for n, grad in enumerate(arrays["grads"], start=1):
        rate, rule = optimizer.rate(n - 1, 0), clipping(CLIPS[clip], grad)
        optimizer.update(params, grad.astype(dtype), moments, n, rate, rule)
        path.append(params.copy())
    assert_close(path[9::10], arrays[f"{name}.{clip}"], PATHS[dtype])


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_cells(kind, dtype, workers):
    check_cell(FILE, kind, dtype, workers)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name, clip, dtype):
    check_optimizer(FILE, name, clip, dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_cells_live(live, kind):
    check_cell(live, kind, "float64", 1)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_live(live, name, clip):
    check_optimizer(live, name, clip, "float64")


def test_the_file_has_both_clips_at_work():
    norms = np.linalg.norm(FILE["grads"], axis=1)
    assert 20 < (norms > 1.5).sum() < 90
    assert (np.abs(FILE["grads"]).max(axis=1) > 0.4).sum() > 20
