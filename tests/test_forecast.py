"""The example: files with gaps, what the network is given, the forecasts beside it, its run."""

import re

import matplotlib
import numpy as np
import pytest
from example_scripts import imported, refused
from matplotlib import pyplot

import bptt

example = imported("forecast")
NAN = float("nan")
QUICK = ["--epochs", "4", "--units", "4"]


@pytest.fixture(autouse=True)
def _pictures_without_a_screen():
    matplotlib.use("Agg")
    yield
    pyplot.close("all")


@pytest.fixture
def waves(tmp_path):
    """A file with a season of 6 steps, and gaps of every kind."""
    values = [f"{np.sin(2 * np.pi * t / 6) + 0.01 * t:.4f}" for t in range(90)]
    values[0], values[20], values[41], values[42], values[88] = "", "NA", "?", "NaN", " "
    path = tmp_path / "waves.csv"
    rows = [f"{t},{value}" for t, value in enumerate(values)]
    path.write_text("\n".join(["step,wave", *rows]) + "\n", encoding="utf-8")
    return path


def test_a_column_is_read_from_its_first_value_on_with_its_gaps(waves):
    values = example.read(waves, "wave")
    assert len(values) == 89
    assert np.flatnonzero(np.isnan(values)).tolist() == [19, 40, 41, 87]
    assert values[0] == pytest.approx(np.sin(2 * np.pi / 6) + 0.01, abs=1e-4)


def test_gaps_are_filled_with_the_newest_value():
    assert example.filled(np.array([1, NAN, NAN, 4, NAN])).tolist() == [1, 1, 1, 4, 4]


def test_the_season_is_where_changes_repeat():
    waves = bptt.datasets.sine_mixture(400, [24], noise=0.1)
    assert example.likely_season(waves.astype(float)) % 24 == 0


def test_what_the_network_reads_and_should_say():
    values = np.array([1.0, 3.0, NAN, 2.0, 5.0])
    found = example.prepare(values, season=2, fitted=5)
    # Without the mean change of 1: 1, 2, missing, -1, 1.
    full = np.array([1.0, 2.0, 2.0, -1.0, 1.0])
    assert found.unit == pytest.approx(np.std([1, -3, 2]))
    assert found.x[:, 0] == pytest.approx((full[:-1] - full.mean()) / full.std(), rel=1e-6)
    assert found.x[:, 1].tolist() == [0, 0, 1, 0]
    assert found.x[:, 2] * found.unit == pytest.approx([0, -1, 0, 3], rel=1e-6)
    known = [0, 2, 3]
    assert found.targets[known, 0] * found.unit == pytest.approx([1, -3, 2], rel=1e-6)
    assert found.targets[1, 0] == np.float32(example.NO_TARGET)


def test_what_the_simple_forecasts_say():
    values = np.array([1.0, 3.0, NAN, 2.0, 5.0])
    found = example.prepare(values, season=2, fitted=5).simple
    assert found["naive"].tolist() == [1, 3, 3, 2]
    assert found["drift"].tolist() == [2, 4, 5, 3]
    assert found["seasonal naive"].tolist() == [1, 1, 3, 3]
    assert found["seasonal drift"].tolist() == [2, 3, 5, 6]


def test_the_scale_does_not_know_what_is_held_out():
    values = np.sin(np.arange(80.0))
    other = np.concatenate([values[:60], 100 * values[60:]])
    one, two = (example.prepare(series, 6, fitted=60) for series in (values, other))
    assert np.array_equal(one.x[:59], two.x[:59])
    assert np.array_equal(one.targets[:59], two.targets[:59])


def test_missing_targets_count_for_nothing():
    model = bptt.Model([bptt.GRU(1, 3), bptt.Linear(3, 1)])
    x = np.linspace(0, 1, 5, dtype=np.float32).reshape(5, 1, 1)
    targets = np.cos(x)
    targets[3] = example.NO_TARGET
    found = bptt.gradients(model, example.KnownSquaredError(), x, targets)
    mask = np.ones((5, 1), bool)
    mask[3] = False
    targets[3] = 0
    expected = bptt.gradients(model, bptt.SquaredError(), x, targets, mask=mask)
    assert found.loss == expected.loss
    assert np.array_equal(found.params.flat, expected.params.flat)


def test_the_error_is_that_of_known_values():
    assert example.rmse(np.array([1.0, 5.0, 2.0]), np.array([4.0, NAN, 6.0])) == pytest.approx(
        np.sqrt(12.5)
    )


