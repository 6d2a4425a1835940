"""Model: names, shapes, the same bits in one go and in pieces, files, and clear errors."""

import copy
from concurrent.futures import ThreadPoolExecutor

import naive
import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_close, plain

import bptt
from bptt import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    DataError,
    Embedding,
    FileFormatError,
    Last,
    Linear,
    Max,
    Mean,
    Model,
    Residual,
    ShapeError,
    files,
    forward,
)
from bptt.kernels.compile import JIT

LAYERS = [Embedding(6, 3), LSTM(3, 5), RNN(5, 7), Linear(7, 4)]
FLOATS = [Linear(3, 2), LSTM(2, 5), Linear(5, 4)]
POOLS = [Residual(LSTM(3, 3)), Mean(3), Residual(Max(3)), Last(3), Linear(3, 4)]
LSTMS = [LSTM(3, 5, layer_norm=True), LSTM(5, 7, peepholes=True), Linear(7, 4)]
GRUS = [GRU(3, 5), GRU(5, 7, reset_after=False), GRU(7, 16), Linear(16, 4)]


def test_names_shapes_and_types():
    model = Model(LAYERS)
    assert model.params.shapes == {
        "0.W": (6, 3),
        "1.Wx": (3, 20), "1.Wh": (5, 20), "1.b": (20,),
        "2.Wx": (5, 7), "2.Wh": (7, 7), "2.b": (7,),
        "3.W": (7, 4), "3.b": (4,),
    }  # fmt: skip
    assert (model.n_in, model.n_out, model.reads_ids) == (6, 4, True)
    assert model.layers == tuple(LAYERS)
    y, state = model(np.zeros((9, 2), int))
    assert y.shape == (9, 2, 4)
    assert y.dtype == state.dtype == model.params.dtype == np.float32
    assert state.shapes == {"1.h": (2, 5), "1.c": (2, 5), "2.h": (2, 7)}
    assert "Model([Embedding(6, 3), LSTM(3, 5)" in repr(model)
    assert f"{model.params.flat.size} parameters" in repr(model)


def test_a_model_without_state():
    y, state = Model([Linear(3, 4)])(np.ones((2, 1, 3)))
    assert y.shape == (2, 1, 4)
    assert len(state) == state.flat.size == 0


def test_the_seed_decides_how_parameters_begin():
    first, same, other = (Model(LAYERS, seed=seed).params.flat for seed in (3, 3, 4))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    assert not np.array_equal(
        Model(LAYERS, seed=None).params.flat, Model(LAYERS, seed=None).params.flat
    )


def test_writing_to_params_is_seen_by_the_next_call():
    model, x = a_model(FLOATS), np.ones((2, 1, 3))
    before = model(x)[0]
    model.params["2.b"] += 1
    np.testing.assert_allclose(model(x)[0], before + 1, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "layers", [LAYERS, FLOATS, LSTMS, GRUS, POOLS], ids=["ids", "floats", "lstms", "grus", "pools"]
)
def test_in_one_go_and_in_pieces(layers, dtype):
    """The same bits; without the JIT, NumPy's product may round otherwise for other shapes."""
    model = a_model(layers, dtype)
    x, state = an_input(model, 23, 3), a_state(model, 3)
    whole, final = model(x, state)
    pieces, lanes = [], []
    for part in np.split(x, [1, 4, 5, 16]):
        y, state = model(part, state)
        pieces.append(y)
    for b in range(3):
        began = {n: s[b : b + 1] for n, s in a_state(model, 3).items()}
        lanes.append(model(x[:, b : b + 1], began)[0])
    for got in (np.concatenate(pieces), np.concatenate(lanes, axis=1)):
        if JIT:
            assert np.array_equal(got, whole)
        assert_close(got, whole, 1e-5 if dtype == "float32" else 1e-13)
    if JIT:
        assert np.array_equal(state.flat, final.flat)


@pytest.mark.parametrize("steps", [255, 256, 257, 515])
def test_long_inputs(steps):
    model = a_model([RNN(2, 3), Linear(3, 2)])
    x, state = an_input(model, steps, 2), a_state(model, 2)
    y, final = model(x, state)
    wanted, wanted_final = naive.forward(model.layers, plain(model.params), x, plain(state))
    assert_close(y, wanted, 1e-12)
    assert_close(final["0.h"], wanted_final["0.h"], 1e-12)


