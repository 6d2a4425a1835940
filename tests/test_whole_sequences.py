"""Models that read whole sequences: trained and evaluated on them, and never on a part."""

import naive
import numpy as np
import pytest
from helpers import (
    Frozen,
    a_model,
    an_input,
    assert_all_close,
    assert_close,
    plain,
    some_marks,
    words,
)

import bptt
from bptt import (
    ARTBP,
    GRU,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    AdaptiveTBPTT,
    Bidirectional,
    CrossEntropy,
    DataError,
    Dropout,
    Embedding,
    Feed,
    FullBPTT,
    Linear,
    Max,
    Padded,
    RandomTBPTT,
    Residual,
    SquaredError,
    Stream,
    Trainer,
    Zoneout,
)

FLOATS = [Linear(2, 4), Residual(Bidirectional(GRU(4, 2))), Bidirectional(LSTM(4, 3)), Linear(6, 3)]
IDS = [Embedding(5, 3), Bidirectional(LSTM(3, 4), merge="product"), Max(4), Linear(4, 3)]
LENGTHS = [3, 1, 75, 4, 2, 6, 3]


def some_sequences(model, seed=0):
    rng = np.random.default_rng(seed)
    if model.reads_ids:
        return [rng.integers(0, model.n_in, n) for n in LENGTHS]
    return [rng.normal(size=(n, model.n_in)) for n in LENGTHS]


def some_targets(model, per_step, seed=1):
    rng = np.random.default_rng(seed)
    if per_step:
        return [rng.normal(size=(n, model.n_out)) for n in LENGTHS], SquaredError()
    return rng.integers(0, model.n_out, len(LENGTHS)), CrossEntropy()


def alone(model, sequences, targets, per_step):
    """For each sequence, all by itself: its outputs, and its targets, for its last steps."""
    params = plain(model.params)
    for x, wanted in zip(sequences, targets, strict=True):
        nothing = np.zeros((len(x), 1), bool)
        y = naive.forward_whole(model.layers, params, x[:, None], nothing, nothing)
        yield y, wanted[:, None] if per_step else np.array([[wanted]])


def one_by_one(model, sequences, targets, loss):
    """The sum of losses and that of gradients, by a call for each sequence; and their number."""
    total, summed, count = 0.0, 0.0, 0
    per_step = isinstance(loss, SquaredError)
    for x, wanted in zip(sequences, targets, strict=True):
        wanted = wanted[:, None] if per_step else np.array([[wanted]])
        found, grads, _ = bptt.value_and_grad(model, loss, x[:, None], wanted)
        total, summed = total + found * len(wanted), summed + grads.flat * len(wanted)
        count += len(wanted)
    return total, summed, count


@pytest.mark.parametrize("truncation", [FullBPTT(), TBPTT(75, 80)], ids=str)
@pytest.mark.parametrize(("batch", "workers"), [(1, 1), (3, 2), (None, 3)])
@pytest.mark.parametrize("per_step", [True, False], ids=["each step", "each sequence"])
@pytest.mark.parametrize("layers", [FLOATS, IDS], ids=words)
def test_padding_never_changes_a_gradient(layers, per_step, batch, workers, truncation):
    model = a_model(layers)
    sequences, (targets, loss) = some_sequences(model), some_targets(model, per_step)
    data = Padded(sequences, targets, batch, seed=3)
    trainer = Trainer(model, loss=loss, optimizer=Frozen(), truncation=truncation, workers=workers)
    steps = list(trainer.steps(data))
    total, summed, count = one_by_one(model, sequences, targets, loss)
    assert sum(step.targets for step in steps) == count
    assert_close(sum(step.loss * step.targets for step in steps), total, 1e-12)
    assert_close(sum(step.grads.flat * step.targets for step in trainer.steps(data)), summed)
    assert trainer.n == 2 * len(steps) == 2 * -(-7 // (batch or 7))


@pytest.mark.parametrize("merge", ["concat", "product"])
def test_the_last_losses_alone_leave_no_errors_to_the_next_batch(merge):
    model = a_model([Linear(2, 3), Bidirectional(LSTM(3, 2), merge=merge)])
    sequences, targets = some_sequences(model), some_targets(model, per_step=True)[0]
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(),
                      truncation=TBPTT(75, 75, losses="last"))  # fmt: skip
    steps = trainer.steps(Padded(sequences, targets, 1, shuffle=False))
    for i in np.argsort(LENGTHS, kind="stable"):
        step, newest = next(steps), targets[i][-1:, None]
        _, grads, _ = bptt.value_and_grad(model, SquaredError(), sequences[i][:, None], newest)
        assert_close(step.grads.flat, grads.flat)


