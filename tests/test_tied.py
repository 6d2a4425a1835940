"""Embedding and Linear with one matrix: its gradient has the parts of both."""

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
    plain,
    words,
)

import bptt
from bptt import (
    GRU,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    CrossEntropy,
    Embedding,
    FileFormatError,
    Linear,
    Model,
    Residual,
    Stream,
    Trainer,
)

STACKS = [
    [Embedding(6, 4), LSTM(4, 4), Linear(4, 6, tied=True)],
    [Embedding(5, 3), Linear(3, 5, tied=True)],
    [Embedding(3, 17), RNN(17, 5), Linear(5, 17), Linear(17, 3, tied=True), Linear(3, 4)],
    [Embedding(4, 4), GRU(4, 4), Residual(Linear(4, 4, tied=True)), Linear(4, 4, tied=True)],
]
SQUARE = STACKS[0]
"""Which reads what it puts out."""


def whole(layers, params):
    """``params``, and the shared matrix under the names of those that borrow it."""
    borrowed = {f"{i}.W": params["0.W"] for i, layer in enumerate(layers) if layer.borrows()}
    return params | {name: w.swapaxes(-1, -2) for name, w in borrowed.items()}


def slopes(model, x, targets, state, valid=None, resets=None):
    def loss(tried):
        y, _ = naive.forward(model.layers, whole(model.layers, tried), x, state, resets=resets)
        return naive.mean_loss(y, targets, valid)

    return naive.complex_step(loss, plain(model.params))


def ids_for(model, steps, lanes, seed=4):
    return np.random.default_rng(seed).integers(-1, model.n_out, (steps, lanes))


@pytest.mark.parametrize("steps", [3, 12])
@pytest.mark.parametrize(("workers", "memory"), [(1, None), (3, None), (2, "sqrt")])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_the_gradient_of_the_shared_matrix(layers, workers, memory, steps):
    """Twelve steps are enough for the ids not to be written out, three are not."""
    model = a_model(layers)
    x, state, targets = an_input(model, steps, 3), a_state(model, 3), ids_for(model, steps, 3)
    resets = np.zeros((steps, 3), bool)
    resets[[1, 2], [0, 1]] = True
    loss, grads, final = bptt.value_and_grad(
        model, CrossEntropy(), x, targets, state, resets=resets, workers=workers, memory=memory
    )
    params, start = whole(layers, plain(model.params)), plain(state)
    y, wanted = naive.forward(layers, params, x, start, resets=resets)
    assert_close(loss, naive.mean_loss(y, targets), 1e-12)
    assert_all_close(grads, slopes(model, x, targets, start, resets=resets))
    assert_all_close(final, wanted, 1e-12)


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_every_update_of_a_sliding_window(layers, memory):
    model = a_model(layers)
    rng = np.random.default_rng(5)
    data, goals = rng.integers(0, model.n_in, 26), rng.integers(0, model.n_out, 26)
    (x, there), (targets, _) = naive.lanes(data, 3), naive.lanes(goals, 3)
    trainer = Trainer(model, loss=CrossEntropy(), optimizer=Frozen(), workers=2,
                      truncation=TBPTT(2, 5, memory=memory))  # fmt: skip
    params, start = whole(layers, plain(model.params)), 0
    for step in trainer.steps(Stream(data, 3, goals)):
        stop = start + step.k1
        first = max(0, stop - 5)
        state = naive.zero_state(layers, 3)
        if first:
            _, state = naive.forward(layers, params, x[:first], state)
        wanted = slopes(model, x[first:stop], targets[start:stop], state, there[start:stop])
        assert_all_close(step.grads, wanted)
        start = stop


@pytest.mark.parametrize(("dtype", "rel"), [("float32", 3e-6), ("float64", 1e-12)])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_it_runs_step_by_step(layers, dtype, rel):
    model = a_model(layers, dtype)
    x, state = an_input(model, 9, 2), a_state(model, 2)
    y, final = naive.forward(layers, whole(layers, plain(model.params)), x, plain(state))
    assert_close(model(x, state)[0], y, rel)
    for t in range(9):
        out, state = model(x[t : t + 1], state)
        assert out.dtype == dtype
        assert_close(out[0], y[t], rel)
    assert_all_close(state, final, rel)


def test_one_matrix_begins_as_that_of_a_linear_layer():
    model = Model([Embedding(50, 30), Linear(30, 50, tied=True)])
    assert model.params.shapes == {"0.W": (50, 30), "1.b": (50,)}
    limit = np.sqrt(6 / 80)
    assert 0.95 * limit < np.abs(model.params["0.W"]).max() <= np.float32(limit)
    assert model.arrays.keys() == model.params.keys()
    model.params["0.W"][...] = 0
    assert not model([[3]])[0].any()


def test_what_looks_at_a_model_sees_what_separate_copies_do():
    model = a_model(SQUARE)
    other = Model([*SQUARE[:2], Linear(4, 6)], dtype="float64")
    for name, values in whole(SQUARE, plain(model.params)).items():
        other.params[name] = values
    x, state, targets = an_input(model, 12, 1), a_state(model, 1), ids_for(model, 12, 1)
    found, wanted = (bptt.gradients(m, CrossEntropy(), x, targets, state) for m in (model, other))
    assert_close(found.params["0.W"], wanted.params["0.W"] + wanted.params["2.W"].T)
    assert_all_close(found.state, wanted.state)
    found, wanted = (
        bptt.gradient_flow(m, CrossEntropy(), x, targets, state).norms for m in (model, other)
    )
    np.testing.assert_allclose(found["1.h"], wanted["1.h"], rtol=1e-12)
    found, wanted = (bptt.jacobian_spectrum(m, x, state).state_values for m in (model, other))
    assert_close(found, wanted)
    found, wanted = (bptt.histories(m, x, state) for m in (model, other))
    assert_all_close(found, wanted)
    found, wanted = (m.generate(x, 20, state=state, seed=3)[0] for m in (model, other))
    assert np.array_equal(found, wanted)


