"""Sequences that begin in the middle of a window: state and error stop there, lane by lane."""

import naive
import numpy as np
import pytest
from helpers import (
    EXACT,
    Frozen,
    a_model,
    a_state,
    an_input,
    assert_all_close,
    assert_close,
    few,
    plain,
    words,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt
from bptt import (
    ARTBP,
    GRU,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    AdaptiveTBPTT,
    CrossEntropy,
    Embedding,
    FullBPTT,
    Last,
    Linear,
    Max,
    Mean,
    Residual,
    ShapeError,
    SquaredError,
    Stream,
    Trainer,
)

STACKS = [
    [RNN(3, 4), Linear(4, 2)],
    [LSTM(3, 5)],
    [GRU(3, 4), Linear(4, 2)],
    [GRU(3, 4, reset_after=False)],
    [Embedding(6, 3), LSTM(3, 4), RNN(4, 3, "relu"), Linear(3, 2)],
    [RNN(3, 4), Mean(4), Linear(4, 2)],
    [Max(3), LSTM(3, 4), Max(4), Last(4)],
    [Residual(LSTM(3, 3)), Residual(GRU(3, 3)), Residual(Mean(3))],
    [LSTM(3, 5, layer_norm=True), LSTM(5, 4, peepholes=True), Linear(4, 2)],
]


def some_resets(steps, lanes, seed=4, share=0.25):
    return np.random.default_rng(seed).random((steps, lanes)) < share


def slopes(layers, params, x, targets, state, resets):
    """The gradient of the mean loss by parameters and incoming state, exact."""

    def loss(tried):
        own = {n: p for n, p in tried.items() if not n.startswith("s.")}
        start = {n[2:]: p for n, p in tried.items() if n.startswith("s.")}
        y, _ = naive.forward(layers, own, x, start, resets=resets)
        return naive.mean_loss(y, targets)

    given = params | {f"s.{name}": value for name, value in state.items()}
    found = naive.complex_step(loss, given)
    return ({n: p for n, p in found.items() if not n.startswith("s.")},
            {n[2:]: p for n, p in found.items() if n.startswith("s.")})  # fmt: skip


def check_gradients(layers, steps, lanes, resets, memory, workers):
    model = a_model(layers)
    x, state = an_input(model, steps, lanes), a_state(model, lanes)
    targets = np.random.default_rng(3).normal(size=(max(1, steps - 1), lanes, model.n_out))
    found = bptt.gradients(
        model, SquaredError(), x, targets, state, resets=resets, memory=memory, workers=workers
    )
    params, of_state = slopes(layers, plain(model.params), x, targets, plain(state), resets)
    assert_all_close(found.params, params)
    assert_all_close(found.state, of_state)
    y, final = naive.forward(layers, plain(model.params), x, plain(state), resets=resets)
    assert_all_close(found.final_state, final, 1e-12)
    mine, after = model(x, state, resets)
    assert_close(mine, y, 1e-12)
    assert_all_close(after, final, 1e-12)


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_gradients_stop_where_a_sequence_begins(layers, memory):
    check_gradients(layers, 7, 3, some_resets(7, 3), memory, workers=2)


@settings(max_examples=few(30))
@given(
    layers=st.sampled_from(STACKS),
    steps=st.integers(1, 8),
    lanes=st.integers(1, 3),
    share=st.sampled_from([0.0, 0.2, 0.6, 1.0]),
    seed=st.integers(0, 99),
    memory=st.sampled_from([None, "sqrt"]),
)
def test_any_resets(layers, steps, lanes, share, seed, memory):
    check_gradients(layers, steps, lanes, some_resets(steps, lanes, seed, share), memory, 1)


def test_a_reset_hides_what_was_before():
    model = a_model([LSTM(3, 5), Linear(5, 2)])
    x, resets = an_input(model, 6, 2), np.zeros((6, 2), bool)
    resets[3] = True
    targets = np.zeros((3, 2, 2))
    found = bptt.gradients(model, SquaredError(), x, targets, a_state(model, 2), resets=resets)
    alone = bptt.gradients(model, SquaredError(), x[3:], targets)
    assert_all_close(found.params, plain(alone.params), 1e-12)
    assert not found.x[:3].any()
    assert not found.state.flat.any()
    assert not found.flow["0.h"][:3].any()


def a_stream(model, pairs=67, lanes=3, seed=5):
    rng = np.random.default_rng(seed)
    x, resets = an_input(model, pairs, 1)[:, 0], rng.random(pairs) < 0.15
    targets = rng.normal(size=(pairs, model.n_out))
    laid = [naive.lanes(column, lanes) for column in (x, targets, resets)]
    return Stream(x, lanes, targets, resets), laid[0][0], laid[1][0], laid[2][0], laid[0][1]


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("k1_k2", [(4, 4), (2, 6), (1, 5)], ids=str)
@pytest.mark.parametrize("layers", [STACKS[0], STACKS[2], *STACKS[4:]], ids=words)
def test_every_update_is_the_brute_force_one(layers, k1_k2, memory):
    model = a_model(layers)
    stream, x, targets, resets, there = a_stream(model)
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(),
                      truncation=TBPTT(*k1_k2, memory=memory), workers=2)  # fmt: skip
    params, start = plain(model.params), 0
    for step in trainer.steps(stream):
        stop = start + step.k1
        first = max(0, stop - k1_k2[1])
        state = naive.zero_state(layers, 3)
        if first:
            _, state = naive.forward(layers, params, x[:first], state, resets=resets[:first])

        def loss(tried, first=first, stop=stop, start=start, state=state):
            y, _ = naive.forward(layers, tried, x[first:stop], state, resets=resets[first:stop])
            return naive.mean_loss(y, targets[start:stop], there[start:stop])

        assert_all_close(step.grads, naive.complex_step(loss, params))
        start = stop
    assert start == stream.steps