ONE_WAY = [LAYERS, FLOATS, LSTMS, GRUS, POOLS]
BOTH_WAYS = [Bidirectional(LSTM(3, 4)), RNN(8, 5), Linear(5, 4)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "layers", [*ONE_WAY, BOTH_WAYS], ids=["ids", "floats", "lstms", "grus", "pools", "both ways"]
)
def test_any_number_of_workers(layers, dtype):
    """The same bits, with sequences that begin and end where shards of lanes do not."""
    model = a_model(layers, dtype)
    model.params.flat[:] *= 0.5  # Else differences would grow from step to step.
    x, state = an_input(model, 90, 7), None if model.whole else a_state(model, 7)
    resets, ended = np.zeros((90, 7), bool), np.zeros((90, 7), bool)
    resets[[4, 50, 73], [0, 3, 6]] = ended[80:, 5] = ended[60:, 2] = True
    for marks in ({}, {"resets": resets, "ended": ended}):
        wanted, final = model(x, state, **marks, workers=1)
        for workers in (None, 2, 3, np.int64(9)):
            y, after = model(x, state, **marks, workers=workers)
            assert_close(y, wanted, 1e-5 if dtype == "float32" else 1e-13)
            assert not JIT or np.array_equal(y, wanted)
            assert not JIT or np.array_equal(after.flat, final.flat)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", ONE_WAY, ids=["ids", "floats", "lstms", "grus", "pools"])
def test_few_steps_straight_from_the_parameters(layers, dtype, monkeypatch):
    """The same bits as from packed weights, for any number of lanes and workers."""
    model, rng = a_model(layers, dtype), np.random.default_rng(0)
    for steps, lanes, workers in [(1, 1, 1), (1, 9, 1), (1, 128, 3), (2, 20, 2), (5, 5, 1)]:
        x, state = an_input(model, steps, lanes), a_state(model, lanes)
        for resets in (None, rng.random((steps, lanes)) < 0.3):
            began = state.flat.copy()
            y, after = model(x, state, resets, workers=workers)
            assert np.array_equal(state.flat, began)
            with monkeypatch.context() as packing:
                packing.setattr(forward, "_FEW", 0)
                wanted, final = model(x, state, resets)
            assert_close(y, wanted, 1e-5 if dtype == "float32" else 1e-13)
            assert not JIT or np.array_equal(y, wanted)
            assert not JIT or np.array_equal(after.flat, final.flat)


def test_few_steps_of_what_has_no_state():
    model = a_model([Linear(3, 4)])
    x = an_input(model, 2, 9)
    wanted = x @ model.params["0.W"] + model.params["0.b"]
    for workers in (1, 2):
        y, state = model(x, resets=np.ones((2, 9), bool), workers=workers)
        assert_close(y, wanted, 1e-13)
        assert state.flat.size == 0


def test_a_tied_layer_gives_the_same_for_any_number_of_workers():
    model = a_model([Embedding(40, 24), Linear(24, 40, tied=True)], "float32")
    x = an_input(model, 1, 9)
    assert np.array_equal(model(x, workers=1)[0], model(x, workers=4)[0])


def test_threads_are_started_where_they_pay(monkeypatch):
    model = Model([Embedding(50_000, 8), LSTM(8, 64), Linear(64, 10)])
    monkeypatch.setattr(forward, "cpu_count", lambda: 4)
    calls = forward.Forward(model.layers, model.params, model.buffers)
    assert [calls.threads(10, steps) for steps in (1, 100, 200, 400, 10**5)] == [1, 1, 2, 4, 4]
    assert calls.threads(3, 10**5) == 3
    large = Model([LSTM(100, 1000)])
    calls = forward.Forward(large.layers, large.params, large.buffers)
    assert [calls.threads(lanes, 1) for lanes in (1, 2, 3, 6, 9)] == [1, 1, 2, 3, 4]


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_workers_that_there_cannot_be(workers):
    for steps in (1, 40):
        with pytest.raises(ValueError, match="workers must be a positive integer or None, got"):
            Model(FLOATS)(np.zeros((steps, 2, 3)), workers=workers)


def test_the_output_of_a_step_is_no_view_of_the_state():
    for layers in (FLOATS[:2], [RNN(3, 3)], [Residual(GRU(3, 3))]):
        y, state = Model(layers)(np.ones((1, 2, 3)))
        before = state.flat.copy()
        y[...] = 9
        assert np.array_equal(state.flat, before)


