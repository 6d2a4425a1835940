"""Block: named views that share one vector."""

import numpy as np
import pytest

from bptt import Block, ShapeError
from bptt.kernels.target import ALIGNMENT

SHAPES = {"a": (2, 3), "b": (), "c": (0, 4), "d": (5,)}


def test_views_lie_one_after_the_other_in_the_vector():
    block = Block(SHAPES, "float64", np.arange(12.0))
    assert block["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert block["b"] == 6
    assert block["d"].tolist() == [7, 8, 9, 10, 11]
    assert block.shapes == SHAPES
    assert list(block) == list(SHAPES)
    assert len(block) == 4
    for view in block.values():
        assert view.flags.c_contiguous
        assert view.size == 0 or np.shares_memory(view, block.flat)


def test_writing_through_either_is_seen_in_both():
    block = Block(SHAPES)
    assert block.dtype == np.float32
    block["d"] = [1, 2, 3, 4, 5]
    block.flat[0] = 9
    assert block.flat[-5:].tolist() == [1, 2, 3, 4, 5]
    assert block["a"][0, 0] == 9


def test_a_vector_of_its_own_starts_on_a_cache_line():
    blocks = [Block({"a": (n,)}) for n in range(1, 40)]
    for block in [*blocks, *(b.like() for b in blocks), *(b.copy() for b in blocks)]:
        assert block.flat.ctypes.data % ALIGNMENT == 0


def test_a_given_vector_is_used_as_it_is():
    flat = np.zeros(12, np.float32)
    assert Block(SHAPES, np.float32, flat).flat is flat


def test_copy_and_like():
    block = Block(SHAPES, "float64", np.arange(12.0))
    copy, empty, other = block.copy(), block.like(), block.like(np.ones(12, np.float32))
    copy["a"] = np.zeros((2, 3))
    assert block["a"][1, 2] == 5
    assert not empty.flat.any()
    assert empty.shapes == copy.shapes == other.shapes == SHAPES
    assert other.dtype == np.float32


@pytest.mark.parametrize(
    "flat",
    [np.zeros(11), np.zeros(13), np.zeros(12, np.float32), np.zeros((12, 1)), np.zeros(24)[::2]],
)
def test_a_vector_that_does_not_fit(flat):
    with pytest.raises(ShapeError, match=r"contiguous \(12,\) vector of float64"):
        Block(SHAPES, "float64", flat)


def test_what_is_assigned_is_copied_into_the_vector():
    block = Block(SHAPES)
    flat, view = block.flat, block["a"]
    block.flat = np.arange(12.0)
    block.flat *= 2
    block["a"] += np.float32(1)
    assert block.flat is flat
    assert block["a"] is view
    assert flat.tolist() == [1, 3, 5, 7, 9, 11, 12, 14, 16, 18, 20, 22]
    block.flat = block.flat[::-1]
    assert flat.tolist() == [22, 20, 18, 16, 14, 12, 11, 9, 7, 5, 3, 1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1, 2, 3], r"has shape \(.*\), got \(3,\)"),
        (None, "must be an array, got None"),
        (1j, r"must hold numbers, got .* of complex128"),
        ("x", r"must hold numbers, got .* of <U1"),
        (object(), r"must hold numbers, got .* of object"),
    ],
)
def test_what_does_not_fit_changes_nothing(given, message):
    block = Block(SHAPES)
    whole = given if given is None or isinstance(given, list) else np.full(12, given)
    with pytest.raises(ShapeError, match=f"^flat {message}"):
        block.flat = whole
    with pytest.raises(ShapeError, match=f"^a {message}"):
        block["a"] = whole if np.shape(whole) != (12,) else whole[:6].reshape(2, 3)
    assert not block.flat.any()


def test_a_block_of_another_dtype_does_not_fit():
    block = Block(SHAPES)
    assert block.fits(block.like())
    assert block.fits(block.copy())
    assert not block.fits(block.like(np.ones(12)))
    assert not block.fits(Block(SHAPES))


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(KeyError, match="no array named 'e'; there are a, b, c, d"):
        Block(SHAPES)["e"]
    with pytest.raises(KeyError, match="no array named 'e'"):
        Block(SHAPES)["e"] = 1


def test_repr_names_the_arrays():
    assert repr(Block({"w": (2, 3), "b": (3,)})) == "Block(w (2, 3), b (3,); float32)"