@pytest.mark.parametrize("per_step", [True, False], ids=["each step", "each sequence"])
@pytest.mark.parametrize("layers", [FLOATS, IDS], ids=words)
def test_evaluation_and_prediction_see_all_of_each_sequence(layers, per_step):
    model = a_model(layers)
    sequences, (targets, loss) = some_sequences(model), some_targets(model, per_step)
    trainer = Trainer(model, loss=loss, optimizer=Frozen(), truncation=FullBPTT(), workers=2)
    outputs, total = [], 0.0
    for y, wanted in alone(model, sequences, targets, per_step):
        outputs.append(y[-len(wanted) :, 0])
        total += naive.mean_loss(y, wanted) * len(wanted)
    outputs = np.concatenate(outputs)
    for batch in (1, 3, None):
        data = Padded(sequences, targets, batch)
        assert_close(bptt.predict(model, data), outputs, 1e-12)
        assert_close(trainer.evaluate(data), total / len(outputs), 1e-12)


def test_evaluation_after_a_shorter_one():
    model = a_model(IDS)
    sequences, (targets, loss) = some_sequences(model), some_targets(model, per_step=False)
    trainer = Trainer(model, loss=loss, optimizer=Frozen(), truncation=FullBPTT())
    trainer.evaluate(Padded(sequences[:2], targets[:2], 3))
    wanted = one_by_one(model, sequences, targets, loss)[0] / len(targets)
    assert_close(trainer.evaluate(Padded(sequences, targets, 3)), wanted, 1e-12)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("layers", [FLOATS, IDS], ids=words)
def test_a_stream_with_resets_and_ragged_ends(layers, workers):
    model, lanes, pairs = a_model(layers), 4, 38
    rng = np.random.default_rng(4)
    data = rng.integers(0, 5, pairs) if model.reads_ids else rng.normal(size=(pairs, 2))
    goals, begins = rng.normal(size=(pairs, 3)), np.arange(pairs) % 7 == 4
    stream = Stream(data, lanes, goals, begins)
    (x, there), (targets, _), (resets, _) = (
        naive.lanes(column, lanes) for column in (data, goals, begins)
    )

    def loss(tried):
        y = naive.forward_whole(layers, tried, x, resets, ~there)
        return naive.mean_loss(y, targets, there)

    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), truncation=FullBPTT(),
                      workers=workers)  # fmt: skip
    (step,) = trainer.steps(stream)
    assert_close(step.loss, loss(plain(model.params)), 1e-12)
    assert_close(trainer.evaluate(stream), step.loss, 1e-12)
    assert_all_close(step.grads, naive.complex_step(loss, plain(model.params)))


def a_trainer(layers=FLOATS, dtype="float64", **changes):
    options = {"loss": SquaredError(), "optimizer": SGD(0.1, momentum=0.9), "workers": 2,
               "truncation": FullBPTT(clip_delta=0.2)}  # fmt: skip
    return Trainer(a_model(layers, dtype), **options | changes)


RANDOM = [Dropout(2, 0.3), Bidirectional(RNN(2, 4)), Dropout(8, 0.3), Bidirectional(GRU(8, 3)),
          Linear(6, 3)]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_pass_left_between_two_batches_goes_on_bit_for_bit(tmp_path, dtype):
    trainer = a_trainer(RANDOM, dtype)
    data = Padded(some_sequences(trainer.model), some_targets(trainer.model, True)[0], 2, seed=5)
    for _ in range(2):
        next(trainer.steps(data))
    trainer.save(tmp_path / "trainer")
    other = Trainer.load(tmp_path / "trainer")
    assert trainer.under_way.position == other.under_way.position > 0
    for _ in range(5):
        one, two = (next(t.steps(data)) for t in (trainer, other))
        assert one.loss == two.loss
        assert np.array_equal(one.grads.flat, two.grads.flat)
    assert np.array_equal(trainer.model.params.flat, other.model.params.flat)
    assert trainer.evaluate(data) == other.evaluate(data)