def test_a_run_on_a_file_compares_and_draws(waves, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    options = ["--csv", waves, "--column", "wave", "--season", "6", "--picture", picture, *QUICK]
    example.main([str(option) for option in options])
    said = capsys.readouterr().out
    assert "series    89 values, 4 of them missing, season 6" in said
    assert "held out  the last 17" in said
    assert re.search(r"^naive +[\d.]+ +100%$", said, re.MULTILINE)
    assert re.search(r"^network +[\d.]+ +\d+%$", said, re.MULTILINE)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_generated_series_has_gaps_and_a_season(capsys):
    example.main(["--epochs", "1", "--units", "2"])
    said = capsys.readouterr().out
    assert re.search(r"^series    3,000 values, 1\d\d of them missing, season 24$", said, re.M)
    # Before any training the network says what the drift forecast says.
    assert re.search(r"^network +([\d.]+) +100%\nnaive .*\ndrift +\1 +100%$", said, re.M)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--csv {file}", "--csv and --column go together"),
        ("--column wave", "--csv and --column go together"),
        ("--csv {file} --column waves", "has no column 'waves', but step, wave"),
        ("--csv {file}x --column wave", "No such file"),
        ("--csv {file} --column wave --season 80", "--season must be from 2 to 71, got 80"),
        ("--season 0", "--season must be from 2 to 2399, got 0"),
        ("--picture {file}/a.png", "File exists"),
        ("--picture .", "Is a directory"),
        ("--epochs 0", "--epochs must be at least 1, got 0"),
        ("--units 0", "n must be a positive integer, got 0"),
    ],
)
def test_wrong_input_gets_one_line(options, says, waves, capsys):
    assert says in refused(example, capsys, *options.format(file=waves).split())


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["1"] * 49, "49 values of 'a' in 49 rows, but 50 rows are needed"),
        (["NA"] * 60, "has 0 values of 'a' in 60 rows"),
        (["1"] * 60 + ["x"], "line 62: 'x' is neither a number nor a missing value"),
        (["1"] * 60 + ["inf"], "line 62: 'inf' is neither a number nor a missing value"),
        (["1"] * 60 + ["-1e301"], "line 62: -1e301 is beyond 1e+100; take another unit"),
        (["1e-200", "2e-200"] * 30, "no value of 'a' reaches 1e-100; take another unit"),
        (["1", "2"] * 60 + ["1e90"], "1e+90 is too far from the first 97 values"),
        (["1,2"] + ["1"] * 60, "line 2 has 3 cells, but the head 2"),
        (["1"] * 60, "the first 48 values, those for training, never change"),
        (["1"] * 60 + ["2"] * 9, "the first 56 values, those for training, never change"),
        ([5 + 2 * t for t in range(60)], "those for training, change by 2 at every step"),
        ([1e9 - 0.1 * t for t in range(60)], "those for training, change by -0.1 at every step"),
        (["1", "2"] * 40 + ["NA"] * 30, "all values are missing at the end"),
    ],
)
def test_files_that_cannot_be_used_get_one_line(rows, says, tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["a,b", *(f"{row},0" for row in rows)]), encoding="utf-8")
    said = refused(example, capsys, "--csv", path, "--column", "a", *QUICK)
    assert says in said


@pytest.mark.parametrize(
    ("before", "encoding"),
    [("a,b\n", "utf-8"), ("a,b\n", "utf-8-sig"), ("\n , \n\n a , b \n", "utf-8-sig")],
)
def test_the_head_is_the_first_row_that_is_not_blank(before, encoding, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(before + "1,5,,\n,6\n3\n\n" * 20, encoding=encoding)
    assert np.array_equal(example.read(path, "a")[:4], [1, NAN, 3, 1], equal_nan=True)
    assert len(example.read(path, "a")) == 60
    with pytest.raises(ValueError, match=re.escape("no column 'c', but a, b")):
        example.read(path, "c")


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        (b"a,b,a\n1,2,3\n", "has 2 columns 'a': columns 1 and 3"),
        ("a,b\n1,2\n".encode("utf-16"), "a.csv is not UTF-8 text"),
        (b"", "has no column 'a', but none"),
        (b"\n\n", "has no column 'a', but none"),
    ],
)
def test_heads_that_cannot_be_used_get_one_line(contents, says, tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_bytes(contents)
    assert says in refused(example, capsys, "--csv", path, "--column", "a", *QUICK)


@pytest.mark.parametrize("slope", [1000.0, -3.0])
def test_a_trend_is_no_news(slope, tmp_path, capsys):
    """All that is left to say is the noise; the drift is off by that of two values."""
    noise = np.random.default_rng(0).normal(size=1000)
    path = tmp_path / "a.csv"
    rows = [f"{slope * t + noise[t]}" for t in range(1000)]
    path.write_text("\n".join(["a", *rows]), encoding="utf-8")
    example.main(["--csv", str(path), "--column", "a", "--epochs", "100", "--units", "8"])
    said = capsys.readouterr().out
    rmse = {
        name: float(found) for name, found in re.findall(r"^(\S.{13}) +(\S+) +\d+%$", said, re.M)
    }
    assert rmse["naive         "] == pytest.approx(abs(slope), rel=0.1)
    changes, test = np.diff(noise)[799:], noise[800:]
    assert rmse["drift         "] == pytest.approx(changes.std(), rel=0.01)
    assert test.std() <= rmse["network       "] < 1.1 * test.std()
    assert "the network is better than the best of the others, " in said


@pytest.mark.parametrize("size", [1e99, 1e-90])
def test_large_and_small_units_give_the_same_forecasts(size, tmp_path, capsys):
    found = []
    for unit in (1.0, size):
        path = tmp_path / "a.csv"
        path.write_text("\n".join(["a", *(f"{unit * np.sin(t**2)}" for t in range(90))]), "utf-8")
        example.main(["--csv", str(path), "--column", "a", *QUICK])
        found.append(re.findall(r" (\d+%)$", capsys.readouterr().out, re.MULTILINE))
    assert found[0] == found[1]
    assert len(found[0]) == 5


@pytest.mark.parametrize(
    ("error", "other", "said"),
    [(0.9, 1, "better than"), (0.995, 1, "about as good as"), (1.005, 1, "about as good as"),
     (1.1, 1, "worse than"), (0.1, 0, "worse than"), (0, 0, "about as good as")],
)  # fmt: skip
def test_better_is_more_than_a_hair(error, other, said):
    assert example.verdict(error, other) == said


def test_a_test_that_does_not_change_has_no_share_of_nothing(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["a", *["1", "2"] * 40, *["2"] * 20]), encoding="utf-8")
    example.main(["--csv", str(path), "--column", "a", *QUICK])
    said = capsys.readouterr().out
    assert re.search(r"^naive +0 +-$", said, re.MULTILINE)
    assert "the network is worse than the best of the others, naive" in said