def test_copies_have_parameters_of_their_own():
    for how in (copy.copy, copy.deepcopy):
        model, x = a_model(LAYERS), np.zeros((40, 2), int)
        y, state = model(x)
        twin, after = how(model), copy.deepcopy(state)
        assert np.array_equal(twin(x)[0], y)
        twin.params.flat[:] = 0
        after["1.h"][...] = 0
        assert not twin(x)[0].any()
        assert not twin(x[:1])[0].any()
        assert not after.flat[: after["1.h"].size].any()
        assert np.array_equal(model(x)[0], y)
        assert state["1.h"].all()


def test_calls_of_all_sizes_one_after_the_other():
    """Room that was kept for the call before is right for this one, or is not used."""
    model, rng = a_model(LAYERS), np.random.default_rng(0)
    model.params.flat[:] *= 0.5  # Else differences would grow from step to step.
    for steps, lanes, workers in rng.integers(1, [600, 9, 4], (60, 3)).tolist():
        x, state = an_input(model, steps, lanes), a_state(model, lanes)
        resets = rng.random((steps, lanes)) < 0.1 if steps % 2 else None
        y, after = model(x, state, resets, workers=workers)
        wanted, final = copy.copy(model)(x, state, resets, workers=1)
        assert_close(y, wanted, 1e-12)
        assert_close(after.flat, final.flat, 1e-12)


def test_calls_from_several_threads_at_once():
    model = a_model(FLOATS)
    x = an_input(model, 300, 6)
    wanted = model(x)[0]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: model(x, workers=2)[0], range(40)))
    assert all(np.array_equal(y, wanted) for y in found)


def test_nothing_is_remembered_or_written_to():
    model = a_model(FLOATS)
    x, state = an_input(model, 5, 2), a_state(model, 2)
    copies = x.copy(), state.flat.copy()
    first, _ = model(x, state)
    model(x * 2)
    second, _ = model(x, state)
    assert np.array_equal(first, second)
    assert np.array_equal(x, copies[0])
    assert np.array_equal(state.flat, copies[1])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64"])
def test_ids_of_any_integer_type(dtype):
    model = Model(LAYERS)
    x = np.array([[0, 5], [2, 3]])
    assert np.array_equal(model(x.astype(dtype))[0], model(x)[0])


@pytest.mark.parametrize("dtype", ["float16", "float32", ">f8"])
def test_floats_of_any_type_and_order(dtype):
    model = a_model(FLOATS)
    x = np.asfortranarray(an_input(model, 4, 2).astype(dtype))
    assert np.array_equal(model(x)[0], model(x.astype(np.float64))[0])
    assert np.array_equal(model(x.tolist())[0], model(x)[0])


@pytest.mark.parametrize(
    ("x", "error", "said"),
    [
        (
            np.zeros((2, 2, 3)),
            ShapeError,
            r"\(T, B\) integers for Embedding\(6, 3\), got",
        ),
        (np.zeros((2, 2)), ShapeError, "got shape .* of float64"),
        (np.zeros(4, int), ShapeError, r"got shape \(4,\)"),
        (np.zeros((2, 2), bool), ShapeError, "of bool"),
        (np.zeros((0, 2), int), ShapeError, "at least one step and one lane"),
        (np.zeros((2, 0), int), ShapeError, "at least one step and one lane"),
        (np.array([[0, 1], [6, 0]]), DataError, r"x\[1, 0\] is 6, but Embedding\(6, 3\) has ids 0"),
        (np.array([[0, -1]]), DataError, r"x\[0, 1\] is -1"),
        (np.array([[2**40]]), DataError, r"x\[0, 0\] is 1099511627776"),
    ],
)
def test_ids_that_do_not_fit(x, error, said):
    with pytest.raises(error, match=said):
        Model(LAYERS)(x)


