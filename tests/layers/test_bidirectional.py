"""Bidirectional layers: against each sequence by itself, step by step, and against PyTorch."""

import naive
import numpy as np
import pytest
from helpers import (
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
    Bidirectional,
    Dropout,
    Embedding,
    Last,
    Linear,
    Max,
    Mean,
    Model,
    Residual,
    SquaredError,
)
from bptt.layers.reversal import reverse_order
from bptt.window import worthwhile_ids

STACKS = [
    [Bidirectional(LSTM(3, 2)), Linear(4, 2)],
    [Bidirectional(RNN(3, 3)), Bidirectional(GRU(6, 1)), Mean(2)],
    [Embedding(6, 3), Bidirectional(GRU(3, 2, reset_after=False)), Max(4), LSTM(4, 1)],
    [Embedding(3, 2), Bidirectional(LSTM(2, 1)), Last(2), Linear(2, 2)],
    [Embedding(3, 2), Bidirectional(RNN(2, 2, "relu"))],
    [Linear(3, 4), Residual(Bidirectional(GRU(4, 2))), RNN(4, 2)],
    [Bidirectional(Residual(LSTM(3, 3))), Bidirectional(Mean(6))],
    [Bidirectional(LSTM(3, 2), merge="sum"), Linear(2, 2)],
    [Linear(3, 4), Residual(Bidirectional(GRU(4, 4), merge="mean")), RNN(4, 2)],
    [Embedding(3, 2), Bidirectional(RNN(2, 9), merge="product"), Linear(9, 2)],
    [LSTM(3, 2), Residual(Residual(Bidirectional(LSTM(2, 2), merge="product")))],
]
"""Where there are so few ids, embeddings are not written out: see below."""
STEPS = 7


def some_marks(which, lanes, steps=STEPS):
    """resets and ended, of lanes of which each is another case."""
    resets, ended = np.zeros((2, steps, lanes), bool)
    if "ended" in which:
        for b in range(lanes):
            ended[steps - b % 4 :, b] = True
    if "resets" in which:
        for b in range(lanes):
            resets[[t for t in (0, 2, 3, 6) if (t + b) % 3], b] = True
    return resets, ended


def given(resets, ended):
    """Marks as an argument: none if there are none."""
    return {
        "resets": resets if resets.any() else None,
        "ended": ended if ended.any() else None,
    }


MARKS = ["none", "ended", "resets", "ended and resets"]


def test_an_order_in_so_many_words():
    resets, ended = np.zeros((2, 9, 3), bool)
    resets[[0, 4, 6], 0] = True
    ended[[3, 8], 0] = True
    ended[1:, 1] = True
    ended[:, 2] = True
    order = np.full((9, 3), -1)
    reverse_order(resets, ended, 0, 9, order)
    assert order[:, 0].tolist() == [2, 1, 0, 3, 5, 4, 7, 6, 8]
    assert order[:, 1].tolist() == order[:, 2].tolist() == list(range(9))


def test_parameters_of_both_directions_begin_each_by_itself():
    params = Model([Bidirectional(LSTM(3, 4, forget_bias=2.0))]).params
    names = ["Wx", "Wh", "b", "Wx_reverse", "Wh_reverse", "b_reverse"]
    assert list(params) == [f"0.{name}" for name in names]
    assert not np.isclose(params["0.Wx"], params["0.Wx_reverse"]).any()
    assert params["0.b"].tolist() == params["0.b_reverse"].tolist() == [0] * 4 + [2] * 4 + [0] * 8


@pytest.mark.parametrize(("dtype", "rel"), [("float32", 3e-6), ("float64", 1e-13)])
@pytest.mark.parametrize("lanes", [1, 3, 17])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_forward_is_that_of_each_sequence(layers, lanes, dtype, rel):
    model = a_model(layers, dtype)
    x = an_input(model, STEPS, lanes)
    for which in MARKS:
        resets, ended = some_marks(which, lanes)
        wanted = naive.forward_whole(layers, plain(model.params), x, resets, ended)
        y, _ = model(x, **given(resets, ended))
        assert y.dtype == dtype
        assert np.isfinite(y).all()
        assert_close(y[~ended], wanted[~ended], rel)


