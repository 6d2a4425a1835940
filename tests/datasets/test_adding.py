"""The adding problem: markers where the papers put them, targets recomputed pair by pair."""

import numpy as np
import pytest

from bptt.datasets import adding, adding_sum


def test_every_sequence_is_as_experiment_4_says():
    length, found = 40, adding(40, 3000, seed=1)
    lengths, firsts = set(), 0
    for pairs, target in zip(*found, strict=True):
        lengths.add(len(pairs))
        values, markers = pairs.T.tolist()
        assert markers[0] == markers[-1] == -1
        marked = [t for t, marker in enumerate(markers) if marker == 1]
        assert markers.count(0) == len(pairs) - 2 - len(marked)
        if len(marked) == 1:
            firsts += 1
            marked.insert(0, 0)
            assert values[0] == 0
        first, second = marked
        assert first <= 9
        assert second <= length // 2 - 1
        assert target.tolist() == [np.float32(0.5 + (values[first] + values[second]) / 4)]
        assert -1 <= min(values) < max(values) <= 1
    assert lengths == set(range(40, 45))
    assert firsts == pytest.approx(3000 * (1 / 10 + 9 / 10 / 19), rel=0.1)


def test_the_second_marker_takes_every_place_evenly():
    seconds = np.zeros(40)
    for pairs in adding(40, 4000)[0]:
        marked = np.flatnonzero(pairs[:, 1] == 1)
        if len(marked) and marked[-1] >= 10:
            seconds[marked[-1]] += 1
    assert seconds[20:].sum() == 0
    assert seconds[10:20] == pytest.approx(np.full(10, 4000 / 19), rel=0.25)


def test_the_baseline_of_experiment_4():
    _, targets = adding(100, 20_000)
    assert ((targets - 0.5) ** 2).mean() == pytest.approx(0.039, rel=0.03)
    assert 0 <= targets.min() < targets.max() <= 1


@pytest.mark.parametrize("length", [2, 3, 20, 101])
def test_the_sum_of_one_value_of_each_half(length):
    x, targets = adding_sum(length, 50, seed=2)
    assert x.shape == (length, 50, 2)
    assert targets.shape == (50, 1)
    assert 0 <= x[..., 0].min() < x[..., 0].max() < 1
    for lane in range(50):
        marked = np.flatnonzero(x[:, lane, 1])
        assert x[marked, lane, 1].tolist() == [1, 1]
        assert marked[0] < length // 2 <= marked[1]
        assert targets[lane, 0] == x[marked[0], lane, 0] + x[marked[1], lane, 0]


def test_the_sums_baseline_and_that_every_place_is_marked():
    x, targets = adding_sum(10, 20_000)
    assert ((targets - 1) ** 2).mean() == pytest.approx(1 / 6, rel=0.03)
    assert x[..., 1].mean(axis=1) == pytest.approx(np.full(10, 0.2), rel=0.1)


def test_the_seed_decides():
    for first, again in zip(adding(20, 9, seed=3)[0], adding(20, 9, seed=3)[0], strict=True):
        assert np.array_equal(first, again)
    assert np.array_equal(adding_sum(20, 9, seed=3)[0], adding_sum(20, 9, seed=3)[0])
    assert not np.array_equal(adding_sum(20, 9, seed=3)[0], adding_sum(20, 9, seed=4)[0])
    assert not np.array_equal(adding(20, 9, seed=3)[1], adding(20, 9, seed=4)[1])


def test_the_arrays_are_single_precision():
    sequences, targets = adding(20, 2)
    arrays = [*sequences, targets, *adding_sum(20, 2)]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


@pytest.mark.parametrize("make", [adding, adding_sum])
@pytest.mark.parametrize(
    ("arguments", "seed", "expected"),
    [
        ((1, 5), 0, "length must be at least (11|2), got 1"),
        ((20.0, 5), 0, "length must be a positive integer, got 20.0"),
        ((20, 0), 0, "count must be a positive integer, got 0"),
        ((20, 5), -1, "seed must be a non-negative integer of at most 64 bits, got -1"),
    ],
)
def test_what_cannot_be_made(make, arguments, seed, expected):
    with pytest.raises(ValueError, match=expected):
        make(*arguments, seed=seed)
