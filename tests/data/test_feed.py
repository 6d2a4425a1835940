"""A feed is the stream of its pieces, however they are cut; nothing of it is kept."""

import itertools
import tracemalloc

import numpy as np
import pytest
from helpers import a_model, few
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt
from bptt import (
    LSTM,
    SGD,
    TBPTT,
    CrossEntropy,
    DataError,
    Embedding,
    Feed,
    FullBPTT,
    Linear,
    ShapeError,
    SquaredError,
    Stream,
    Trainer,
)
from bptt.kernels.compile import JIT

RNG = np.random.default_rng(0)


def trained(source):
    ids = source.data_are_ids
    layers = [Embedding(9, 3)] if ids else []
    model = a_model([*layers, LSTM(3, 4), Linear(4, 9 if source.targets_are_ids else 3)])
    trainer = Trainer(model, loss=CrossEntropy() if source.targets_are_ids else SquaredError(),
                      optimizer=SGD(0.1), truncation=TBPTT(3, 5), workers=1)  # fmt: skip
    return [(step.loss, step.grads.flat.tobytes()) for step in trainer.steps(source)]


@settings(max_examples=few(30))
@given(cuts=st.lists(st.integers(1, 59), max_size=8), lanes=st.integers(1, 3),
       own=st.booleans(), ids=st.booleans())  # fmt: skip
def test_it_is_the_stream_of_its_pieces(cuts, lanes, own, ids):
    steps = 60
    x = RNG.integers(0, 9, (steps, lanes)) if ids else RNG.normal(size=(steps, lanes, 3))
    goals = RNG.integers(-1, 9, (steps, lanes)) if own else None
    edges = [0, *sorted(set(cuts)), steps]
    pieces = [(x[a:b], goals[a:b]) if own else x[a:b] for a, b in itertools.pairwise(edges)]
    pairs = steps if own else steps - 1
    laid = x[:pairs].swapaxes(0, 1).reshape(-1, *x.shape[2:])
    nexts = x[1:].swapaxes(0, 1).reshape(-1, *x.shape[2:])
    targets = goals.T.ravel() if own else nexts
    assert trained(Feed(pieces, lanes)) == trained(Stream(laid, lanes, targets))


def test_one_lane_needs_no_axis_of_lanes():
    ids = RNG.integers(0, 9, 40)
    assert trained(Feed([ids[:7], ids[7:8], ids[8:]])) == trained(Stream(ids, 1))
    floats, goals = RNG.normal(size=(40, 3)), RNG.integers(0, 9, 40)
    feed = Feed([(floats[:9], goals[:9]), (floats[9:], goals[9:])])
    assert trained(feed) == trained(Stream(floats, 1, goals))


@pytest.mark.parametrize("own", [True, False])
def test_resets(own):
    ids, resets = RNG.integers(0, 9, 50), RNG.random(50) < 0.2
    goals = ids[::-1].copy() if own else None
    pieces = [(ids[a : a + 8], goals[a : a + 8] if own else None, resets[a : a + 8])
              for a in range(0, 50, 8)]  # fmt: skip
    assert trained(Feed(pieces)) == trained(Stream(ids, 1, goals, resets))


def test_an_endless_one_takes_no_memory():
    def pieces():
        for n in itertools.count():
            yield np.arange(n, n + 1000) % 9

    model = a_model([Embedding(9, 3), LSTM(3, 4), Linear(4, 9)], "float32")
    window, updates = (1000, 600) if JIT else (20, 10)
    trainer = Trainer(model, loss=CrossEntropy(), optimizer=SGD(0.1),
                      truncation=TBPTT(window, window), workers=1)  # fmt: skip
    steps = trainer.steps(Feed(pieces()))
    for _ in range(3):
        next(steps)
    tracemalloc.start()
    for _ in range(updates):
        next(steps)
    # All that was read would be 2.4 MB as int32; tuples that Python keeps for later are 0.7.
    assert tracemalloc.get_traced_memory()[0] < 1_200_000
    tracemalloc.stop()