@pytest.mark.parametrize(
    "truncation",
    [TBPTT(2, 6), TBPTT(2, 6, memory="sqrt"), FullBPTT(), ARTBP(4), AdaptiveTBPTT(0.9, 5, 2, 3)],
    ids=str,
)
def test_a_trainer_goes_on_bit_for_bit(tmp_path, truncation):
    model = a_model(
        [
            Embedding(6, 3),
            GRU(3, 4),
            LSTM(4, 3),
            Residual(RNN(3, 3)),
            Mean(3),
            Residual(Max(3)),
            Linear(3, 2),
        ]
    )
    stream, *_ = a_stream(model)
    trainer = Trainer(model, loss=SquaredError(), optimizer=SGD(0.1), truncation=truncation,
                      workers=2)  # fmt: skip
    for _ in range(3):
        next(trainer.steps(stream))
    trainer.save(tmp_path / "trainer")
    other = Trainer.load(tmp_path / "trainer")
    for _ in range(4):
        step, again = next(trainer.steps(stream)), next(other.steps(stream))
        assert (step.loss, step.grads.flat.tobytes()) == (again.loss, again.grads.flat.tobytes())


def test_evaluation_resets_too():
    model = a_model(STACKS[2])
    stream, x, targets, resets, there = a_stream(model, 200)
    trainer = Trainer(
        model, loss=SquaredError(), optimizer=Frozen(), truncation=TBPTT(4, 4), workers=2
    )
    y, _ = naive.forward(
        model.layers, plain(model.params), x, naive.zero_state(model.layers, 3), resets=resets
    )
    assert_close(trainer.evaluate(stream), naive.mean_loss(y, targets, there), EXACT)


def test_sequences_in_one_stream_train_as_sequences_one_by_one():
    """One lane, one update: the sum over sequences of what each gives alone."""
    model = a_model([LSTM(3, 5), Linear(5, 2)])
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(n, 3)) for n in (5, 1, 9, 3)]
    goals = [rng.normal(size=(len(part), 2)) for part in parts]
    resets = np.concatenate([np.arange(len(part)) == 0 for part in parts])
    stream = Stream(np.concatenate(parts), 1, np.concatenate(goals), resets)
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), truncation=FullBPTT())
    (step,) = trainer.steps(stream)
    alone = sum(
        len(part) * bptt.gradients(model, SquaredError(), part[:, None], goal[:, None]).params.flat
        for part, goal in zip(parts, goals, strict=True)
    )
    assert_close(step.grads.flat, alone / 18)


