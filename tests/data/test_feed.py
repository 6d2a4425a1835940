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


@settings(max_examples=few(30))
@given(cuts=st.lists(st.integers(1, 39), max_size=6), burn_in=st.integers(0, 12),
       own=st.booleans(), gaps=st.booleans(), seed=st.integers(0, 9))  # fmt: skip
def test_the_first_steps_of_the_feed_and_of_each_sequence_count_no_loss(
    cuts, burn_in, own, gaps, seed
):
    """Steps that are skipped are not among them; nor do they, or masked targets, count."""
    rng = np.random.default_rng(seed)
    x, resets = rng.integers(0, 9, (40, 2)), rng.random((40, 2)) < 0.1
    skip, masked = rng.random((2, 40, 2)) < 0.3 * gaps
    goals = rng.integers(0, 9, (40, 2))
    goals[skip | masked] = -5
    goals = np.ma.array(goals, mask=masked) if own else x
    edges = [0, *sorted(set(cuts)), 40]
    pieces = [(x[a:b], goals[a:b] if own else None, resets[a:b], skip[a:b] if gaps else None)
              for a, b in itertools.pairwise(edges)]  # fmt: skip
    reader = Feed(pieces, 2, burn_in=burn_in).reader()
    while (chunk := reader.take(7)) is not None:
        for lane, t in itertools.product(range(2), range(len(chunk.x))):
            now, after = chunk.start + t, chunk.start + t + 1 - own
            begun = max([0, *np.flatnonzero(resets[: now + 1, lane])])
            counts = np.count_nonzero(~skip[begun:now, lane]) >= burn_in and not skip[now, lane]
            if own:
                counts = counts and not masked[now, lane]
            else:
                counts = counts and not (resets[after, lane] or skip[after, lane])
            assert (chunk.mask is None or chunk.mask[t, lane]) == counts
            assert (chunk.skip is not None and chunk.skip[t, lane]) == skip[now, lane]
            assert not counts or chunk.targets[t, lane] == goals[after, lane]


def test_a_burn_in_is_that_of_a_stream():
    ids, resets = RNG.integers(0, 9, 50), RNG.random(50) < 0.1
    pieces = [(ids[a : a + 8], None, resets[a : a + 8]) for a in range(0, 50, 8)]
    stream = Stream(ids, 1, resets=resets, burn_in=4)
    assert trained(Feed(pieces, burn_in=4)) == trained(stream)


def a_trainer():
    model = a_model([Embedding(9, 3), LSTM(3, 4), Linear(4, 9)])
    return Trainer(
        model, loss=CrossEntropy(), optimizer=SGD(0.1), truncation=TBPTT(3, 7), workers=1
    )


def some(count, steps):
    """The losses of the next ``count`` updates; the pass is left then."""
    return [step.loss for step in itertools.islice(steps, count)]


def test_another_feed_is_another_pass():
    ids, other = RNG.integers(0, 9, 60), RNG.integers(0, 9, 31)
    trainer, wanted = a_trainer(), a_trainer()
    feed, stream = Feed([ids]), Stream(ids, 1)
    for _ in range(2):
        assert some(2, trainer.steps(feed)) == some(2, wanted.steps(stream))
    wanted.restart()
    losses = some(99, trainer.steps(Feed([other])))
    assert losses == some(99, wanted.steps(Stream(other, 1)))
    assert len(losses) == 10


def test_a_loaded_trainer_knows_only_the_first_feed_for_the_old_one(tmp_path):
    ids, path = RNG.integers(0, 9, 60), tmp_path / "trainer"
    trainer = a_trainer()
    some(5, trainer.steps(Feed([ids])))
    trainer.save(path)
    for length in (15, 16):
        with pytest.raises(DataError, match=f"the feed ends after {length - 1} steps, but .* 15"):
            next(Trainer.load(path).steps(Feed([ids[:length]])))
    other, wanted = Trainer.load(path), Trainer.load(path)
    assert some(2, other.steps(Feed([ids]))) == some(2, wanted.steps(Feed([ids])))
    wanted.restart()
    assert some(9, other.steps(Feed([ids]))) == some(9, wanted.steps(Feed([ids])))
