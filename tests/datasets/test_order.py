"""Temporal order: classes recomputed by reading the symbols."""

import numpy as np
import pytest

from bptt.datasets import ORDER_SYMBOLS, temporal_order

CLASSES = {
    2: ["XX", "XY", "YX", "YY"],
    3: ["XXX", "XXY", "XYX", "XYY", "YXX", "YXY", "YYX", "YYY"],
}
PLACES = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}


@pytest.mark.parametrize("relevant", [2, 3])
def test_every_sequence_is_as_experiment_6_says(relevant):
    sequences, classes = temporal_order(2000, relevant, seed=1)
    lengths, places = set(), [set() for _ in range(relevant)]
    for ids, order in zip(sequences, classes, strict=True):
        text = "".join(ORDER_SYMBOLS[i] for i in ids)
        lengths.add(len(text))
        assert (text[0], text[-1]) == ("E", "B")
        assert not set(text[1:-1]) & {"E", "B"}
        matter = [t for t, symbol in enumerate(text) if symbol in "XY"]
        assert len(matter) == relevant
        for seen, t in zip(places, matter, strict=True):
            seen.add(t)
        assert "".join(text[t] for t in matter) == CLASSES[relevant][order]
    assert lengths == set(range(100, 111))
    assert places == [set(range(first, last + 1)) for first, last in PLACES[relevant]]
    shares = np.bincount(classes, minlength=2**relevant) / 2000
    assert shares == pytest.approx(np.full(2**relevant, 2.0**-relevant), rel=0.2)


def test_the_rest_is_drawn_evenly():
    counts = np.bincount(np.concatenate(temporal_order(300)[0]), minlength=8)
    assert counts[2:6] / counts[2:6].sum() == pytest.approx(np.full(4, 0.25), rel=0.05)
    assert counts[[0, 1]].tolist() == [300, 300]


def test_ids_are_those_of_the_library():
    sequences, classes = temporal_order(3)
    assert {array.dtype for array in [*sequences, classes]} == {np.dtype(np.int32)}


def test_the_seed_decides():
    same = zip(temporal_order(8, seed=5)[0], temporal_order(8, seed=5)[0], strict=True)
    assert all(np.array_equal(first, again) for first, again in same)
    other = zip(temporal_order(8, seed=5)[0], temporal_order(8, seed=6)[0], strict=True)
    assert not any(np.array_equal(first, again) for first, again in other)


@pytest.mark.parametrize(
    ("arguments", "seed", "expected"),
    [
        ((0,), 0, "count must be a positive integer, got 0"),
        ((5, 4), 0, "relevant must be 2 or 3, got 4"),
        ((5, "2"), 0, "relevant must be a positive integer, got '2'"),
        ((5,), True, "seed must be a non-negative integer of at most 64 bits, got True"),
    ],
)
def test_what_cannot_be_made(arguments, seed, expected):
    with pytest.raises(ValueError, match=expected):
        temporal_order(*arguments, seed=seed)