def test_short_and_long_inputs_are_read_whole():
    model = a_model([Bidirectional(GRU(2, 3)), Linear(6, 2)])
    for steps in (1, 2, 150):
        x = an_input(model, steps, 2)
        marks = some_marks("none", 2, steps)
        wanted = naive.forward_whole(model.layers, plain(model.params), x, *marks)
        assert_close(model(x)[0], wanted, 1e-12)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("which", MARKS)
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_the_gradient(layers, which, workers):
    model, lanes = a_model(layers), 4
    x, (resets, ended) = an_input(model, STEPS, lanes), some_marks(which, lanes)
    targets = np.random.default_rng(3).normal(size=(STEPS - 2, lanes, model.n_out))
    mask = ~ended[2:]

    def loss(tried):
        y = naive.forward_whole(layers, tried, tried.get("x", x), resets, ended)
        return naive.mean_loss(y, targets, mask)

    params = plain(model.params)
    wanted = naive.complex_step(loss, params if model.reads_ids else params | {"x": x})
    found = bptt.gradients(
        model, SquaredError(), x, targets, mask=mask, workers=workers, **given(resets, ended)
    )
    assert_close(found.loss, loss(params), 1e-12)
    if not model.reads_ids:
        assert_close(found.x, wanted.pop("x"))
    assert_all_close(found.params, wanted)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("which", ["none", "resets"])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_both_directions_begin_and_end_in_states(layers, which, workers):
    model, lanes = a_model(layers), 4
    x, (resets, ended) = an_input(model, STEPS, lanes), some_marks(which, lanes)
    state, final = a_state(model, lanes), {}
    wanted = naive.forward_whole(layers, plain(model.params), x, resets, ended, plain(state), final)
    y, after = model(x, state, workers=workers, **given(resets, ended))
    assert_close(y, wanted, 1e-12)
    assert_all_close(after, final, 1e-12)


@pytest.mark.parametrize("which", MARKS)
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_the_gradient_of_the_state_in_which_both_directions_begin(layers, which):
    model, lanes = a_model(layers), 4
    x, (resets, ended) = an_input(model, STEPS, lanes), some_marks(which, lanes)
    targets = np.random.default_rng(3).normal(size=(STEPS - 2, lanes, model.n_out))
    state, mask = a_state(model, lanes), ~ended[2:]

    def loss(tried):
        y = naive.forward_whole(layers, plain(model.params), x, resets, ended, tried)
        return naive.mean_loss(y, targets, mask)

    found = bptt.gradients(
        model, SquaredError(), x, targets, state, mask=mask, workers=2, **given(resets, ended)
    )
    assert_close(found.loss, loss(plain(state)), 1e-12)
    assert_all_close(found.state, naive.complex_step(loss, plain(state)))


@pytest.mark.parametrize("wrap", [lambda layer: layer, Residual], ids=["plain", "Residual"])
@pytest.mark.parametrize("merge", ["concat", "sum", "mean", "product"])
def test_the_gradient_of_a_merge_by_finite_differences(merge, wrap):
    """Of the model itself, in float64: each parameter moved a little to either side."""
    layer = Bidirectional(GRU(4, 2 if merge == "concat" else 4), merge=merge)
    model = a_model([wrap(layer)])
    x, state, targets = an_input(model, 5, 2), a_state(model, 2), np.ones((5, 2, 4))
    found, size = bptt.gradients(model, SquaredError(), x, targets, state), 1e-4

    def slopes(numbers):
        for i in range(numbers.size):
            begun, losses = numbers[i], []
            for by in (size, -size, 2 * size, -2 * size):
                numbers[i] = begun + by
                losses.append(np.mean((model(x, state)[0] - targets) ** 2))
            numbers[i] = begun
            yield (8 * (losses[0] - losses[1]) - losses[2] + losses[3]) / (12 * size)

    assert_close(found.params.flat, list(slopes(model.params.flat)), 1e-8)
    assert_close(found.state.flat, list(slopes(state.flat)), 1e-8)


def test_few_ids_are_looked_up():
    ids = [layers[0].n_ids for layers in STACKS[2:5]]
    assert [n <= worthwhile_ids(STEPS, 4) for n in ids] == [True] * 3
    assert [n <= worthwhile_ids(STEPS, 3) for n in ids] == [False, True, True]
    assert all(layers[1].reads_lookups for layers in STACKS[2:5])
    assert not Bidirectional(Mean(3)).reads_lookups


def test_what_padding_holds_does_not_matter():
    model = a_model([Bidirectional(LSTM(3, 4)), Bidirectional(RNN(8, 3)), Mean(6)], "float32")
    x, (_, ended) = an_input(model, STEPS, 5), some_marks("ended", 5)
    targets = np.zeros((STEPS, 5, 6), np.float32)
    found = []
    for filling in (0, 30):
        x[ended] = filling
        y, _ = model(x, ended=ended)
        grads = bptt.gradients(model, SquaredError(), x, targets, mask=~ended, ended=ended)
        assert not grads.x[ended].any()
        found.append((y[~ended], grads.params.flat, grads.x))
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


