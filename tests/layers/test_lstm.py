"""The LSTM's two options: what is refused, how they begin, and the same as autograd."""

import naive
import numpy as np
import pytest
from helpers import Frozen, a_model, a_state, an_input, assert_all_close, assert_close, plain

import bptt
from bptt import (
    LSTM,
    TBPTT,
    Embedding,
    Linear,
    Model,
    SquaredError,
    Trainer,
    histories,
    initializers,
)
from bptt.kernels.moments import EPS

OPTIONS = ("layer_norm", "peepholes")
SHAPES = {"Wx": (3, 20), "Wh": (5, 20), "b": (20,)}


def torch_lstm(torch, params, x, h, c, option):
    """y (T, B, H), from torch's own operations, of which autograd knows the way back."""
    n, y = h.shape[1], []

    def norm(a, gain, bias=None):
        return torch.nn.functional.layer_norm(a, gain.shape, gain, bias, EPS)

    for x_t in x:
        from_x, from_h = x_t @ params["0.Wx"], h @ params["0.Wh"]
        if option == "layer_norm":
            from_x, from_h = norm(from_x, params["0.gx"]), norm(from_h, params["0.gh"])
        i, f, g, o = (from_x + from_h + params["0.b"]).split(n, dim=1)
        if option == "peepholes":
            i, f = i + params["0.p"][0] * c, f + params["0.p"][1] * c
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        if option == "peepholes":
            o, inner = o + params["0.p"][2] * c, c
        else:
            inner = norm(c, params["0.gc"], params["0.bc"])
        h = torch.sigmoid(o) * torch.tanh(inner)
        y.append(h)
    return torch.stack(y)


@pytest.mark.parametrize("n", [3, 17])
@pytest.mark.parametrize(("dtype", "rel"), [("float64", 1e-11), ("float32", 1e-5)])
@pytest.mark.parametrize("option", OPTIONS)
def test_the_same_as_autograd(option, dtype, rel, n):
    torch = pytest.importorskip("torch")
    model = a_model([LSTM(4, n, **{option: True})], dtype)
    x, state = an_input(model, 7, 3), a_state(model, 3)
    targets = np.random.default_rng(4).normal(size=(7, 3, n)).astype(dtype)
    given = {"x": x, **model.params, **{f"state.{name}": s for name, s in state.items()}}
    given = {name: torch.tensor(array, requires_grad=True) for name, array in given.items()}
    h, c = given["state.0.h"], given["state.0.c"]
    y = torch_lstm(torch, given, given["x"], h, c, option)
    loss = ((y - torch.tensor(targets)) ** 2).mean()
    loss.backward()
    found = bptt.gradients(model, SquaredError(), x, targets, state, workers=2)
    theirs = {name: tensor.grad.numpy() for name, tensor in given.items()}
    assert_close(model(x, state)[0], y.detach().numpy(), rel)
    assert_close(found.loss, loss.item(), rel)
    assert_close(found.x, theirs["x"], rel)
    assert_all_close(found.params, {name: theirs[name] for name in model.params}, rel)
    assert_all_close(found.state, {name: theirs[f"state.{name}"] for name in state}, rel)


@pytest.mark.parametrize(
    ("layer", "own"),
    [
        (LSTM(3, 5, layer_norm=True), {"gx": (20,), "gh": (20,), "gc": (5,), "bc": (5,)}),
        (LSTM(3, 5, peepholes=True), {"p": (3, 5)}),
    ],
    ids=str,
)
def test_names_and_shapes_of_parameters(layer, own):
    assert layer.shapes() == SHAPES | own
    assert Model([layer]).params.shapes == {f"0.{n}": s for n, s in (SHAPES | own).items()}


def test_an_option_shows_in_words():
    assert str(LSTM(3, 5, layer_norm=True)) == "LSTM(3, 5, layer_norm=True)"
    assert str(LSTM(3, 5, peepholes=True)) == "LSTM(3, 5, peepholes=True)"


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("given", [None, 1, "yes"])
def test_an_option_is_true_or_false(option, given):
    with pytest.raises(ValueError, match=f"{option} must be True or False, got {given!r}"):
        LSTM(3, 5, **{option: given})


def test_both_options_are_refused():
    with pytest.raises(ValueError, match="layer_norm or peepholes, but not both"):
        LSTM(3, 5, layer_norm=True, peepholes=True)


def test_how_their_parameters_begin():
    params = Model([LSTM(30, 8, 1.5, layer_norm=True)]).params
    assert all((params[f"0.{name}"] == 1).all() for name in ("gx", "gh", "gc"))
    assert not params["0.bc"].any()
    assert params["0.b"].tolist() == [0.0] * 8 + [1.5] * 8 + [0.0] * 16
    assert not Model([LSTM(30, 8, peepholes=True)]).params["0.p"].any()


