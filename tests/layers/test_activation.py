"""Multilayer perceptrons over features: PyTorch's gradient, and one that learns."""

import numpy as np
import pytest
from helpers import a_model, an_input, assert_close

import bptt
from bptt import TBPTT, Activation, Adam, CrossEntropy, Linear, Model, SquaredError, Stream, Trainer
from bptt.kernels.compile import JIT

THEIRS = {
    "tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "ReLU", "leaky_relu": "LeakyReLU",
    "identity": "Identity",
}  # fmt: skip


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize(("dtype", "rel"), [("float32", 3e-6), ("float64", 1e-12)])
def test_a_multilayer_perceptron_is_pytorchs(name, dtype, rel):
    torch = pytest.importorskip("torch")
    model = a_model([Linear(3, 17), Activation(17, name), Linear(17, 2)], dtype)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 17), getattr(torch.nn, THEIRS[name])(), torch.nn.Linear(17, 2)
    ).to(getattr(torch, dtype))
    named = {f"{i}.{word}": f"{i}.{ours}" for i in (0, 2)
             for word, ours in (("weight", "W"), ("bias", "b"))}  # fmt: skip
    with torch.no_grad():
        for theirs_name, param in theirs.named_parameters():
            param.copy_(torch.tensor(np.array(model.params[named[theirs_name]].T)))
    x, goals = an_input(model, 6, 5), np.ones((6, 5, 2), dtype)
    y = theirs(torch.tensor(x))
    torch.nn.functional.mse_loss(y, torch.tensor(goals)).backward()
    _, grads, _ = bptt.value_and_grad(model, SquaredError(), x, goals, workers=2)
    assert_close(model(x)[0], y.detach().numpy(), rel)
    for theirs_name, param in theirs.named_parameters():
        assert_close(grads[named[theirs_name]], param.grad.numpy().T, rel)


@pytest.mark.skipif(not JIT, reason="trains for minutes without compiled kernels")
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "leaky_relu"])
def test_a_multilayer_perceptron_learns_what_no_linear_map_can(name):
    """The exclusive or of two signs."""
    x = np.random.default_rng(0).uniform(-1, 1, (400, 2)).astype(np.float32)
    stream = Stream(x, 20, (x[:, 0] * x[:, 1] > 0).astype(int))
    found = []
    for kind in ("identity", name):
        model = Model([Linear(2, 16), Activation(16, kind), Linear(16, 2)], seed=1)
        trainer = Trainer(model, loss=CrossEntropy(), optimizer=Adam(0.03), truncation=TBPTT(5, 5))
        trainer.fit(stream, epochs=60, progress=False)
        found.append(trainer.evaluate(stream))
    assert found[0] > 0.6
    assert found[1] < 0.25


def test_a_relu_at_zero_has_the_slope_zero():
    model, x = Model([Activation(3, "relu")], dtype="float64"), np.array([[[-1.0, 0.0, 1.0]]])
    found = bptt.gradients(model, SquaredError(), x, -np.ones((1, 1, 3)))
    assert found.x[0, 0].tolist() == [0, 0, 4 / 3]