def test_what_an_update_shows_of_it():
    trainer = a_trainer([Bidirectional(LSTM(2, 3)), RNN(6, 2), Linear(2, 3)])
    data = Padded(some_sequences(trainer.model), some_targets(trainer.model, True)[0], 2)
    step = next(trainer.steps(data))
    seen = trainer.watch()
    names = {"0.h", "0.h_reverse", "1.h"}
    assert set(step.flow) == set(seen.flow) == set(seen.clipped) == names
    assert {len(norms) for norms in step.flow.values()} == {step.k1} == {step.k2}
    assert not seen.saturation
    assert all(np.isfinite(norms).all() for norms in seen.parameters.values())
    assert set(seen.parameters) == set(trainer.model.params)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("layers", [
    FLOATS,
    IDS,
    [Bidirectional(Zoneout(LSTM(3, 2), 0.2, 0.4)), Bidirectional(Residual(GRU(4, 4)))],
], ids=words)  # fmt: skip
def test_the_errors_of_both_directions(layers, workers):
    """δ of every state of either direction, by a complex step in each, where it stands in time."""
    model, (resets, ended) = a_model(layers), some_marks(9, 4)
    x, targets = an_input(model, 9, 4), np.random.default_rng(5).normal(size=(9, 4, model.n_out))
    params, loss = plain(model.params), SquaredError()
    nudges = {
        f"{i}.h{ending}": np.zeros((9, 4, inside.sizes[1]))
        for i, layer in enumerate(layers)
        for around in [layer.layer if isinstance(layer, Residual) else layer]
        for ending in (("", "_reverse") if isinstance(around, Bidirectional) else ("",))
        for inside in [around.layer if isinstance(around, Bidirectional) else around]
        if inside.carried
    }

    def total(tried):
        y = naive.forward_whole(layers, params, x, resets, ended, nudges=tried)
        return naive.mean_loss(y, targets, ~ended)

    delta = naive.complex_step(total, nudges)
    given = {"mask": ~ended, "resets": resets, "ended": ended, "workers": workers}
    found = bptt.gradients(model, loss, x, targets, **given).flow
    norms = {name: np.linalg.norm(errors, axis=2) for name, errors in delta.items()}
    assert_all_close(found, {name: np.linalg.norm(of, axis=1) for name, of in norms.items()})
    assert all((norms[f"1.h{ending}"] > 0).sum() > 10 for ending in ("", "_reverse"))
    assert not any(of[ended].any() for of in norms.values())


@pytest.mark.parametrize("newest", [0, 4, 8])
def test_the_reverse_direction_takes_its_errors_forward_in_time(newest):
    model, only = a_model([Bidirectional(RNN(3, 4))]), np.zeros((9, 1), bool)
    only[newest] = True
    x, targets = an_input(model, 9, 1), np.ones((9, 1, 8))
    found = bptt.gradients(model, SquaredError(), x, targets, mask=only).flow
    steps = np.arange(9)
    assert np.array_equal(found["0.h"] > 0, steps <= newest)
    assert np.array_equal(found["0.h_reverse"] > 0, steps >= newest)


def test_the_share_of_lanes_that_are_bounded_in_the_reverse_direction():
    """The only losses are those of the last steps, which it reads first."""
    model = a_model([Bidirectional(RNN(3, 4)), Linear(8, 2)])
    data = Padded([an_input(model, n, 1, n)[:, 0] for n in (5, 3)], np.ones((2, 2)), 2)
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(),
                      truncation=FullBPTT(clip_delta=1e-9))  # fmt: skip
    step, seen = next(trainer.steps(data)), trainer.watch()
    assert seen.clipped["0.h_reverse"].tolist() == [0, 0, 0.5, 0, 0.5]
    assert_close(step.flow["0.h_reverse"], [0, 0, 1e-9, 0, 1e-9])


def test_it_learns_what_only_the_end_tells():
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 2, n) for n in rng.integers(3, 9, 60)]
    targets = [np.full(len(s), s[-1]) for s in sequences]
    model = bptt.Model([Embedding(2, 3), Bidirectional(GRU(3, 6)), Linear(12, 2)])
    data = Padded(sequences, targets, 10)
    trainer = Trainer(model, loss=CrossEntropy(), optimizer=bptt.Adam(0.03), truncation=FullBPTT())
    history = trainer.fit(data, 8, validation=data, progress=False)
    assert history.validation_loss[-1] < 0.05