def test_the_report_has_a_row_for_the_bias_alone():
    ids = np.random.default_rng(1).integers(0, 6, 200)
    found = bptt.truncation_report(a_model(SQUARE), CrossEntropy(), Stream(ids, 4), [3, 10])
    assert set(found.error) == {"all", "0", "1", "2"}
    assert found.error["2"][0] < 1e-10
    assert found.error["0"][0] > found.error["0"][1] > 1e-6


def test_a_run_goes_on(tmp_path):
    model = a_model(SQUARE, "float32")
    stream = Stream(np.random.default_rng(1).integers(0, 6, 60), 3)
    trainer = Trainer(model, loss=CrossEntropy(), optimizer=SGD(0.1, momentum=0.9), workers=2,
                      truncation=TBPTT(2, 5))  # fmt: skip
    for _ in range(3):
        next(trainer.steps(stream))
    trainer.save(tmp_path / "trainer")
    model.save(tmp_path / "model")
    same = Model.load(tmp_path / "model")
    assert same.layers == model.layers
    assert np.array_equal(same([[1, 2]])[0], model([[1, 2]])[0])
    other = Trainer.load(tmp_path / "trainer")
    for one, two in zip(trainer.steps(stream), other.steps(stream), strict=True):
        assert np.array_equal(one.grads.flat, two.grads.flat)
    assert np.array_equal(trainer.model.params.flat, other.model.params.flat)


def test_errors_may_go_back_through_another_matrix():
    model = a_model([Embedding(6, 4), RNN(4, 4), Linear(4, 6, tied=True, feedback="random")])
    assert model.buffers.shapes == {"2.B": (4, 6)}
    x, state, targets = an_input(model, 5, 2), a_state(model, 2), ids_for(model, 5, 2)
    _, grads, _ = bptt.value_and_grad(model, CrossEntropy(), x, targets, state)
    params = whole(model.layers, plain(model.arrays))
    wanted = naive.backward(model.layers, params, x, targets, plain(state)).params
    wanted["0.W"] += wanted.pop("2.W").T
    assert_all_close(grads, wanted)


def test_pytorch_with_tied_weights():
    torch = pytest.importorskip("torch")
    model = a_model([Embedding(7, 5), LSTM(5, 5), Linear(5, 7, tied=True)])
    x, targets = an_input(model, 9, 3), np.abs(ids_for(model, 9, 3))
    embedding = torch.nn.Embedding(7, 5).double()
    lstm, linear = torch.nn.LSTM(5, 5).double(), torch.nn.Linear(5, 7).double()
    linear.weight = embedding.weight
    theirs = {
        "0.W": embedding.weight,
        "1.Wx": lstm.weight_ih_l0,
        "1.Wh": lstm.weight_hh_l0,
        "1.b": lstm.bias_ih_l0,
        "2.b": linear.bias,
    }
    with torch.no_grad():
        lstm.bias_hh_l0.zero_()
        for name, weight in theirs.items():
            ours = model.params[name]
            weight.copy_(torch.tensor(ours.T if ".W" in name and name != "0.W" else ours))
    y, _ = lstm(embedding(torch.tensor(x)))
    loss = torch.nn.functional.cross_entropy(
        linear(y).reshape(-1, 7), torch.tensor(targets).reshape(-1)
    )
    loss.backward()
    found, grads, _ = bptt.value_and_grad(model, CrossEntropy(), x, targets)
    assert_close(found, loss.item(), 1e-12)
    for name, weight in theirs.items():
        grad = weight.grad.numpy()
        assert_close(grads[name], grad.T if ".W" in name and name != "0.W" else grad)


@pytest.mark.parametrize(
    "layers",
    [
        [Embedding(6, 5), LSTM(5, 4), Linear(4, 6, tied=True)],
        [Embedding(5, 4), LSTM(4, 4), Linear(4, 6, tied=True)],
        [Linear(6, 4), LSTM(4, 4), Linear(4, 6, tied=True)],
        [RNN(6, 4), Residual(LSTM(4, 4)), Linear(4, 6, tied=True)],
    ],
    ids=words,
)
def test_there_must_be_an_embedding_of_the_same_sizes(layers):
    said = (
        r"layer 2 is Linear\(4, 6, tied=True\), so layer 0 must be Embedding\(6, 4\), whose W it "
    )
    with pytest.raises(ValueError, match=said) as error:
        Model(layers)
    assert str(error.value).endswith(f"but that is {layers[0]}")


def test_a_lone_layer_cannot_be_tied():
    with pytest.raises(ValueError, match="layer 0 is Linear"):
        Model([Linear(4, 4, tied=True)])


@pytest.mark.parametrize("given", [None, 1, "0.W"])
def test_tied_is_true_or_false(given):
    with pytest.raises(ValueError, match="tied must be True or False, got"):
        Linear(4, 6, tied=given)


def test_a_file_whose_layers_do_not_fit_is_refused(tmp_path, monkeypatch):
    model = Model(SQUARE)
    config = model.config()
    config["layers"][0]["n_ids"] = 5
    monkeypatch.setattr(model, "config", lambda: config)
    model.save(tmp_path / "model")
    with pytest.raises(FileFormatError, match=r"so layer 0 must be Embedding\(6, 4\)"):
        Model.load(tmp_path / "model")
