"""Steps that are skipped are as if they were not there, lane by lane: state, loss and error."""

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
    few,
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
    TBPTT,
    Activation,
    ActivationPenalty,
    BatchNorm,
    Bidirectional,
    CrossEntropy,
    Dropout,
    Embedding,
    FullBPTT,
    Last,
    LayerNorm,
    Linear,
    Max,
    Mean,
    Residual,
    ShapeError,
    SquaredError,
    Trainer,
    VariationalDropout,
    Zoneout,
)
from bptt.layers.marks import NOTHING, Marks
from bptt.task import Batch, Reach
from bptt.workers import Workers

STACKS = [
    [RNN(3, 4), Linear(4, 2)],
    [RNN(3, 4, "relu"), RNN(4, 3, omega=0.3)],
    [LSTM(3, 5)],
    [LSTM(3, 5, layer_norm=True), LayerNorm(5), LSTM(5, 4, peepholes=True), Linear(4, 2)],
    [GRU(3, 4), Dropout(4), Linear(4, 2)],
    [GRU(3, 4, reset_after=False), BatchNorm(4), Activation(4, "relu"), LSTM(4, 2)],
    [Embedding(6, 3), VariationalDropout(3), LSTM(3, 4), Linear(4, 3), Linear(3, 6, tied=True)],
    [Zoneout(RNN(3, 4), h=0.3), Zoneout(LSTM(4, 3), h=0.2, c=0.4), Zoneout(GRU(3, 4), h=0.5)],
    [RNN(3, 4), ActivationPenalty(4), Mean(4), LSTM(4, 2), ActivationPenalty(2)],
    [Max(3), LSTM(3, 4), Max(4), Last(4)],
    [Residual(LSTM(3, 3)), Residual(GRU(3, 3)), Residual(Mean(3))],
    [LSTM(3, 4, feedback="random"), GRU(4, 3, feedback="random"), Linear(3, 2, feedback="random")],
]
WHOLE = [
    [Bidirectional(LSTM(3, 4)), Linear(8, 2)],
    [Bidirectional(GRU(3, 2)), Bidirectional(Mean(4)), Bidirectional(RNN(8, 3)), Max(6)],
]
RANDOM = (Dropout, VariationalDropout, Zoneout, BatchNorm)


def some_marks(steps, lanes, seed=4, share=0.4, resets=0.2):
    """resets, and skip with gaps at the beginning, at the end, inside, and everywhere."""
    rng = np.random.default_rng(seed)
    skip = rng.random((steps, lanes)) < share
    for b in range(lanes):
        begins, ends = rng.integers(0, steps + 1, 2)
        skip[: begins * (b % 3 == 1), b] = True
        skip[ends if b % 3 == 2 else steps :, b] = True
    return rng.random((steps, lanes)) < resets, skip


def alone(model, x, targets, state, mask, resets, skip, clip_delta=None, **options):
    """y; loss and gradients as `bptt.gradients` gives them, and the state after all steps: lane by
    lane, with skipped steps deleted."""
    steps, lanes = x.shape[:2]
    first = steps - len(targets)
    total = max(1, int((mask & ~skip[first:]).sum()))
    y, dx = np.zeros((steps, lanes, model.n_out)), np.zeros(x.shape)
    loss, params = 0.0, np.zeros(model.params.flat.size)
    ds, final = model.zero_state(lanes), model.zero_state(lanes)
    for b in range(lanes):
        here, after = np.flatnonzero(~skip[:, b]), model.zero_state(1)
        for name, rows in after.items():
            rows[:] = 0 if state is None else state[name][b]
        if here.size:
            before, given_x = None if model.whole else after, x[here, b : b + 1]
            edges = pairwise([-1, *here])
            begins = np.array([[resets[i + 1 : j + 1, b].any()] for i, j in edges])
            found, after = model(given_x, before, begins)
            y[here, b] = found[:, 0]
        newest = here[here >= first] - first
        weight = mask[newest, b].sum() / total
        if weight:
            found = bptt.gradients(
                model, a_loss(model), given_x, targets[newest, b : b + 1], before,
                mask=mask[newest, b : b + 1], resets=begins,
                clip_delta=clip_delta and clip_delta / weight, **options,
            )  # fmt: skip
            loss, params = loss + found.loss * weight, params + found.params.flat * weight
            if found.x is not None:
                dx[here, b] = found.x[:, 0] * weight
            for name, rows in found.state.items():
                ds[name][b] = rows[0] * weight
        ended = here[-1] + 1 if here.size else 0
        for name, rows in after.items():
            final[name][b] = 0 if resets[ended:, b].any() else rows[0]
    return y, loss, params, dx, ds, final