def test_fit_goes_to_the_end_and_a_second_pass_is_refused():
    ids = RNG.integers(0, 9, 40)
    model = a_model([Embedding(9, 3), LSTM(3, 4), Linear(4, 9)])
    trainer = Trainer(
        model, loss=CrossEntropy(), optimizer=SGD(0.1), truncation=TBPTT(7, 7), workers=1
    )
    feed = Feed([ids])
    history = trainer.fit(feed, 1, progress=False)
    assert len(history.update) == 6
    with pytest.raises(DataError, match="a feed is read once: step 0 has gone by"):
        trainer.fit(feed, 1, progress=False)


def test_a_loaded_trainer_skips_what_it_has_read(tmp_path):
    ids = RNG.integers(0, 9, 60)
    model = a_model([Embedding(9, 3), LSTM(3, 4), Linear(4, 9)])
    trainer = Trainer(
        model, loss=CrossEntropy(), optimizer=SGD(0.1), truncation=TBPTT(3, 7), workers=1
    )
    steps = trainer.steps(Feed([ids[:11], ids[11:]]))
    for _ in range(5):
        next(steps)
    trainer.save(tmp_path / "trainer")
    other = Trainer.load(tmp_path / "trainer")
    rest = [(s.loss, s.grads.flat.tobytes()) for s in steps]
    assert [(s.loss, s.grads.flat.tobytes()) for s in other.steps(Feed([ids]))] == rest


def test_a_whole_sequence_needs_an_end():
    model = a_model([Embedding(9, 3), LSTM(3, 4), Linear(4, 9)])
    trainer = Trainer(
        model, loss=CrossEntropy(), optimizer=SGD(0.1), truncation=FullBPTT(), workers=1
    )
    with pytest.raises(DataError, match="cannot be taken as a whole sequence"):
        next(trainer.steps(Feed(itertools.repeat(np.arange(5)))))


def test_evaluation_and_prediction_read_it_too():
    ids = RNG.integers(0, 9, 200)
    model = a_model([Embedding(9, 3), LSTM(3, 4), Linear(4, 9)])
    trainer = Trainer(
        model, loss=CrossEntropy(), optimizer=SGD(0.1), truncation=TBPTT(7, 7), workers=1
    )
    assert trainer.evaluate(Feed([ids[:50], ids[50:]])) == trainer.evaluate(Stream(ids, 1))
    assert np.array_equal(bptt.predict(model, Feed([ids])), bptt.predict(model, Stream(ids, 1)))


@pytest.mark.parametrize(
    ("pieces", "batch", "error", "said"),
    [
        ([], None, DataError, "pieces hold no time step"),
        ([np.zeros(0, int)], None, DataError, r"pieces\[0\] is empty"),
        ([np.array([1, -2])], None, DataError, r"pieces\[0\]\[1\] is -2"),
        ([np.array([1.0, np.nan])], None, DataError, r"pieces\[0\]\[1, 0\] is nan"),
        ([np.zeros((4, 3), int)], 2, ShapeError, r"pieces\[0\] must have 2 lanes, got"),
        ([(np.zeros(4), np.zeros(3))], None, ShapeError, "have 3 steps, x has 4"),
        ([(np.zeros(4), None, np.zeros(3, bool))], None, ShapeError, r"must be \(4, 1\) of bool"),
        ([np.zeros(4)], 0, DataError, "batch must be an integer from 1 on"),
    ],
)  # fmt: skip
def test_what_is_refused(pieces, batch, error, said):
    with pytest.raises(error, match=said):
        Feed(pieces, batch)


def test_later_pieces_are_checked_when_they_come():
    with pytest.raises(ShapeError, match=r"pieces\[1\] has another form than the first"):
        trained(Feed([np.zeros((4, 3)), np.zeros((4, 2))]))
    with pytest.raises(ShapeError, match=r"pieces\[1\] must have targets just if the first"):
        trained(Feed([np.zeros((4, 3)), (np.zeros((4, 3)), np.zeros((4, 3)))]))
