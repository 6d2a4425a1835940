"""Pieces of a feed: copied, of any length, and refused by their own index."""

import numpy as np
import pytest

from bptt import DataError, Feed, ShapeError


def read(pieces, batch=None, k=100):
    """All that is in them, as one chunk."""
    return Feed(pieces, batch).reader().take(k)


@pytest.mark.parametrize("dtype", [float, int])
def test_a_buffer_may_be_filled_again(dtype):
    def pieces():
        x, goals, resets = np.zeros(2, dtype), np.zeros((2, 1)), np.zeros(2, bool)
        for n in range(3):
            x[:], goals[:, 0], resets[:] = (2 * n, 2 * n + 1), (-n, n), (n > 0, False)
            yield x, goals, resets

    chunk = Feed(pieces()).reader().take(6)
    assert chunk.x.ravel().tolist() == [0, 1, 2, 3, 4, 5]
    assert chunk.targets.ravel().tolist() == [0, 0, -1, 1, -2, 2]
    assert chunk.resets.ravel().tolist() == [False, False, True, False, True, False]


def test_pieces_may_be_empty():
    ids = np.arange(1, 10)
    none = [np.zeros(0, int), [], np.zeros((0, 5)), (ids[:0], None, np.zeros(0, bool))]
    assert read([*none, ids[:7], *none, ids[7:], *none]).x.ravel().tolist() == [*range(1, 9)]
    chunk = read([(ids[:4], ids[:4]), (ids[:0], ids[:0]), (ids[4:], ids[4:])])
    assert chunk.targets.ravel().tolist() == [*range(1, 10)]


@pytest.mark.parametrize(
    ("pieces", "batch", "error", "said"),
    [
        ([], None, DataError, "pieces hold no time step"),
        ([np.zeros(0, int)], None, DataError, "pieces hold no time step"),
        ([np.zeros(1, int)], None, DataError, "pieces hold one time step, which has no next"),
        (5, None, TypeError, "pieces must be a Iterable, got 5"),
        ([None], None, ShapeError, r"pieces\[0\] must be an array, got None"),
        ([[np.zeros(4), np.zeros(4)]], None, ShapeError, r"pieces\[0\] is a list of arrays: take"),
        ([(np.zeros(4),) * 5], None, ShapeError, r"pieces\[0\] must be x, \(x, .*, got 5 parts"),
        ([()], None, ShapeError, r"pieces\[0\] must be x, .*, got 0 parts"),
        ([(np.zeros(0), np.zeros(3))], None, ShapeError, r"\[0\]\[1\] must have the 0 steps of"),
        ([(np.zeros(4), np.zeros((4, 1), int))], None, ShapeError, r"\]\[1\] must be \(N,\) int"),
        ([(np.zeros((3, 2)), np.array([[0, 1], [2, -3], [4, 5]]))], 2, DataError,
         r"pieces\[0\]\[1\]\[1, 1\] is -3"),
        ([np.zeros((4, 2, 3), int)], 2, ShapeError,
         r"pieces\[0\] must be \(N, 2\) integers, got shape \(4, 2, 3\); features are floats"),
        ([np.array([[1.0, 2.0], [3.0, np.inf]])], 2, DataError, r"pieces\[0\]\[1, 1\] is inf"),
        ([np.array([1, -2])], None, DataError, r"pieces\[0\]\[1\] is -2"),
        ([np.array([1.0, np.nan])], None, DataError, r"pieces\[0\]\[1\] is nan"),
        ([np.zeros((4, 3), int)], 2, ShapeError, r"pieces\[0\] must have 2 lanes, got"),
        ([(np.zeros(4), np.zeros(3))], None, ShapeError,
         r"pieces\[0\]\[1\] must have the 4 steps of pieces\[0\]\[0\], got shape \(3,\)"),
        ([(np.zeros(4), None, np.zeros(3, bool))], None, ShapeError,
         r"pieces\[0\]\[2\] must be \(4,\) of bool"),
        ([np.zeros(4)], 0, DataError, "batch must be an integer from 1 on"),
    ],
)  # fmt: skip
def test_what_is_refused(pieces, batch, error, said):
    with pytest.raises(error, match=said):
        read(pieces, batch)


def test_later_pieces_are_checked_when_they_come():
    with pytest.raises(ShapeError, match=r"x of pieces\[1\] has 2 features, but .* 3"):
        read([np.zeros((4, 3)), np.zeros((4, 2))])
    with pytest.raises(ShapeError, match=r"targets of pieces\[1\] has 1 features, but .* has ids"):
        read([(np.zeros((4, 3)), np.zeros(4, int)), (np.zeros((4, 3)), np.zeros(4))])
    with pytest.raises(ShapeError, match=r"pieces\[1\] must be an array, got None"):
        read([np.zeros((4, 3)), None, np.zeros((4, 3))])
    with pytest.raises(ShapeError, match=r"pieces\[1\] must have targets just if the first"):
        read([np.zeros((4, 3)), (np.zeros((4, 3)), np.zeros((4, 3)))])