WHOLE = r"Bidirectional\(.*\) reads whole sequences, but "


@pytest.mark.parametrize(
    "truncation",
    [
        FullBPTT(memory="sqrt"),
        TBPTT(100, 100, memory=1.0),
        RandomTBPTT(1000),
        ARTBP(1000.0),
        AdaptiveTBPTT(0.1, 1000),
    ],
    ids=str,
)
def test_truncations_that_may_cut(truncation):
    with pytest.raises(ValueError, match=WHOLE + r".* cuts those; FullBPTT\(\) does not"):
        a_trainer(truncation=truncation)


def test_windows_shorter_than_the_longest_sequence():
    trainer = a_trainer(truncation=TBPTT(74, 80))
    sequences, targets = some_sequences(trainer.model), some_targets(trainer.model, True)[0]
    before = trainer.model.params.flat.copy()
    data = Padded(sequences, targets, 1, shuffle=False)
    for train in (lambda: next(trainer.steps(data)), lambda: trainer.fit(data, 1, progress=False)):
        with pytest.raises(ValueError, match=WHOLE + r"TBPTT\(k1=74, .* cuts those of 75 steps"):
            train()
    assert trainer.n == 0
    assert trainer.under_way is trainer.team is None
    assert np.array_equal(trainer.model.params.flat, before)
    short = [s for s in sequences if len(s) < 75], [t for t in targets if len(t) < 75]
    assert len(list(trainer.steps(Padded(*short, 1)))) == 6


def a_feed():
    return Feed(iter([(np.zeros((9, 2)), np.zeros((9, 3)))] * 3))


def test_a_feed_has_no_end_to_begin_from():
    trainer = a_trainer()
    for call in (
        lambda: next(trainer.steps(a_feed())),
        lambda: trainer.evaluate(a_feed()),
        lambda: trainer.fit(a_feed(), 1, progress=False),
    ):
        with pytest.raises(ValueError, match=WHOLE + "a Feed does not know its end"):
            call()
    with pytest.raises(DataError, match="end is not known cannot be taken as a whole sequence"):
        bptt.predict(trainer.model, a_feed())


LOSS = SquaredError()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m, x, y: bptt.gradients(m, LOSS, x, y, memory="sqrt"), "memory='sqrt' cuts them"),
        (lambda m, x, y: bptt.value_and_grad(m, LOSS, x, y, memory=5), "memory=5 cuts them"),
        (lambda m, x, y: m.generate(x, 3), "to generate is to run step by step"),
        (lambda m, x, y: bptt.gradient_flow(m, LOSS, x, y), "gradient_flow follows errors back"),
        (lambda m, x, y: bptt.jacobian_spectrum(m, x[:, :1]), "the Jacobian is that of single"),
        (lambda m, x, y: bptt.rtrl(m, LOSS, x, y), "real-time recurrent learning goes forward"),
        (
            lambda m, x, y: bptt.truncation_report(m, LOSS, Stream(x[:, 0], 1, y[:, 0]), [2]),
            "truncation cuts them",
        ),
    ],
    ids=["memory", "MB", "generate", "gradient_flow", "jacobian_spectrum", "rtrl",
         "truncation_report"],
)  # fmt: skip
@pytest.mark.parametrize("wrap", [lambda layer: layer, Residual], ids=["plain", "Residual"])
def test_what_would_cut_a_sequence(call, said, wrap):
    model = a_model([wrap(Bidirectional(RNN(4, 2))), LSTM(4, 4)])
    x = an_input(model, 6, 3)
    with pytest.raises(ValueError, match=WHOLE + said):
        call(model, x, np.zeros((6, 3, 4)))


def test_single_steps():
    model = a_model([Bidirectional(RNN(4, 2))])
    with pytest.raises(ValueError, match=r"RNN\(4, 2\)\) reads whole sequences, so it cannot run"):
        model.advance(np.zeros((1, 4)), model.zero_state(1).flat)


def test_others_read_what_they_did():
    model = a_model([Residual(RNN(3, 3)), LSTM(3, 2)])
    assert not model.whole
    assert a_model([Residual(Bidirectional(RNN(4, 2)))]).whole