def both_ways(layer, model, x, targets, clip_delta):
    """Gradients of a Bidirectional ``layer`` alone, by `naive.backward` in each direction."""
    params, n, found = plain(model.params), layer.n, {}
    for reverse in ("", "_reverse"):
        own = {f"0.{name}": params[f"0.{name}{reverse}"] for name in layer.shapes()}
        turn = slice(None, None, -1 if reverse else 1)
        half = slice(n, 2 * n) if reverse else slice(n)
        state = naive.zero_state([layer], x.shape[1])
        result = naive.backward([layer], own, x[turn], targets[turn, :, half], state,
                                clip_delta=clip_delta,
                                scale=1 / (2 * x.shape[0] * x.shape[1]))  # fmt: skip
        found |= {f"{name}{reverse}": grad for name, grad in result.params.items()}
        norms = np.sqrt((result.delta[0] ** 2).sum(axis=2))
        assert np.isclose(norms, clip_delta).any()
        assert (norms < 0.9 * clip_delta).any()
    return found


@pytest.mark.parametrize("layer", [RNN(3, 5), LSTM(3, 4), GRU(3, 4)], ids=str)
def test_clip_delta_bounds_the_errors_of_each_direction(layer):
    model = a_model([Bidirectional(layer)])
    x, targets = an_input(model, STEPS, 3), np.zeros((STEPS, 3, 2 * layer.n))
    targets[:2], targets[5:, 1] = 3, 3
    bound = 0.05
    found = bptt.gradients(model, SquaredError(), x, targets, clip_delta=bound)
    assert_all_close(found.params, both_ways(layer, model, x, targets, bound))


def test_directions_draw_from_other_salts():
    salts = []

    class Spy(RNN):
        trains = True

        def tape(self, x, room):
            salts.append(room.salt)
            return super().tape(x, room)

    model = Model([Bidirectional(Spy(3, 4)), Bidirectional(Spy(8, 2))])
    model(np.zeros((9, 1, 3)))
    assert model.trains
    assert len(set(salts)) == 4


def test_draws_in_training_are_those_of_the_layers_around():
    model = a_model([Dropout(3, 0.4), Bidirectional(LSTM(3, 4)), Dropout(8, 0.5), Linear(8, 1)])
    x, targets = an_input(model, STEPS, 2), np.zeros((STEPS, 2, 1))
    losses = [
        bptt.value_and_grad(model, SquaredError(), x, targets, seed=seed, workers=workers)[0]
        for seed, workers in ((1, 1), (1, 2), (2, 1), (None, 1))
    ]
    assert_close(losses[0], losses[1], 1e-12)
    assert len({round(loss, 12) for loss in losses}) == 3
    assert_close(losses[3], (model(x)[0] ** 2).mean(), 1e-12)


