"""Sequences of unequal lengths: padding changes nothing, whatever lies beside it."""

import math

import naive
import numpy as np
import pytest
from helpers import Frozen, a_model, assert_close, few, plain, words
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt
from bptt import (
    GRU,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    AdaptiveTBPTT,
    CrossEntropy,
    DataError,
    Embedding,
    FullBPTT,  # fmt: skip
    Linear,
    Padded,
    ShapeError,
    SquaredError,
    Trainer,
)

RNG = np.random.default_rng(0)
LENGTHS = [4, 1, 7, 3, 3, 6, 2]
FLOATS = [RNG.normal(size=(n, 3)) for n in LENGTHS]
IDS = [RNG.integers(0, 6, n) for n in LENGTHS]
CLASSES = RNG.integers(0, 4, len(LENGTHS))
STACKS = [[LSTM(3, 5), Linear(5, 4)], [RNN(3, 4), GRU(4, 5), Linear(5, 4)]]


def chunks_of(source, k=1000):
    reader = source.reader()
    while (chunk := reader.take(k)) is not None:
        yield chunk


def one_by_one(model, loss, sequences, targets):
    """Sum of the losses, its gradient, and how many targets: each sequence alone."""
    total, gradient, count = 0.0, 0.0, 0
    for x, goal in zip(sequences, targets, strict=True):
        found = bptt.gradients(model, loss, x[:, None], goal)
        n = int((goal >= 0).sum()) if goal.dtype.kind in "iu" else len(goal)
        total, gradient, count = total + n * found.loss, gradient + n * found.params.flat, count + n
    return total / count, gradient / count, count


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("batch", [None, 1, 3, 20])
@pytest.mark.parametrize("layers", STACKS, ids=words)
def test_training_is_that_of_the_sequences_one_by_one(layers, batch, workers):
    """The gradients of all updates of a pass, weighted by their targets, add up to it."""
    model = a_model(layers)
    data = Padded(FLOATS, CLASSES, batch, seed=3)
    trainer = Trainer(model, loss=CrossEntropy(), optimizer=Frozen(), truncation=FullBPTT(),
                      workers=workers)  # fmt: skip
    total, summed = 0.0, np.zeros(model.params.flat.size)
    for step in trainer.steps(data):
        total += step.loss * step.targets
        summed += step.grads.flat * step.targets
    loss, gradient, count = one_by_one(
        model, CrossEntropy(), FLOATS, [np.array([[c]]) for c in CLASSES]
    )
    assert trainer.n == math.ceil(7 / (batch or 7))
    assert count == 7
    assert_close(total / 7, loss)
    assert_close(summed / 7, gradient)


@settings(max_examples=few(30))
@given(
    batch=st.integers(1, 9),
    bucket=st.booleans(),
    shuffle=st.booleans(),
    seed=st.integers(0, 5),
    memory=st.sampled_from([None, "sqrt"]),
)
def test_padding_never_changes_a_gradient(batch, bucket, shuffle, seed, memory):
    model = a_model(STACKS[0])
    goals = [np.random.default_rng(n).normal(size=(n, 4)) for n in LENGTHS]
    data = Padded(FLOATS, goals, batch, bucket=bucket, shuffle=shuffle, seed=seed)
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(),
                      truncation=FullBPTT(memory=memory), workers=2)  # fmt: skip
    summed = sum(step.targets * step.grads.flat for step in trainer.steps(data))
    loss, gradient, count = one_by_one(model, SquaredError(), FLOATS, [g[:, None] for g in goals])
    assert count == sum(LENGTHS)
    assert_close(summed / count, gradient)
    assert_close(trainer.evaluate(data), loss)


@pytest.mark.parametrize("k1_k2", [(2, 2), (1, 3), (2, 5)], ids=str)
def test_windows_do_not_reach_from_one_batch_into_the_next(k1_k2):
    model = a_model([Embedding(6, 3), LSTM(3, 4), Linear(4, 6)])
    data = Padded(IDS, IDS, 3, shuffle=False)
    trainer = Trainer(model, loss=CrossEntropy(), optimizer=Frozen(), truncation=TBPTT(*k1_k2),
                      workers=2)  # fmt: skip
    steps = trainer.steps(data)
    for chunk in chunks_of(data):
        there = chunk.mask
        for update in naive.tbptt(
            model.layers, plain(model.params), chunk.x, chunk.targets, there, *k1_k2
        ):
            step = next(steps)
            if step.targets:
                assert_close(step.loss, update.loss)
                assert_close(step.grads["1.Wh"], update.params["1.Wh"])
    assert next(steps, None) is None