def test_with_peepholes_it_begins_as_it_does_without():
    x, targets = np.ones((4, 2, 3)), np.ones((4, 2, 5))
    without, with_them = (
        bptt.gradients(Model([layer], seed=2, dtype="float64"), SquaredError(), x, targets)
        for layer in (LSTM(3, 5), LSTM(3, 5, peepholes=True))
    )
    assert with_them.loss == without.loss
    for name, grad in without.params.items():
        assert_close(with_them.params[name], grad, 1e-14)
    assert np.abs(with_them.params["0.p"]).min() > 0


@pytest.mark.parametrize("option", OPTIONS)
def test_chrono_fits_them_too(option):
    """Without input, and a cell that no peephole sees, f is the sigmoid of its bias."""
    model = Model([LSTM(1, 8, **{option: True})], dtype="float64")
    model.params["0.b"] = bias = initializers.chrono(8, 50, np.random.default_rng(0))
    state = {"0.h": np.zeros((1, 8)), "0.c": np.ones((1, 8))}
    _, after = model(np.zeros((1, 1, 1)), state)
    assert_close(after["0.c"][0], 1 - 1 / (1 + np.exp(bias[8:16])), 1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_statistics_are_those_of_real_units(dtype):
    """Large and nearly constant rows of sizes that fill no vector keep their variance."""
    layer = LSTM(2, 3, layer_norm=True)
    model = a_model([layer], dtype)
    model.params["0.Wx"] = 1000 + model.params["0.Wx"]
    model.params["0.Wh"] = 1000 + model.params["0.Wh"]
    x, state = an_input(model, 12, 2), a_state(model, 2)
    y, final = model(x, state)
    params, exact = plain(model.params), x.astype(np.float64)
    wanted, wanted_final = naive.forward([layer], params, exact, plain(state))
    rel = 1e-9 if dtype == "float64" else 2e-2
    assert_close(y, wanted, rel)
    assert_all_close(final, wanted_final, rel)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("lanes", [1, 3])
def test_step_by_step_from_zeros(option, lanes):
    """Before the first step h Wh is zero, and so is what the normalisation makes of it."""
    model = a_model([Embedding(6, 3), LSTM(3, 5, **{option: True}), Linear(5, 2)])
    ids, state, outputs = an_input(model, 9, lanes), None, []
    for row in ids:
        y, state = model(row[np.newaxis], state)
        outputs.append(y[0])
    zeros = naive.zero_state(model.layers, lanes)
    wanted, final = naive.forward(model.layers, plain(model.params), ids, zeros)
    assert_close(np.array(outputs), wanted, 1e-12)
    assert_all_close(state, final, 1e-12)


@pytest.mark.parametrize("option", OPTIONS)
def test_saturation_is_that_of_the_gates(option):
    """With any number of workers, from k1 < k2 steps, and without what fills the last vector."""
    model = a_model([Embedding(6, 3), LSTM(3, 5, **{option: True}), Linear(5, 6)])
    ids, k2 = np.arange(61) ** 2 % 6, 7
    gates = histories(model, naive.lanes(ids[:-1], 3)[0])
    for workers in (1, 2, 3):
        trainer = Trainer(model, loss=bptt.CrossEntropy(), optimizer=Frozen(),
                          truncation=TBPTT(3, k2), workers=workers)  # fmt: skip
        for _ in trainer.steps(bptt.Stream(ids, 3)):
            pass
        found = trainer.watch().saturation
        for name, steepest in zip("ifgo", (0.25, 0.25, 1, 0.25), strict=True):
            gate = gates[f"1.{name}"][-k2:]
            slope = 1 - gate**2 if name == "g" else gate * (1 - gate)
            assert_close(found[f"1.{name}"], 1 - slope.mean(axis=(1, 2)) / steepest, 1e-10)


def test_an_older_step_keeps_the_output_of_its_own_parameters():
    """Of one unit ĉ is 0, and the output o·tanh(bc): so the gradient of bc can be read off."""
    model = a_model([LSTM(2, 1, layer_norm=True), Linear(1, 1)])
    trainer = Trainer(
        model, loss=SquaredError(), optimizer=Frozen(), truncation=TBPTT(1, 2), workers=1
    )
    rng = np.random.default_rng(0)
    updates = trainer.steps(bptt.Stream(rng.normal(size=(2, 2)), 1, np.ones((2, 1))))
    squashed = [np.tanh(model.params["0.bc"][0])]
    next(updates)
    model.params["0.bc"] += 0.7
    squashed.append(np.tanh(model.params["0.bc"][0]))
    second = next(updates)
    h, norms = trainer.team.windows[0].tapes[0].states["h"][1:3, 0, 0], second.flow["0.h"]
    slopes = [norm * y / s * (1 - s * s) for norm, y, s in zip(norms, h, squashed, strict=True)]
    found = abs(second.grads["0.bc"][0])
    assert min(abs(found - abs(slopes[1] + sign * slopes[0])) for sign in (1, -1)) < 1e-12
    assert slopes[0] > 1e-4
