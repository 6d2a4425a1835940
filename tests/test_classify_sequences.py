"""The example: its tones, files of the UEA archive, its run and its refusals."""

import re

import numba
import numpy as np
import pytest
from example_scripts import imported, refused

example = imported("classify_sequences")
compiled = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="takes a minute without compiled kernels"
)
TAGS = "#comment\n@problemName x\n@timeStamps false\n@classLabel true b a\n@data\n"


@pytest.fixture
def file(tmp_path):
    """Makes a file with these lines after its tags."""

    def write(lines, tags=TAGS, name="a.ts"):
        path = tmp_path / name
        path.write_text(tags + "\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def test_a_file_is_sequences_of_channels_and_a_class(file):
    found = example.read_ts(file(["1,2,3:4,5,6:b", "", "7:8.5:a", "1,1:2,2:b"]))
    assert found.kinds == ["a", "b"]
    assert found.labels.tolist() == [1, 0, 1]
    assert [s.tolist() for s in found.sequences] == [
        [[1, 4], [2, 5], [3, 6]],
        [[7, 8.5]],
        [[1, 2], [1, 2]],
    ]


def test_classes_have_the_same_numbers_in_both_files(file):
    train = example.read_ts(file(["1:a", "1:b", "1:c"]))
    test = example.read_ts(file(["2:c", "2:b"], name="b.ts"))
    _, found = example.together(train, test)
    assert found.labels.tolist() == [2, 1]
    assert found.kinds == train.kinds


def test_channels_are_scaled_by_the_training_data():
    train, test = example.generated(20, 0), example.generated(10, 1)
    one, two = example.scaled(train, test)
    steps = np.concatenate(one.sequences)
    assert steps.mean() == pytest.approx(0, abs=1e-5)
    assert steps.std() == pytest.approx(1, rel=1e-5)
    before = np.concatenate(train.sequences)
    expected = (test.sequences[3] - before.mean()) / before.std()
    assert two.sequences[3] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_mark_of_the_encoding_is_no_part_of_the_first_tag(file, tmp_path):
    path = tmp_path / "b.ts"
    path.write_text("@classLabel true\n@data\n1:a\n", encoding="utf-8-sig")
    assert example.read_ts(path).kinds == ["a"]
    path.write_text("@classLabel false\n@classLabel true\n@data\n1:a\n", encoding="utf-8-sig")
    with pytest.raises(ValueError, match="line 1: cannot read files with '@classLabel false'"):
        example.read_ts(path)


@pytest.mark.parametrize("value", [0.1, -1000.1, 1e9, 1e-20, 0.0])
def test_a_channel_that_is_nearly_constant_is_not_blown_up(value):
    rng = np.random.default_rng(0)
    for wobble, deviation in ((0, 1), (1e-8, 1), (1e-3, abs(value) * 1e-3)):
        noise = 1 + wobble * rng.normal(size=(2000, 1))
        train = example.Labelled([value * noise], np.zeros(1, int), ["a"])
        test = example.Labelled([np.array([[value], [value + 1]])], np.zeros(1, int), ["a"])
        _, found = example.scaled(train, test)
        assert found.sequences[0].dtype == np.float32
        less, more = found.sequences[0][:, 0].astype(float)
        assert abs(less) < 0.1
        if value:
            assert more - less == pytest.approx(1 / deviation, rel=0.1)


def test_tones_are_of_unequal_length_and_of_all_kinds():
    found = example.generated(200, 0)
    lengths = {len(sequence) for sequence in found.sequences}
    assert len(lengths) > 20
    assert (min(lengths), max(lengths)) >= (40, 50)
    assert set(found.labels.tolist()) == {0, 1, 2, 3}


@compiled
def test_a_run_beats_the_commonest_class(capsys):
    example.main(["--epochs", "8"])
    said = capsys.readouterr().out
    found = re.search(r"test accuracy ([\d.]+); always 'rising': ([\d.]+)\n$", said)
    assert float(found[1]) > 0.7 > 0.5 > float(found[2])
    assert re.search(
        r"^train     600 sequences of 40 to 80 steps, 1 channels, 4 classes$", said, re.M
    )
    assert re.search(r"^falling +\d+ +[\d.]+%$", said, re.M)


def test_two_files_are_trained_and_tested_on(file, capsys):
    rows = ["1,1,2:up", "9,9,8,9:down", "1,2:up"]
    train, test = file(rows * 10), file(rows, name="b.ts")
    example.main(["--ts", str(train), "--test", str(test), "--units", "4"])
    said = capsys.readouterr().out
    assert "train     30 sequences of 2 to 4 steps, 1 channels, 2 classes" in said
    assert said.endswith("\ntest accuracy 1.0000; always 'up': 0.6667\n")


def test_a_fifth_of_one_file_is_held_out(file, capsys):
    path = file(["1,1,2:up", "9,9,8,9:down"] * 5)
    example.main(["--ts", str(path), "--units", "2", "--epochs", "1"])
    said = capsys.readouterr().out
    assert "train     8 sequences" in said
    assert "test      2 sequences" in said


@pytest.mark.parametrize(
    ("lines", "tags", "says"),
    [
        ([], TAGS, "has no sequence after @data"),
        (["1:a"], "@problemName x\n", "has no @data"),
        (["1:2.5"], "\n@targetLabel true\n@data\n", "line 2: cannot read files with '@targetLabel"),
        (["1:2.5"], "\n@problemName x\n@data\n", "line 3: no '@classLabel true' before it"),
        (["1:a", "1: "], TAGS, "line 7 has no class"),
        (["1:a", "1:?"], TAGS, "line 7 has no class"),
        (["1:a", "1e301:b"], TAGS, "line 7: value 1 of channel 1 is 1e+301, but"),
        (["1:a"], "@timeStamps true\n@data\n", "line 1: cannot read files with '@timeStamps true'"),
        (["1:a"], "@classLabel false\n@data\n", "line 1: cannot read files with"),
        (["1,2:a", "1,?:a"], TAGS, "line 7: could not convert string to float: '?'"),
        (["1,2:1:a"], TAGS, "line 6: "),
        (["1,2:1,2:a", "1,2:a"], TAGS, "line 7 has 1 channels, unlike the first"),
        (["a"], TAGS, "line 6 has 0 channels"),
        (["1:a"], TAGS, "has one sequence; a part is needed for the test"),
        (["1:b", "1,2:1,nan:a"], TAGS, "line 7: value 2 of channel 2 is nan, but must"),
        (["1,-1e39:a", "1:b"], TAGS, "is -1e+39, but must be a finite number up to 1e+30"),
    ],
)
def test_files_that_cannot_be_used_get_one_line(lines, tags, says, file, capsys):
    assert says in refused(example, capsys, "--ts", file(lines, tags))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--test {a}", "--test needs --ts"),
        ("--ts {a} --epochs 0", "--epochs must be at least 1, got 0"),
        ("--ts {a} --test {b}", "classes that the training has not: ['z']"),
        ("--ts {a} --test {c}", "the test has 2 channels, but the training 1"),
        ("--ts {a} --seed -1", "--seed must not be negative, got -1"),
        ("--ts {a}x", "No such file"),
        ("--ts {d}", "d.ts is not UTF-8 text"),
        ("--ts {a} --units 0", "n must be a positive integer, got 0"),
    ],
)
def test_wrong_input_gets_one_line(options, says, file, capsys):
    paths = {
        "a": file(["1:a", "2:b"], name="a.ts"),
        "b": file(["1:z"], name="b.ts"),
        "c": file(["1:1:a"], name="c.ts"),
        "d": file(["1:a"], name="d.ts"),
    }
    paths["d"].write_bytes(b"\xff\xfe")
    assert says in refused(example, capsys, *options.format(**paths).split())