def test_every_sequence_comes_once_in_a_pass_and_passes_differ():
    data = Padded([[n] * n for n in range(1, 9)], np.arange(8), 3, bucket=False, seed=1)
    orders = []
    for epoch in range(3):
        lanes = [
            lane for c in chunks_of(data.arranged(epoch)) for lane in c.x.T.tolist() if any(lane)
        ]
        assert sorted(max(lane) for lane in lanes) == list(range(1, 9))
        assert all(sorted(set(lane)) in ([max(lane)], [0, max(lane)]) for lane in lanes)
        orders.append([max(lane) for lane in lanes])
    assert orders[0] != orders[1] != orders[2]
    again = Padded([[n] * n for n in range(1, 9)], np.arange(8), 3, bucket=False, seed=1)
    assert [c.x.tolist() for c in chunks_of(again.arranged(1))] == [
        c.x.tolist() for c in chunks_of(data.arranged(1))
    ]


def test_a_lane_has_ended_after_its_last_step():
    data = Padded([[1] * n for n in (3, 1, 4)], np.arange(3), shuffle=False, bucket=False)
    first, second = chunks_of(data, 1), chunks_of(data, 4)
    ended = np.array([[t >= n for n in (3, 1, 4)] for t in range(4)])
    assert next(second).ended.tolist() == ended.tolist()
    assert next(first).ended is None
    assert [chunk.ended.tolist() for chunk in first] == [[row] for row in ended[1:].tolist()]
    assert all(c.ended is None for c in chunks_of(Padded([[1, 2]] * 4, np.arange(4), 2)))


def test_buckets_hold_sequences_of_like_length():
    data = Padded([np.ones(n, int) for n in (9, 1, 8, 2, 7, 3)], np.zeros(6, int), 2)
    for epoch in range(3):
        lengths = [sorted((c.x != 0).sum(axis=0).tolist()) for c in chunks_of(data.arranged(epoch))]
        assert sorted(lengths) == [[1, 2], [3, 7], [8, 9]]
    assert data.steps == 2 + 7 + 9
    assert Padded([np.ones(n, int) for n in (9, 1, 8, 2)], np.zeros(4, int), 2,
                  bucket=False, shuffle=False).steps == 17  # fmt: skip


def test_what_a_chunk_holds():
    data = Padded([[1, 2, 3], [4]], np.array([5, 6]), shuffle=False, bucket=False)
    (chunk,) = chunks_of(data)
    assert chunk.x.tolist() == [[1, 4], [2, 0], [3, 0]]
    assert chunk.targets.tolist() == [[-1, 6], [-1, -1], [5, -1]]
    assert chunk.mask.tolist() == [[False, True], [False, False], [True, False]]
    assert (chunk.x.dtype, chunk.targets.dtype) == (np.int32, np.int32)


def test_lanes_without_a_sequence_count_for_nothing():
    data = Padded([[1.0, 2.0], [3.0]], np.array([[0.5], [0.25]]), 3, shuffle=False)
    (chunk,) = chunks_of(data)
    assert chunk.x.shape == (2, 3, 1)
    assert chunk.mask.tolist() == [[True, False, False], [False, True, False]]
    assert not chunk.x[:, 2].any()


@pytest.mark.parametrize(
    "truncation",
    [FullBPTT(), TBPTT(2, 5), TBPTT(2, 2, memory="sqrt"), AdaptiveTBPTT(0.9, 3, 2)],
    ids=str,
)
def test_a_trainer_goes_on_bit_for_bit(tmp_path, truncation):
    data = Padded(IDS * 3, np.concatenate([CLASSES] * 3), 4, seed=2)
    model = a_model([Embedding(6, 3), LSTM(3, 5), Linear(5, 4)])
    trainer = Trainer(model, loss=CrossEntropy(), optimizer=SGD(0.1), truncation=truncation,
                      workers=2)  # fmt: skip
    for _ in range(9):
        trainer.save(tmp_path / "trainer")
        other = Trainer.load(tmp_path / "trainer")
        step, again = next(trainer.steps(data), None), next(other.steps(data), None)
        if step is None:
            assert again is None
            break
        assert np.array_equal(step.loss, again.loss, equal_nan=True)
        assert np.array_equal(step.grads.flat, again.grads.flat)