def a_loss(model):
    return CrossEntropy() if model.reads_ids else SquaredError()


def some_targets(model, steps, lanes):
    rng = np.random.default_rng(3)
    if model.reads_ids:
        return rng.integers(0, model.n_out, (steps, lanes))
    return rng.normal(size=(steps, lanes, model.n_out))


def check(layers, steps, lanes, marks, workers=1, memory=None, newest=0, **options):
    """Against `alone`; the targets are those of all but the first ``newest`` steps."""
    model = a_model(layers)
    if not any(isinstance(layer, RANDOM) for layer in layers):
        options["seed"] = 0
    resets, skip = marks
    x = an_input(model, steps, lanes)
    state = None if model.whole else a_state(model, lanes)
    targets = some_targets(model, steps - newest, lanes)
    mask = np.random.default_rng(7).random(targets.shape[:2]) < 0.8
    y, loss, params, dx, ds, final = alone(model, x, targets, state, mask, resets, skip, **options)
    found = bptt.gradients(
        model, a_loss(model), x, targets, state, mask=mask, resets=resets, skip=skip,
        workers=workers, memory=memory, **options,
    )  # fmt: skip
    assert_close(found.loss, loss)
    assert_close(found.params.flat, params)
    assert found.x is None or assert_close(found.x, dx) is None
    assert_all_close(found.state, ds)
    assert_all_close(found.final_state, final, 1e-12)
    mine, after = model(x, state, resets, skip=skip)
    assert_close(mine, y, 1e-12)
    assert_all_close(after, final, 1e-12)


@pytest.mark.parametrize(("workers", "memory"), [(1, None), (2, "sqrt"), (3, None)])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_skipped_steps_are_as_if_they_were_not_there(layers, workers, memory):
    check(layers, 9, 5, some_marks(9, 5), workers, memory, newest=2)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("layers", WHOLE, ids=words)
def test_both_directions_pass_over_them(layers, workers):
    check(layers, 9, 5, some_marks(9, 5), workers)


@pytest.mark.parametrize("memory", [None, "sqrt"])
def test_errors_are_bounded_as_if_they_were_not_there(memory):
    check(STACKS[9], 9, 5, some_marks(9, 5), memory=memory, clip_delta=0.02)


@pytest.mark.parametrize("memory", [None, "sqrt"])
def test_a_sequence_that_begins_in_a_gap(memory):
    """Far enough before the lane goes on to lie in another stretch."""
    resets, skip = np.zeros((2, 6, 2), bool)
    resets[2, 1] = skip[:4, 1] = True
    for layers in STACKS:
        check(layers, 6, 2, (resets, skip), memory=memory)


@settings(max_examples=few(60))
@given(
    layers=st.sampled_from(STACKS + WHOLE),
    steps=st.integers(1, 8),
    lanes=st.integers(1, 3),
    share=st.sampled_from([0.0, 0.2, 0.6, 1.0]),
    resets=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 99),
    memory=st.sampled_from([None, "sqrt"]),
)
def test_any_marks(layers, steps, lanes, share, resets, seed, memory):
    if any(layer.whole for layer in layers):
        memory = None
    check(layers, steps, lanes, some_marks(steps, lanes, seed, share, resets), 1, memory)


@pytest.mark.parametrize("layers", [STACKS[0], STACKS[3], STACKS[8]], ids=words)
def test_the_error_on_its_way_is_that_of_the_states(layers):
    """Also where a lane is skipped: it is the error of what the state is there."""
    model, (resets, skip) = a_model(layers), some_marks(9, 5)
    x, state, targets = an_input(model, 9, 5), a_state(model, 5), some_targets(model, 9, 5)
    found = bptt.gradients(model, SquaredError(), x, targets, state, resets=resets, skip=skip)

    def loss(nudges):
        y, _ = naive.forward(model.layers, model.params, x, state, nudges, resets=resets, skip=skip)
        return naive.mean_loss(y, targets, ~skip)

    flowing = [i for i, layer in enumerate(layers) if layer.flowing]
    delta = naive.complex_step(loss, {i: np.zeros((9, 5, layers[i].sizes[1])) for i in flowing})
    for i in flowing:
        assert_close(found.flow[f"{i}.h"], np.sqrt((delta[i] ** 2).sum(axis=(1, 2))))