def torch_twin(torch, model, kind):
    """PyTorch's network with the parameters of ``model``, two bidirectional layers."""
    layers = [layer.layer for layer in model.layers]
    twin = kind(layers[0].n_in, layers[0].n, len(layers), bidirectional=True, dtype=torch.float64)
    with torch.no_grad():
        for i, layer in enumerate(layers):
            for reverse in ("", "_reverse"):
                own = {name: model.params[f"{i}.{name}{reverse}"] for name in layer.shapes()}
                values = {name: torch.from_numpy(array.T.copy()) for name, array in own.items()}
                end = f"_l{i}{reverse}"
                getattr(twin, f"weight_ih{end}")[...] = values["Wx"]
                getattr(twin, f"weight_hh{end}")[...] = values["Wh"]
                getattr(twin, f"bias_ih{end}")[...] = values["b"]
                getattr(twin, f"bias_hh{end}")[...] = 0
                if "bh" in values:
                    getattr(twin, f"bias_hh{end}")[-layer.n :] = values["bh"]
    return twin


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_it_is_pytorchs_on_packed_sequences(kind):
    torch = pytest.importorskip("torch")
    model = a_model([Bidirectional(kind(3, 5)), Bidirectional(kind(10, 5))])
    lengths = np.array([7, 2, 5, 1])
    ended = np.arange(STEPS)[:, None] >= lengths
    x, targets = an_input(model, STEPS, 4), an_input(a_model([Linear(10, 10)]), STEPS, 4)
    twin = torch_twin(torch, model, getattr(torch.nn, kind.__name__))
    theirs = torch.from_numpy(x.copy()).requires_grad_()
    rnn = torch.nn.utils.rnn
    packed = rnn.pack_padded_sequence(theirs, torch.from_numpy(lengths), enforce_sorted=False)
    y, _ = rnn.pad_packed_sequence(twin(packed)[0])
    there = torch.from_numpy(~ended)
    ((y - torch.from_numpy(targets)) ** 2).mean(dim=2)[there].mean().backward()
    found = bptt.gradients(model, SquaredError(), x, targets, mask=~ended, ended=ended)
    assert_close(model(x, ended=ended)[0][~ended], y.detach().numpy()[~ended], 1e-12)
    assert_close(found.x, theirs.grad.numpy())
    for i in range(2):
        for reverse in ("", "_reverse"):
            for ours, name in (("Wx", "weight_ih"), ("Wh", "weight_hh"), ("b", "bias_ih")):
                grad = getattr(twin, f"{name}_l{i}{reverse}").grad.numpy().T
                assert_close(found.params[f"{i}.{ours}{reverse}"], grad)


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_its_states_are_pytorchs(kind):
    """h_0 and h_n of both directions, and the gradient of h_0."""
    torch = pytest.importorskip("torch")
    model = a_model([Bidirectional(kind(3, 5)), Bidirectional(kind(10, 5))])
    twin, names = torch_twin(torch, model, getattr(torch.nn, kind.__name__)), kind(1, 1).carried
    x, targets, state = an_input(model, STEPS, 4), np.ones((STEPS, 4, 10)), a_state(model, 4)
    places = [f"{i}.{{}}{end}" for i in range(2) for end in ("", "_reverse")]
    theirs = [
        torch.tensor(np.stack([state[p.format(n)] for p in places]), requires_grad=True)
        for n in names
    ]
    y, after = twin(torch.from_numpy(x), tuple(theirs) if len(names) > 1 else theirs[0])
    ((y - 1) ** 2).mean().backward()
    found = bptt.gradients(model, SquaredError(), x, targets, state)
    ours, final = model(x, state)
    assert_close(ours, y.detach().numpy(), 1e-12)
    for n, begun, end in zip(names, theirs, after if len(names) > 1 else [after], strict=True):
        for i, place in enumerate(places):
            assert_close(final[place.format(n)], end[i].detach().numpy(), 1e-12)
            assert_close(found.state[place.format(n)], begun.grad[i].numpy())
    assert_all_close(found.final_state, final, 1e-12)


@pytest.mark.parametrize(
    ("layer", "error", "said"),
    [
        (Linear(3, 4), ValueError, r"carries state, but Linear\(3, 4\) carries none"),
        (Embedding(3, 4), ValueError, r"but Embedding\(3, 4\) carries none"),
        (Dropout(3), ValueError, r"but Dropout\(3, 0.5\) carries none"),
        (Residual(Linear(3, 3)), ValueError, "carries none"),
        (Bidirectional(LSTM(3, 4)), ValueError, "carries none"),
        (LSTM, TypeError, "Bidirectional takes a layer, got <class"),
        (3, TypeError, "Bidirectional takes a layer, got 3"),
    ],
    ids=str,
)
def test_what_cannot_go_both_ways(layer, error, said):
    with pytest.raises(error, match=said):
        Bidirectional(layer)


def test_merges():
    assert str(Bidirectional(LSTM(3, 4), merge="sum")) == "Bidirectional(LSTM(3, 4), merge='sum')"
    assert Bidirectional(LSTM(3, 4), merge="sum").sizes == (3, 4)
    said = "merge must be one of 'concat', 'sum', 'mean', 'product', got 'max'"
    with pytest.raises(ValueError, match=said):
        Bidirectional(LSTM(3, 4), merge="max")


def test_a_saved_model_is_the_same(tmp_path):
    layers = [Embedding(5, 4), Residual(Bidirectional(GRU(4, 2, reset_after=False))),
              Residual(Bidirectional(RNN(4, 4), merge="mean")),
              Bidirectional(LSTM(4, 3, forget_bias=0.5)), Linear(6, 5)]  # fmt: skip
    model = a_model(layers, "float32")
    model.save(tmp_path / "model")
    other = Model.load(tmp_path / "model")
    x = an_input(model, 9, 3)
    assert other.layers == model.layers
    assert np.array_equal(other(x)[0], model(x)[0])