def test_fit_counts_steps_and_learns():
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 2, rng.integers(3, 9)) for _ in range(60)]
    classes = np.array([s[0] for s in sequences])
    model = bptt.Model([Embedding(2, 4), LSTM(4, 12), Linear(12, 2)])
    trainer = Trainer(model, loss=CrossEntropy(), optimizer=bptt.Adam(0.03), truncation=FullBPTT(),
                      workers=1)  # fmt: skip
    data = Padded(sequences, classes, 10)
    history = trainer.fit(data, few(40), validation=data, progress=False)
    assert history.validation_loss[-1] < 0.1


BAD = [
    (([], []), {}, DataError, "sequences must be a list with at least one sequence"),
    (([[1, 2], []], [0, 1]), {}, DataError, r"sequences\[1\] is empty"),
    (([[1, 2], [-3]], [0, 1]), {}, DataError, r"sequences\[1\]\[0\] is -3, but must be an id"),
    (([[1.0], [np.nan]], [0, 1]), {}, DataError, r"sequences\[1\]\[0\] is nan"),
    (([[1.0], [2]], [0, 1]), {}, ShapeError, r"sequences\[1\] has ids, but sequences\[0\] has 1"),
    (([np.ones((2, 3)), np.ones((2, 2))], [0, 1]), {}, ShapeError,
     r"sequences\[1\] has 2 features, but sequences\[0\] has 3 features"),
    (([[1, 2], [3]], [0]), {}, ShapeError, "an array with one for each of the 2 sequences"),
    (([[1, 2], [3]], [[0, 1], [2, 3]]), {}, ShapeError, r"targets\[1\] has 2 steps, but"),
    (([[1, 2], [3]], [[0, 1]]), {}, ShapeError, "targets are 1, but there are 2 sequences"),
    (([[1, 2], [3]], [0, -7]), {}, DataError, r"targets\[1\] is -7, but must be an id"),
    (([[1] * 99, [3], [4] * 9], [0.5, np.nan, 1]), {}, DataError, r"targets\[1\] is nan"),
    (([[1] * 99, [3]], [[0.5, 1], [1, np.inf]]), {}, ShapeError, r"targets\[0\] has 2 steps, but"),
    (([[1] * 99, [3]], np.array([[0.5, 1], [1, np.inf]])), {}, DataError,
     r"targets\[1, 1\] is inf"),
    (([[1] * 99, [3], [4] * 9], np.array([[0], [1], [1]])), {}, ShapeError,
     r"targets must be \(N,\) integers, got shape \(3, 1\); features are floats"),
    (([np.ones((5, 3), int)], [0]), {}, ShapeError,
     r"sequences\[0\] must be \(N,\) integers, got shape \(5, 3\); features are floats"),
    (([[1, 2]], [[0, 1, 2]]), {"mask": [[True, True]]}, ShapeError, r"targets\[0\] has 3 steps"),
    (([[1, 2]], [[0, 1]]), {"mask": [[0, 1]]}, ShapeError, r"mask\[0\] must be \(2,\) of bool"),
    (([[1, 2]], [[0, 1]]), {"mask": 0}, ShapeError, "mask must be a list with one for each seq"),
    (([[1, 2]], [[0, 1]]), {"mask": []}, ShapeError, "mask are 0, but there are 1 sequences"),
    (([[1, 2]], [0]), {"burn_in": 1}, ShapeError, "burn_in is for targets of each step, but"),
    (([[1, 2]], [[0, 1]]), {"burn_in": -1}, DataError, "burn_in must be an integer from 0 on"),
    ((3, [0]), {}, DataError, "sequences must be a list with at least one sequence, got 3"),
    (([[1], [2]], 3), {}, ShapeError, "one for each of the 2 sequences, or a list"),
    (([[1, 2], [3]], [0, 1]), {"batch": 0}, DataError, "batch must be an integer from 1 on"),
    (([[1, 2], [3]], [0, 1]), {"batch": 1.5}, DataError, "batch must be an integer from 1 on"),
    (([[1, 2], [3]], [0, 1]), {"seed": -1}, ValueError, "seed must be a non-neg"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "options", "error", "said"), BAD)
def test_what_is_refused(given, options, error, said):
    sequences, targets = given
    with pytest.raises(error, match=said):
        Padded(sequences, targets, **options)