@pytest.mark.parametrize("layers", [STACKS[i] for i in (3, 4, 7, 8)], ids=words)
def test_weights_of_what_comes_back_multiply_over_a_gap(layers):
    """As `ARTBP` has them: the error has come past all steps between."""
    model, skip = a_model(layers), np.zeros((8, 1), bool)
    skip[[0, 2, 3, 6], 0] = True
    x, targets, weights = an_input(model, 8, 1), some_targets(model, 8, 1), np.linspace(0.5, 2, 8)
    here = np.flatnonzero(~skip[:, 0])
    merged = np.array([weights[i:j].prod() for i, j in pairwise([*here, 8])])

    def gradient(x, targets, marks, weights):
        team = Workers(model, 1, 1, len(x))
        team.reserve(len(x))
        team.begin()
        batch = Batch.of(model, SquaredError(), x, targets, None, marks)
        team.forward_and_back(batch, SquaredError(), Reach(len(x), weights=weights))
        return team.gradient.flat

    found = gradient(x, targets, Marks(skip=skip), weights)
    assert_close(found, gradient(x[here], targets[here], NOTHING, merged))


@pytest.mark.parametrize("options", [{"mask": True}, {}], ids=["mask", ""])
def test_a_lane_that_has_ended_counts_nowhere(options):
    model = a_model([LSTM(3, 5), Linear(5, 2)])
    x, targets, ended = an_input(model, 6, 2), np.ones((6, 2, 2)), np.zeros((6, 2), bool)
    ended[2:, 1] = True
    given_ = {name: np.ones((6, 2), bool) for name in options}
    loss, grads, state = bptt.value_and_grad(
        model, SquaredError(), x, targets, ended=ended, **given_
    )
    masked, wanted, _ = bptt.value_and_grad(model, SquaredError(), x, targets, mask=~ended)
    assert loss == masked
    assert_close(grads.flat, wanted.flat)
    short = bptt.value_and_grad(model, SquaredError(), x[:2, 1:], targets[:2, 1:])[2]
    y, after = model(x, ended=ended)
    for name in state:
        assert_close(state[name][1], short[name][0], 1e-14)
        assert_close(after[name][1], short[name][0], 1e-14)
    assert not y[ended].any()


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_padding_is_pytorchs(kind):
    torch = pytest.importorskip("torch")
    model = a_model([kind(3, 5)])
    lengths, before = np.array([7, 2, 5, 1]), np.array([1, 4, 0, 6])
    times = np.arange(9)[:, None]
    skip = (times < before) | (times >= before + lengths)
    x, targets = an_input(model, 9, 4), np.ones((9, 4, 5))
    twin = getattr(torch.nn, kind.__name__)(3, 5, dtype=torch.float64)
    params = {n.removeprefix("0."): torch.from_numpy(p.T.copy()) for n, p in model.params.items()}
    with torch.no_grad():
        twin.weight_ih_l0[...], twin.weight_hh_l0[...] = params["Wx"], params["Wh"]
        twin.bias_ih_l0[...], twin.bias_hh_l0[...] = params["b"], 0
        if "bh" in params:
            twin.bias_hh_l0[-5:] = params["bh"]
    rnn = torch.nn.utils.rnn
    pieces = [torch.from_numpy(x[~skip[:, b], b].copy()) for b in range(4)]
    y, final = twin(rnn.pack_sequence(pieces, enforce_sorted=False))
    y = torch.cat(rnn.unpack_sequence(y))
    ((y - 1) ** 2).mean(dim=1).mean().backward()
    found = bptt.gradients(model, SquaredError(), x, targets, skip=skip)
    assert_close(found.params["0.Wh"].T, twin.weight_hh_l0.grad.numpy())
    mine, after = model(x, skip=skip)
    assert_close(
        np.concatenate([mine[~skip[:, b], b] for b in range(4)]), y.detach().numpy(), 1e-12
    )
    final = final if isinstance(final, tuple) else (final,)
    for name, state in zip(("h", "c"), final, strict=False):
        assert_close(after[f"0.{name}"], state[0].detach().numpy(), 1e-12)


