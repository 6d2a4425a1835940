"""Stream: every pair exactly once, in its lane and its order, against a plain double loop."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptt.data.stream import Stream
from bptt.errors import DataError, ShapeError

RNG = np.random.default_rng(7)


def chunks(stream, k, start=0):
    reader = stream.reader(start)
    while (chunk := reader.take(k)) is not None:
        yield chunk


def lanes_read(stream, k):
    """Per lane, the list of (x, target) pairs that a reader with chunks of k gives, unmasked."""
    lanes = [[] for _ in range(stream.batch)]
    for chunk in chunks(stream, k):
        for t in range(len(chunk.x)):
            for b, lane in enumerate(lanes):
                if chunk.mask is None or chunk.mask[t, b]:
                    lane.append((chunk.x[t, b].tolist(), chunk.targets[t, b].tolist()))
    return lanes


def assert_lanes(stream, k, pairs):
    """The lanes are consecutive pieces of ``pairs``, differing by one at most, longer first."""
    lanes = lanes_read(stream, k)
    assert [pair for lane in lanes for pair in lane] == pairs
    lengths = [len(lane) for lane in lanes]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] - lengths[-1] <= 1
    assert stream.steps == lengths[0]
    assert stream.pairs == len(pairs)


def memory_map(path, array):
    mapped = np.memmap(path, array.dtype, "w+", shape=array.shape)
    mapped[...] = array
    return mapped


sizes = st.tuples(st.integers(1, 12), st.integers(0, 60), st.integers(1, 20))


@settings(max_examples=60, deadline=None)
@given(sizes)
def test_every_pair_of_ids_once_and_in_order(size):
    batch, extra, k = size
    data = np.arange(batch + 1 + extra)
    pairs = list(zip(data[:-1].tolist(), data[1:].tolist(), strict=True))
    assert_lanes(Stream(data, batch), k, pairs)


@settings(max_examples=40, deadline=None)
@given(sizes)
def test_every_pair_with_given_targets_once_and_in_order(size):
    batch, extra, k = size
    n = batch + extra
    data, targets = RNG.normal(size=(n, 3)), RNG.integers(-1, 9, n)
    pairs = list(zip(data.tolist(), targets.tolist(), strict=True))
    assert_lanes(Stream(data, batch, targets), k, pairs)


def test_the_layout_of_the_docstring():
    stream = Stream(np.arange(14), batch=3)
    chunk = stream.reader().take(5)
    assert chunk.x.tolist() == [[0, 5, 9], [1, 6, 10], [2, 7, 11], [3, 8, 12], [4, 0, 0]]
    assert chunk.targets.tolist() == [[1, 6, 10], [2, 7, 11], [3, 8, 12], [4, 9, 13], [5, -1, -1]]
    assert chunk.mask.tolist() == [[True] * 3] * 4 + [[True, False, False]]


def test_ragged_floats_are_zero_where_masked():
    stream = Stream(np.arange(1.0, 6.0, dtype=np.float32), batch=2, targets=np.ones((5, 2)))
    *_, last = chunks(stream, 2)
    assert last.x.tolist() == [[[3.0], [0.0]]]
    assert last.targets.tolist() == [[[1.0, 1.0], [0.0, 0.0]]]
    assert last.mask.tolist() == [[True, False]]


def test_mask_only_where_a_lane_has_ended():
    assert [chunk.mask is None for chunk in chunks(Stream(np.arange(14), 3), 2)] == [1, 1, 0]
    assert all(chunk.mask is None for chunk in chunks(Stream(np.arange(13), 3), 3))


def test_a_lane_has_ended_where_it_is_ragged_and_not_where_it_is_masked():
    mask = np.arange(14) % 3 > 0
    *before, last = chunks(Stream(np.arange(14), 3, mask=mask, burn_in=1), 2)
    assert all(chunk.ended is None for chunk in before)
    assert last.ended.tolist() == [[False, True, True]]
    assert not last.mask[last.ended].any()


def test_chunks_are_k_long_and_the_last_one_shorter():
    stream = Stream(np.arange(41), batch=4)
    reader = stream.reader()
    seen = []
    while (chunk := reader.take(4)) is not None:
        seen.append((len(chunk.x), reader.position))
    assert seen == [(4, 4), (4, 8), (2, 10)]
    assert reader.take(4) is None
    assert reader.position == stream.steps == 10


def test_a_reader_may_begin_anywhere_and_change_k():
    stream = Stream(np.arange(50), batch=3)
    whole = stream.reader().take(100)
    reader = stream.reader(start=5)
    first, second = reader.take(2), reader.take(100)
    assert np.array_equal(np.concatenate([first.x, second.x]), whole.x[5:])
    assert np.array_equal(np.concatenate([first.targets, second.targets]), whole.targets[5:])
    assert np.array_equal(second.mask, whole.mask[7:])
    assert stream.reader(stream.steps).take(1) is None


@pytest.mark.parametrize("dtype", ["int8", "uint8", ">i2", "int32", "int64", "uint64"])
def test_ids_of_any_integer_type_become_int32(dtype):
    chunk = Stream(np.array([3, 1, 4, 1, 5], dtype), 2).reader().take(2)
    assert chunk.x.dtype == chunk.targets.dtype == np.int32
    assert chunk.x.tolist() == [[3, 4], [1, 1]]


@pytest.mark.parametrize("dtype", ["float16", "float32", ">f4", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_floats_keep_their_type_and_come_contiguous(dtype, order):
    data = np.asarray(RNG.normal(size=(20, 3)), dtype, order=order)
    chunk = Stream(data, 2).reader().take(4)
    for array, begin in ((chunk.x, 0), (chunk.targets, 1)):
        assert array.shape == (4, 2, 3)
        assert array.flags.c_contiguous
        assert array.dtype == np.dtype(dtype).newbyteorder("=")
        assert np.array_equal(array[:, 0], data[begin : begin + 4])


def test_what_the_stream_says_about_itself():
    ids, floats = np.array([2, 7, 0, 3]), np.zeros((4, 5))
    stream = Stream(ids, 2)
    assert (stream.data_are_ids, stream.targets_are_ids) == (True, True)
    assert (stream.id_limit, stream.target_limit) == (8, 8)
    assert (stream.features, stream.outputs) == (None, None)
    assert stream.signature() == {"pairs": 3, "batch": 2, "longest": 2}
    stream = Stream(floats, 2, targets=np.array([-1, 1, 0, -1]))
    assert (stream.data_are_ids, stream.targets_are_ids) == (False, True)
    assert (stream.id_limit, stream.target_limit) == (None, 2)
    assert (stream.features, stream.outputs) == (5, None)
    assert Stream(ids, 2, targets=floats[:, 0]).outputs == 1
    assert Stream(ids, 1, targets=np.full(4, -1)).target_limit == 0
    assert repr(stream) == "Stream(4 pairs in 2 lanes of 2 time steps)"


def test_the_largest_id_is_found_in_every_block():
    data = np.zeros(1_200_000, np.uint8)
    data[1_150_000] = 200
    assert Stream(data, 4).id_limit == 201


def test_the_data_is_never_copied():
    data = np.arange(100, dtype=np.int16)
    stream = Stream(data, 4)
    data[30] = 77
    assert stream.reader(5).take(1).x[0, 1] == 77


def test_a_memory_map_reads_like_an_array(tmp_path):
    array = RNG.integers(0, 50, 101)
    stream = Stream(memory_map(tmp_path / "ids", array), 7)
    assert (stream.id_limit, stream.target_limit) == (None, None)
    assert lanes_read(stream, 6) == lanes_read(Stream(array, 7), 6)


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_a_huge_memory_map_is_neither_read_nor_copied(tmp_path):
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(1 << 32)
    mapped = np.memmap(tmp_path / "huge", np.float64, "r").reshape(-1, 2)
    before = resident_bytes()
    stream = Stream(mapped, 32)
    reader = stream.reader(1000)
    for _ in range(10):
        assert reader.take(100).x.shape == (100, 32, 2)
    assert stream.pairs == (1 << 28) - 1
    assert resident_bytes() - before < 1 << 26


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([1, 2, 3, 4, 5, 6, -2, 1]), r"data\[6\] is -2"),
        (np.array([1, 2, 3, 4, 5, 6, 2**31, 1]), r"data\[6\] is 2147483648"),
        (np.array([0, 0, 0, 0, 0, 0, np.nan, 0]), r"data\[6\] is nan"),
    ],
)
def test_a_bad_value_in_a_memory_map_is_found_when_it_is_read(tmp_path, array, said):
    reader = Stream(memory_map(tmp_path / "bad", array), 1).reader()
    assert len(reader.take(4).x) == 4
    for _ in range(2):
        with pytest.raises(DataError, match=said):
            reader.take(3)
        assert reader.position == 4


def put(array, where, value):
    array = array.copy()
    array[where] = value
    return array


IDS = np.arange(1_200_000) % 50
FLOATS = np.zeros((600_000, 2), np.float32)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (put(IDS, 1_150_000, -1), r"data\[1150000\] is -1, .*from 0 to 2147483647"),
        (put(IDS, [9, 1_150_000], 2**31), r"data\[9\] is 2147483648"),
        (put(IDS[:9].astype(np.uint64), 4, 2**64 - 1), r"data\[4\] is 18446744073709551615"),
        (put(FLOATS, (590_000, 1), np.nan), r"data\[590000, 1\] is nan"),
        (put(FLOATS[:9, 0], 3, -np.inf), r"data\[3\] is -inf"),
        ([], r"data is empty"),
        (np.zeros((0, 4)), r"data is empty"),
        ([1], r"1 steps, which make 0 pairs"),
        ([1, 2, 3, 4], r"4 steps, which make 3 pairs.*batch=4"),
    ],
)
def test_data_that_cannot_be_used(data, said):
    with pytest.raises(DataError, match=said):
        Stream(data, 4)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.zeros((9, 2), int), r"data must be \(N,\) integers, got shape \(9, 2\)"),
        (np.zeros((9, 2, 2)), r"data must be .* floats, got shape \(9, 2, 2\)"),
        (np.float32(1), r"got shape \(\)"),
        (np.zeros((9, 0)), r"at least one feature"),
        (np.zeros(9, bool), r"integers or floats, got dtype bool"),
        (np.zeros(9, object), r"got dtype object"),
        (np.zeros(9, complex), r"got dtype complex128"),
        ("text", r"got dtype <U4"),
    ],
)
def test_data_of_a_wrong_form(data, said):
    with pytest.raises(ShapeError, match=said):
        Stream(data, 2)


@pytest.mark.parametrize(
    ("targets", "error", "said"),
    [
        (np.zeros(8), ShapeError, "targets have 8 steps, data has 9"),
        (np.zeros(10), ShapeError, "targets have 10 steps, data has 9"),
        (np.zeros((9, 1), int), ShapeError, r"targets must be \(N,\) integers"),
        (put(np.zeros(9, int), 2, -2), DataError, r"targets\[2\] is -2, .*from -1"),
        (np.zeros((9, 2), int), ShapeError, r"got shape \(9, 2\); features are floats"),
        (put(np.zeros(9), 2, np.inf), DataError, r"targets\[2\] is inf"),
    ],
)
def test_targets_that_cannot_be_used(targets, error, said):
    for mask in (None, np.ones(9, bool)):
        with pytest.raises(error, match=said):
            Stream(np.arange(9), 2, targets, mask=mask)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, None, "2", np.array([1, 2])])
def test_batch_and_k_are_positive_integers(value):
    with pytest.raises(DataError, match="batch must be an integer from 1 on, got"):
        Stream(np.arange(9), value)
    with pytest.raises(DataError, match="k must be an integer from 1 on, got"):
        Stream(np.arange(9), 2).reader().take(value)


def test_start_lies_in_the_stream():
    stream = Stream(np.arange(9), np.int64(2))
    with pytest.raises(DataError, match="start must be an integer from 0"):
        stream.reader(-1)
    with pytest.raises(DataError, match="start is 5, but the stream has 4 time steps"):
        stream.reader(5)
