"""Files: arrays come back bit for bit; any damage is noticed; a failed write changes nothing."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save

from bptt import files
from bptt.errors import FileFormatError, ShapeError

ARRAYS = {"1.Wh": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3)}
CONFIG = {"layers": [{"type": "LSTM", "n": 8}], "lr": 2e-3, "note": "é\ud800", "none": None}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.bptt"
    files.write(path, "model", ARRAYS, CONFIG)
    return path


def rewrite(path, **changes):
    """The same file with other metadata; a value of None takes the key out."""
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    metadata = header["__metadata__"] | changes
    path.write_bytes(save(ARRAYS, {k: v for k, v in metadata.items() if v is not None}))


def test_round_trip(path):
    arrays, config = files.read(path, "model")
    assert config == CONFIG
    assert arrays.keys() == ARRAYS.keys()
    for name, array in arrays.items():
        assert array.dtype == ARRAYS[name].dtype
        assert array.shape == ARRAYS[name].shape
        assert np.array_equal(array, ARRAYS[name])
        assert array.flags.writeable


dtypes = st.one_of(
    st.just(np.dtype(bool)),
    hnp.integer_dtypes(endianness="?"),
    hnp.floating_dtypes(sizes=(16, 32, 64)),
)
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


@settings(max_examples=80, deadline=None)
@given(array=hnp.arrays(dtypes, shapes), flip=st.booleans())
def test_any_array_comes_back_bit_for_bit(tmp_path_factory, array, flip):
    path = tmp_path_factory.getbasetemp() / "any.bptt"
    array = array.T if flip else array
    files.write(path, "x", {"a": array, "é b": array[..., None][::2]}, {})
    found, _ = files.read(path, "x")
    for name, wanted in (("a", array), ("é b", array[..., None][::2])):
        assert found[name].shape == wanted.shape
        assert found[name].dtype == wanted.dtype.newbyteorder("=")
        assert found[name].tobytes() == wanted.astype(found[name].dtype).tobytes()


def test_no_arrays_and_no_config(tmp_path):
    files.write(tmp_path / "empty", "model", {}, {})
    assert files.read(tmp_path / "empty", "model") == ({}, {})


def test_path_may_be_a_string_and_a_link_stays_a_link(tmp_path, path):
    link = tmp_path / "link"
    link.symlink_to(path)
    files.write(str(link), "model", {"a": np.ones(2)}, {})
    assert link.is_symlink()
    assert files.read(str(path), "model")[0]["a"].tolist() == [1, 1]


def test_every_flipped_bit_is_noticed(path):
    raw = path.read_bytes()
    for position in range(len(raw)):
        for bit in range(8):
            damaged = bytearray(raw)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            with pytest.raises(FileFormatError, match=str(path)):
                files.read(path, "model")


def test_every_truncation_is_noticed(path):
    raw = path.read_bytes()
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(FileFormatError, match=str(path)):
            files.read(path, "model")


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"", "is empty"),
        (b"\x80\x04\x95 pickled", "not a safetensors file"),
        (b"\xff" * 50, "not a safetensors file"),
        (b"\x10\x27" + bytes(6) + b"[" * 10_000, "not a safetensors file"),
        (save({"a": np.ones(2)}), "not a file of bptt's"),
        (save({"a": np.ones(2)}, {"format": "pt"}), "not a file of bptt's"),
        (save({"a": np.ones(2)}, {"format": "bptt"}), "is damaged"),
    ],
)
def test_foreign_files_are_named(tmp_path, contents, said):
    path = tmp_path / "foreign"
    path.write_bytes(contents)
    with pytest.raises(FileFormatError, match=f"^{path} .*{said}"):
        files.read(path, "model")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": "2"}, "in version 2 .* up to version 1"),
        ({"version": "one"}, "names no version"),
        ({"config": "{}"}, "checksum"),
        ({"config": None}, "checksum"),
        ({"checksum": None}, "checksum"),
        ({"format": "other"}, "not a file of bptt's"),
    ],
)
def test_other_metadata_is_refused(path, changes, said):
    rewrite(path, **changes)
    with pytest.raises(FileFormatError, match=said):
        files.read(path, "model")


def test_another_kind_is_named(path):
    with pytest.raises(FileFormatError, match="holds a model, but a trainer was asked for"):
        files.read(path, "trainer")


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "nowhere", "model")


@pytest.mark.parametrize(
    ("arrays", "config", "error"),
    [
        ({"a": np.array([None])}, {}, ShapeError),
        ({"a": np.array(["text"])}, {}, ShapeError),
        ({"a": np.ones(2, complex)}, {}, ShapeError),
        ({"a": np.ones(2, np.longdouble)}, {}, ShapeError),
        ({"a": np.ones(2)}, {"f": print}, TypeError),
    ],
)
def test_what_cannot_be_stored_leaves_the_file_alone(path, arrays, config, error):
    before = path.read_bytes()
    with pytest.raises(error):
        files.write(path, "model", arrays, config)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_file_alone(path, monkeypatch, step, error):
    def fail(*_):
        raise error

    before = path.read_bytes()
    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(type(error)):
        files.write(path, "model", {"a": np.zeros(3)}, {})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_the_new_file_is_on_the_disk_before_it_replaces_the_old(path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd)))
    monkeypatch.setattr(files.os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    files.write(path, "model", ARRAYS, CONFIG)
    assert calls == ["fsync", "replace"]
    assert os.listdir(path.parent) == [path.name]


def test_a_missing_folder_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.write(tmp_path / "nowhere" / "model", "model", {}, {})