DRAWING = [[VariationalDropout(3, 0.4), LSTM(3, 4), Dropout(4, 0.3)], [Zoneout(GRU(3, 4), h=0.4)]]


@pytest.mark.parametrize("layers", DRAWING, ids=words)
def test_in_training_each_step_draws_what_it_would_without_them(layers):
    model, seed, gap = a_model(layers), 5, 3
    x, targets, skip = an_input(model, 8, 1), np.ones((8, 1, 4)), np.zeros((8, 1), bool)
    skip[:gap] = True
    loss, grads, _ = bptt.value_and_grad(model, SquaredError(), x, targets, skip=skip, seed=seed)

    def wanted(params):
        state = naive.zero_state(layers, 1)
        y, _ = naive.forward(layers, params, x[gap:], state, seed=seed, first=gap)
        return naive.mean_loss(y, targets[gap:])

    params = {name: np.asarray(p) for name, p in model.params.items()}
    assert_close(loss, wanted(params), 1e-12)
    assert_all_close(grads, naive.complex_step(wanted, params))


def a_stream(model, pairs=67, seed=5):
    """Three lanes; and what is in them: x, targets, resets, skip, where there is anything."""
    rng = np.random.default_rng(seed)
    x, targets = an_input(model, pairs, 1)[:, 0], some_targets(model, pairs, 1)[:, 0]
    resets, skip = rng.random(pairs) < 0.15, rng.random(pairs) < 0.4
    skip[10:17] = skip[22:25] = skip[50:] = True
    x[skip], targets[skip] = (np.nan, np.nan) if x.dtype.kind == "f" else (-5, -7)
    stream = bptt.Stream(x, 3, targets, resets, skip=skip)
    x[skip], targets[skip] = 0, 0
    laid = [naive.lanes(column, 3) for column in (x, targets, resets, skip)]
    return stream, *(column for column, _ in laid), laid[0][1]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "truncation",
    [TBPTT(4, 4), TBPTT(2, 6), TBPTT(1, 5, memory="sqrt"), TBPTT(2, 6, clip_delta=0.05)],
    ids=str,
)
@pytest.mark.parametrize("layers", [STACKS[i] for i in (0, 3, 4, 6, 7, 8, 9, 10)], ids=words)
def test_every_update_is_that_without_them(layers, truncation, workers):
    model, k2 = a_model(layers), truncation.k2
    stream, x, targets, resets, skip, there = a_stream(model)
    trainer = Trainer(model, loss=a_loss(model), optimizer=Frozen(), truncation=truncation,
                      workers=workers)  # fmt: skip
    start, counted = 0, 0
    random = any(isinstance(layer, RANDOM) and layer.trains for layer in layers)
    for step in trainer.steps(stream):
        stop = start + step.k1
        here, new = slice(max(0, stop - k2), stop), slice(start, stop)
        state = None
        if here.start:
            _, state = model(x[: here.start], None, resets[: here.start], skip=skip[: here.start])
        options = {} if truncation.bound == np.inf else {"clip_delta": truncation.bound}
        _, loss, params, *_ = alone(
            model, x[here], targets[new], state, there[new], resets[here], skip[here],
            **options, seed=None if random else 0,
        )  # fmt: skip
        counted += step.targets
        if step.targets and not random:
            assert_close(step.loss, loss)
            assert_close(step.grads.flat, params)
        start = stop
    assert (start, counted) == (stream.steps, int((there & ~skip).sum()))


