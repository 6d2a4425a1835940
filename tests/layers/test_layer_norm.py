"""LayerNorm: its formula, PyTorch's, and features that are all equal."""

import numpy as np
import pytest
from helpers import a_model, an_input, assert_close

import bptt
from bptt import LayerNorm, Linear, SquaredError


@pytest.mark.parametrize("n", [3, 17, 70])
@pytest.mark.parametrize(("dtype", "rel"), [("float32", 2e-5), ("float64", 1e-12)])
def test_it_is_pytorchs(dtype, rel, n):
    torch = pytest.importorskip("torch")
    model = a_model([LayerNorm(n, eps=1e-3)], dtype)
    x = 3 * an_input(model, 7, 3) + 1
    goals = np.random.default_rng(0).normal(size=x.shape).astype(dtype)
    theirs = torch.nn.LayerNorm(n, eps=1e-3, dtype=getattr(torch, dtype))
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(model.params["0.gamma"]))
        theirs.bias.copy_(torch.tensor(model.params["0.beta"]))
    given = torch.tensor(x, requires_grad=True)
    y = theirs(given)
    torch.nn.functional.mse_loss(y, torch.tensor(goals)).backward()
    found = bptt.gradients(model, SquaredError(), x, goals)
    assert_close(model(x)[0], y.detach().numpy(), rel)
    assert_close(found.params["0.gamma"], theirs.weight.grad.numpy(), rel)
    assert_close(found.params["0.beta"], theirs.bias.grad.numpy(), rel)
    assert_close(found.x, given.grad.numpy(), rel)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_statistics_are_those_of_the_features(dtype):
    """Whatever their size and mean: a norm that divides by a variance near zero would show it."""
    model = bptt.Model([LayerNorm(17)], dtype=dtype)
    for size, middle in ((1.0, 0.0), (1e4, 1e4), (1e-1, 5.0)):
        x = size * an_input(model, 5, 3) + np.asarray(middle, dtype)
        y, _ = model(x)
        exact = x.astype(float)
        var = exact.var(axis=2, keepdims=True)
        wanted = (exact - exact.mean(axis=2, keepdims=True)) / np.sqrt(var + 1e-5)
        assert_close(y, wanted, 1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("n", [1, 5])
def test_features_that_are_all_equal_become_beta(n):
    model = a_model([Linear(2, n), LayerNorm(n)])
    model.params["0.W"][...], model.params["0.b"][...] = 1, 2
    x = an_input(model, 3, 2)
    assert_close(model(x)[0], np.broadcast_to(model.params["1.beta"], (3, 2, n)), 1e-12)
    _, grads, _ = bptt.value_and_grad(model, SquaredError(), x, np.ones((3, 2, n)))
    assert np.isfinite(grads.flat).all()