@pytest.mark.parametrize(
    ("x", "error", "said"),
    [
        (np.zeros((2, 2), int), ShapeError, r"\(T, B, 3\) floats for Linear\(3, 2\), got .*int64"),
        (np.zeros((2, 2, 3), int), ShapeError, "of int64"),
        (np.zeros((2, 3)), ShapeError, r"got shape \(2, 3\)"),
        (np.zeros((2, 2, 4)), ShapeError, r"x has 4 features, but Linear\(3, 2\) takes 3"),
        (np.zeros((0, 2, 3)), ShapeError, "at least one step"),
        (np.zeros((2, 2, 3), complex), ShapeError, "of complex128"),
        (np.where(np.arange(3) == 1, np.nan, np.zeros((2, 2, 3))), DataError,
         r"x\[0, 0, 1\] is nan"),
        (np.full((1, 1, 3), -np.inf), DataError, r"x\[0, 0, 0\] is -inf"),
    ],
)  # fmt: skip
def test_floats_that_do_not_fit(x, error, said):
    with pytest.raises(error, match=said):
        Model(FLOATS)(x)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"1.h": None}, r"state has no '1.h', which must be \(2, 5\)"),
        ({"1.c": np.zeros((3, 5))}, r"state\['1.c'\] must be \(2, 5\), got \(3, 5\)"),
        ({"1.c": np.zeros(5)}, r"must be \(2, 5\), got \(5,\)"),
    ],
)
def test_a_state_that_does_not_fit(change, said):
    state = dict(Model(FLOATS).zero_state(2)) | change
    with pytest.raises(ShapeError, match=said):
        Model(FLOATS)(np.zeros((1, 2, 3)), {n: s for n, s in state.items() if s is not None})


@pytest.mark.parametrize(
    ("layers", "error", "said"),
    [
        ([], ValueError, "at least one layer"),
        ([Linear(3, 4), LSTM(5, 6)], ValueError,
         r"layer 1 is LSTM\(5, 6\), but takes 5 features while layer 0, Linear\(3, 4\), gives 4"),
        ([Linear(3, 4), Embedding(4, 2)], ValueError, "layer 1 is Embedding.*must be the first"),
        ([Linear(3, 4), "LSTM"], TypeError, "layers must be bptt layers, got 'LSTM'"),
        ([LSTM], TypeError, "layers must be bptt layers"),
    ],
)  # fmt: skip
def test_a_stack_that_does_not_fit(layers, error, said):
    with pytest.raises(error, match=said):
        Model(layers)


@pytest.mark.parametrize("dtype", ["float16", "int32", "complex64"])
def test_dtypes_there_are_no_kernels_for(dtype):
    with pytest.raises(ValueError, match=f"float32 or float64, got {dtype}"):
        Model(FLOATS, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "layers", [LAYERS, FLOATS, LSTMS, GRUS, POOLS], ids=["ids", "floats", "lstms", "grus", "pools"]
)
def test_save_and_load(tmp_path, layers, dtype):
    model = a_model(layers, dtype)
    model.save(tmp_path / "model")
    again = Model.load(str(tmp_path / "model"))
    assert again.layers == model.layers
    assert again.dtype == dtype
    assert again.params.shapes == model.params.shapes
    assert np.array_equal(again.params.flat, model.params.flat)
    x = an_input(model, 4, 2)
    assert np.array_equal(again(x)[0], model(x)[0])


def test_a_model_with_sizes_of_numpy_can_be_saved(tmp_path):
    model = Model([Embedding(np.arange(4).max() + 1, 3)])
    model.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").layers == model.layers


def test_files_that_are_no_model(tmp_path):
    model = Model(FLOATS)
    model.save(tmp_path / "model")
    raw = (tmp_path / "model").read_bytes()
    (tmp_path / "cut").write_bytes(raw[:-5])
    with pytest.raises(FileFormatError, match="cut"):
        Model.load(tmp_path / "cut")
    with pytest.raises(FileFormatError, match="holds a model, but a trainer was asked for"):
        bptt.Trainer.load(tmp_path / "model")
    with pytest.raises(FileNotFoundError):
        Model.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config, arrays: config["layers"][1].update(n=6), "layer 2 is"),
        (lambda config, arrays: config["layers"][1].update(type="CNN"), "'CNN' is none of"),
        (lambda config, arrays: arrays.pop("2.b"), "has no array '2.b'"),
        (lambda config, arrays: config.update(dtype="float64"), "of float64, got"),
    ],
)
def test_a_file_whose_parts_do_not_belong_together(tmp_path, change, said):
    model = Model(FLOATS)
    config, arrays = model.config(), dict(model.params)
    change(config, arrays)
    files.write(tmp_path / "odd", "model", arrays, config)
    with pytest.raises(FileFormatError, match=said):
        Model.load(tmp_path / "odd")