@pytest.mark.parametrize(
    "truncation", [TBPTT(2, 6), TBPTT(2, 6, memory="sqrt"), FullBPTT(), ARTBP(4)], ids=str
)
def test_a_trainer_goes_on_bit_for_bit(tmp_path, truncation):
    stack = [Embedding(6, 3), GRU(3, 4), Zoneout(LSTM(4, 3), h=0.2), Mean(3), Linear(3, 6)]
    model = a_model(stack)
    stream, *_ = a_stream(model)
    trainer = Trainer(model, loss=CrossEntropy(), optimizer=bptt.SGD(0.1), truncation=truncation,
                      workers=2)  # fmt: skip
    for _ in range(4):
        next(trainer.steps(stream))
    trainer.save(tmp_path / "trainer")
    other = Trainer.load(tmp_path / "trainer")
    for _ in range(6):
        step, again = next(trainer.steps(stream)), next(other.steps(stream))
        assert (step.loss, step.grads.flat.tobytes()) == (again.loss, again.grads.flat.tobytes())


def test_evaluation_and_prediction_pass_over_them():
    model = a_model(STACKS[3])
    stream, x, targets, resets, skip, there = a_stream(model, 200)
    mask = there & ~skip
    y, loss, *_ = alone(model, x, targets, None, there, resets, skip)
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), truncation=TBPTT(4, 4),
                      workers=2)  # fmt: skip
    assert_close(trainer.evaluate(stream), loss)
    assert_close(bptt.predict(model, stream), y.swapaxes(0, 1)[mask.T])


LABELS = ["sequence", "step"]


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("layers", [STACKS[2], STACKS[3], STACKS[9], WHOLE[0]], ids=words)
def test_sequences_side_by_side_are_as_without_them(layers, labels):
    model, rng = a_model(layers), np.random.default_rng(2)
    kept = [rng.normal(size=(n, 3)) for n in (5, 1, 7, 3)]
    shape = (4, model.n_out)
    goals = rng.normal(size=shape) if labels == "sequence" else [
        rng.normal(size=(len(part), model.n_out)) for part in kept
    ]  # fmt: skip
    sequences, skip, spread = [], [], []
    for i, part in enumerate(kept):
        marks = rng.permutation(np.arange(len(part) + 4) >= len(part))
        marks[-1 if i else 0] = True
        left = np.flatnonzero(~marks)[: len(part)]
        marks[:] = True
        marks[left] = False
        sequences.append(np.full((len(marks), 3), np.nan))
        sequences[-1][~marks] = part[: (~marks).sum()]
        kept[i] = part[: (~marks).sum()]
        if labels == "step":
            spread.append(np.full((len(marks), model.n_out), np.nan))
            goals[i] = goals[i][: len(kept[i])]
            spread[-1][~marks] = goals[i]
        skip.append(marks)
    results = []
    for given_, wanted, options in (
        (sequences, spread if labels == "step" else goals, {"skip": skip}),
        (kept, goals, {}),
    ):
        data = bptt.Padded(given_, wanted, **options)
        trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), truncation=FullBPTT())
        (step,) = trainer.steps(data)
        results.append((step.loss, step.grads.flat.copy(), trainer.evaluate(data),
                        bptt.predict(model, data)))  # fmt: skip
    for found, wanted in zip(*results, strict=True):
        assert_close(found, wanted)