@pytest.mark.parametrize("own_targets", [True, False])
@pytest.mark.parametrize("burn_in", [0, 1, 3])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_what_a_stream_hands_out(batch, burn_in, own_targets):
    rng = np.random.default_rng(batch)
    ids, resets = rng.integers(0, 9, 43), rng.random(43) < 0.2
    stream = Stream(ids, batch, ids[::-1].copy() if own_targets else None, resets, burn_in=burn_in)
    reader, chunks = stream.reader(), []
    while (chunk := reader.take(4)) is not None:
        chunks.append(chunk)
    shape = (4, batch)
    found = np.concatenate([np.zeros(c.x.shape, bool) if c.resets is None else c.resets
                            for c in chunks])  # fmt: skip
    counts = np.concatenate([np.ones(c.x.shape, bool) if c.mask is None else c.mask
                             for c in chunks])  # fmt: skip
    assert chunks[0].x.shape == shape
    pairs = 43 if own_targets else 42
    for b, place in enumerate(np.array_split(np.arange(pairs), batch)):
        since = 0
        for t, i in enumerate(place):
            since = 0 if t == 0 or resets[i] else since + 1
            assert found[t, b] == resets[i]
            ends = not own_targets and resets[i + 1]
            assert counts[t, b] == (since >= burn_in and not ends)
        assert not counts[len(place) :, b].any()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"resets": np.zeros(9, bool)}, ShapeError, r"resets must be \(10,\) of bool, got \(9,\)"),
        (
            {"resets": np.zeros(10, int)},
            ShapeError,
            r"resets must be \(10,\) of bool, got .* int",
        ),
        ({"burn_in": -1}, bptt.DataError, "burn_in must be an integer from 0 on, got -1"),
        ({"burn_in": 1.5}, bptt.DataError, "burn_in must be an integer from 0 on, got 1.5"),
    ],
)
def test_what_a_stream_refuses(options, error, said):
    with pytest.raises(error, match=said):
        Stream(np.arange(10), 2, **options)


def test_resets_of_a_wrong_shape():
    model = a_model(STACKS[0])
    x = an_input(model, 4, 2)
    with pytest.raises(ShapeError, match=r"resets must be \(4, 2\) of bool, got \(4,\)"):
        model(x, resets=np.zeros(4, bool))
    with pytest.raises(ShapeError, match=r"resets must be \(4, 2\) of bool, got \(4, 2\) of int"):
        bptt.gradients(model, SquaredError(), x, np.zeros((4, 2, 2)), resets=np.zeros((4, 2), int))


def test_cross_entropy_too():
    model = a_model([Embedding(6, 3), GRU(3, 4), Linear(4, 6)])
    ids = np.random.default_rng(0).integers(0, 6, (5, 2))
    resets = some_resets(5, 2)
    found = bptt.gradients(model, CrossEntropy(), ids, ids, resets=resets)
    state = naive.zero_state(model.layers, 2)
    params, _ = slopes(model.layers, plain(model.params), ids, ids, state, resets)
    assert_all_close(found.params, params)


@pytest.mark.parametrize("batch", [1, 3])
def test_targets_that_a_mask_leaves_out_may_be_anything(batch):
    model = a_model([LSTM(3, 5), Linear(5, 2)])
    rng = np.random.default_rng(1)
    x, targets, mask = rng.normal(size=(40, 3)), rng.normal(size=(40, 2)), rng.random(40) < 0.7
    gaps = np.where(mask[:, None], targets, np.nan)
    (laid, there), (goals, _), (counts, _) = (
        naive.lanes(column, batch) for column in (x, targets, mask)
    )
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), truncation=FullBPTT())
    (step,) = trainer.steps(Stream(x, batch, gaps, mask=mask))
    state = naive.zero_state(model.layers, batch)
    wanted = naive.backward(model.layers, plain(model.params), laid, goals, state, there & counts)
    assert step.targets == mask.sum()
    assert_all_close(step.grads, wanted.params)


def test_a_gap_that_no_mask_leaves_out_is_refused():
    targets = np.array([0.0, np.nan, 0.0])
    with pytest.raises(bptt.DataError, match=r"targets\[1\] is nan"):
        Stream(np.zeros(3), 1, targets, mask=np.array([False, True, True]))
    with pytest.raises(ShapeError, match=r"mask must be \(3,\) of bool, got \(2,\)"):
        Stream(np.zeros(3), 1, targets, mask=np.ones(2, bool))


def test_a_long_burn_in_is_that_of_its_definition():
    x = np.arange(5000.0)
    reader = Stream(x, 2, x, burn_in=1200).reader(1100)
    counts = np.concatenate([reader.take(64).mask for _ in range(4)])
    assert counts.sum(axis=0).tolist() == [156, 156]
    assert not counts[:100].any()