def test_targets_that_do_not_fit_the_loss():
    model = a_model(STACKS[0])
    trainer = Trainer(
        model, loss=CrossEntropy(), optimizer=SGD(0.1), truncation=FullBPTT(), workers=1
    )
    with pytest.raises(ShapeError, match="targets are floats, but CrossEntropy"):
        next(trainer.steps(Padded(FLOATS, CLASSES.astype(float))))
    with pytest.raises(DataError, match="ids up to 9"):
        next(trainer.steps(Padded(FLOATS, np.full(7, 9))))


def test_masked_targets_may_be_anything():
    model = a_model(STACKS[0])
    rng = np.random.default_rng(2)
    goals = [rng.normal(size=(n, 4)) for n in LENGTHS]
    mask = [rng.random(n) < 0.6 for n in LENGTHS]
    gaps = [np.where(m[:, None], g, np.nan) for m, g in zip(mask, goals, strict=True)]
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), truncation=FullBPTT())
    (step,) = trainer.steps(Padded(FLOATS, gaps, mask=mask))
    count = sum(m.sum() for m in mask)
    wanted = sum(
        m.sum()
        * bptt.gradients(model, SquaredError(), x[:, None], g[:, None], mask=m[:, None]).params.flat
        for x, g, m in zip(FLOATS, goals, mask, strict=True)
        if m.any()
    )
    assert step.targets == count
    assert_close(step.grads.flat, wanted / count)
    with pytest.raises(DataError, match=r"targets\[.*is nan"):
        Padded(FLOATS, gaps)
    with pytest.raises(ShapeError, match="mask is for targets of each step"):
        Padded(FLOATS, CLASSES, mask=mask)
    with pytest.raises(ShapeError, match=r"mask\[0\] must be \(4,\) of bool, got \(1,\)"):
        Padded(FLOATS, goals, mask=[m[:1] for m in mask])


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_the_first_steps_of_each_sequence_count_no_loss(masked, gaps):
    """Steps that are skipped are not among them."""
    goals = [RNG.normal(size=(n, 4)) for n in LENGTHS]
    told = [RNG.random(n) < 0.7 for n in LENGTHS] if masked else None
    skip = [RNG.permutation(n) * 3 >= 2 * n for n in LENGTHS] if gaps else None
    late = [np.arange(n) >= 2 for n in LENGTHS]
    if gaps:
        late = [np.array([(~s[:t]).sum() >= 2 for t in range(len(s))]) & ~s for s in skip]
    marks = late if told is None else [a & b for a, b in zip(late, told, strict=True)]
    found, wanted = (
        next(
            Trainer(a_model(STACKS[0]), loss=SquaredError(), optimizer=Frozen(),
                    truncation=FullBPTT()).steps(source)
        )
        for source in (
            Padded(FLOATS, goals, mask=told, skip=skip, burn_in=2),
            Padded(FLOATS, goals, mask=marks, skip=skip),
        )
    )  # fmt: skip
    assert found.targets == wanted.targets == sum(m.sum() for m in marks)
    assert found.loss == wanted.loss
    assert np.array_equal(found.grads.flat, wanted.grads.flat)


def test_a_label_that_is_masked_counts_nowhere_and_others_at_the_last_step_that_is_read():
    labels = np.ma.array([5, -3, 7], mask=[False, True, False])
    skip = [[False, True, True], [True, False], [True, False, True, False]]
    given = [[1, -9, -9], [-9, 2], [-9, 3, -9, 4]]
    (chunk,) = chunks_of(Padded(given, labels, skip=skip, bucket=False, shuffle=False))
    assert chunk.x.T.tolist() == [[1, 0, 0, 0], [0, 2, 0, 0], [0, 3, 0, 4]]
    assert chunk.targets.T.tolist() == [[5, -1, -1, -1], [-1] * 4, [-1, -1, -1, 7]]
    assert chunk.mask.T.tolist() == [[True, *[False] * 3], [False] * 4, [*[False] * 3, True]]
    assert chunk.skip.T.tolist() == [[*part, False, False][:4] for part in skip]
    bad = np.array([5, -3, 7])
    with pytest.raises(DataError, match=r"targets\[1\] is -3"):
        Padded(given, bad, skip=skip)
    with pytest.raises(DataError, match=r"sequences\[2\]\[2\] is -9"):
        Padded(given, labels, skip=[*skip[:2], [True, False, False, False]])


def test_a_list_of_booleans_is_a_mask():
    (chunk,) = chunks_of(Padded([[1, 2, 3]], [[1, 2, 3]], mask=[[True, False, True]]))
    assert chunk.mask.ravel().tolist() == [True, False, True]