@pytest.mark.parametrize("own_targets", [True, False])
@pytest.mark.parametrize("burn_in", [0, 2])
@pytest.mark.parametrize("batch", [1, 3])
def test_what_a_stream_and_a_feed_hand_out(batch, burn_in, own_targets):
    rng = np.random.default_rng(batch)
    ids, resets, skip = rng.integers(0, 9, 43), rng.random(43) < 0.2, rng.random(43) < 0.3
    goals = ids[::-1].copy() if own_targets else None
    stream = bptt.Stream(ids, batch, goals, resets, skip=skip, burn_in=burn_in)
    chunk = stream.chunk(0, stream.steps)
    for b, place in enumerate(np.array_split(np.arange(43 if own_targets else 42), batch)):
        read = 0
        for t, i in enumerate(place):
            read = 0 if t == 0 or resets[i] else read
            before = not own_targets and (resets[i + 1] or skip[i + 1])
            assert chunk.skip[t, b] == skip[i]
            assert chunk.x[t, b] == (0 if skip[i] else ids[i])
            assert chunk.mask[t, b] == (not skip[i] and not before and read >= burn_in)
            read += not skip[i]
    if batch == 1:
        cuts = [7, 20]
        pieces = zip(
            *(np.split(array, cuts) for array in (ids, ids[::-1], resets, skip)), strict=True
        )
        if not own_targets:
            pieces = [(x, None, *marks) for x, _, *marks in pieces]
        feed = bptt.Feed(pieces, burn_in=burn_in).chunk(0, stream.steps)
        assert np.array_equal(feed.skip, chunk.skip)
        assert np.array_equal(feed.mask, chunk.mask)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: bptt.Stream(np.arange(9), 1, skip=np.zeros(8, bool)), ShapeError,
         r"skip must be \(9,\) of bool, got \(8,\)"),
        (lambda: bptt.Padded([[1, 2], [3]], [0, 1], skip=[[False, True], [True]]), bptt.DataError,
         r"skip\[1\] leaves no step of sequences\[1\]"),
        (lambda: bptt.Padded([[1, 2], [3]], [0, 1], skip=[[False], [False]]), ShapeError,
         r"skip\[0\] must be \(2,\) of bool, got \(1,\) of bool"),
        (lambda: bptt.Padded([[1, 2], [3]], [0, 1], skip=[[0, 1], [0]]), ShapeError,
         r"skip\[0\] must be \(2,\) of bool, got \(2,\) of int64"),
        (lambda: bptt.Feed([([1, 2], None, None, [0, 1])]), ShapeError,
         r"pieces\[0\]\[3\] must be \(2,\) of bool, got \(2,\) of int64"),
        (lambda: a_model(STACKS[2])(np.zeros((4, 2, 3)), skip=np.zeros((4, 1), bool)), ShapeError,
         r"skip must be \(4, 2\) of bool, got \(4, 1\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make, error, said):
    with pytest.raises(error, match=said):
        make()


def test_what_was_said_of_a_pass_is_forgotten_with_it():
    """The ragged last step of a pass makes no later update look for steps to skip."""
    model = a_model(STACKS[2])
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), truncation=TBPTT(4, 4))
    stream = bptt.Stream(np.zeros((8, 3)), 3, np.zeros((8, 5)))
    list(trainer.steps(stream))
    (tape,) = trainer.team.windows[0].tapes
    assert tape.skip.some
    trainer.team.begin()
    assert not tape.skip.some
    assert not tape.skip.rows.any()


def test_a_state_that_grows_in_padding_spoils_nothing():
    """Where it would overflow, padding leaves neither an inf in the state nor in the gradient."""
    model = bptt.Model([RNN(1, 2, "relu"), RNN(2, 2, "identity")])
    for name in ("0.Wh", "1.Wh"):
        model.params[name][...] = 4 * np.eye(2)
    model.params["0.b"][...] = 1
    x, ended = np.ones((90, 2, 1)), np.zeros((90, 2), bool)
    ended[3:] = True
    _, grads, state = bptt.value_and_grad(model, SquaredError(), x, np.ones((90, 2, 2)),
                                             ended=ended)  # fmt: skip
    wanted = bptt.value_and_grad(model, SquaredError(), x[:3], np.ones((3, 2, 2)))
    assert_close(grads.flat, wanted[1].flat, 1e-5)
    assert_all_close(state, wanted[2], 1e-6)


@pytest.mark.parametrize(
    "layer",
    [LSTM(2, 3), LSTM(2, 3, peepholes=True), LSTM(2, 3, layer_norm=True), Zoneout(LSTM(2, 3), 0.1)],
    ids=str,
)
def test_gates_that_padding_closes_leave_gradients_as_they_are(layer):
    """An output gate that is nearly zero there, beside a state that was held."""
    model = a_model([layer, Linear(3, 2)], "float32")
    model.params["0.b"][9:] = -50
    model.params["0.Wx"][:, 9:] = 60
    x, targets = np.ones((5, 1, 2), np.float32), np.ones((2, 1, 2), np.float32)
    loss, wanted, _ = bptt.value_and_grad(model, SquaredError(), x[:2], targets)
    ended = np.arange(5)[:, None] >= 2
    padded = np.concatenate([targets, np.ones((3, 1, 2), np.float32)])
    found, grads, _ = bptt.value_and_grad(model, SquaredError(), x, padded, ended=ended)
    assert found == pytest.approx(loss, rel=1e-6)
    assert_close(grads.flat, wanted.flat, 1e-5)
