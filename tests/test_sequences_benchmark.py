"""Real sequences: readers on small files, baselines, one small run of each task, the report."""

import gzip
import json

import numpy as np
import pytest

import bptt
from benchmarks import sequence_data, sequence_models, sequence_report, sequence_tasks, sequences
from benchmarks.sequence_baselines import autoregression, rmse

CLASSIFIER = sequence_models.Classifier(units=3, batch=4, epochs=2, seeds=(0, 1))
FORECASTER = sequence_models.Forecaster(units=2, lanes=2, k1=10, k2=20, burn_in=2, epochs=2,
                                        seeds=(0, 1))  # fmt: skip
CHORALES = sequence_models.Chorales(units=4, batch=2, epochs=3, seeds=(0,))


@pytest.fixture
def folder(tmp_path):
    """Small files of the same forms."""
    rng = np.random.default_rng(0)
    write_vowels(tmp_path / "JapaneseVowels", rng)
    write_digits(tmp_path / "digits.csv.gz", rng)
    (tmp_path / "timeseries").mkdir()
    months = "".join(f'"{t}",{40 + 30 * np.sin(t / 9):.1f}\n' for t in range(300))
    path = tmp_path / "timeseries" / "monthly-sunspots.csv"
    path.write_text('"Month","Sunspots"\n' + months, encoding="utf-8")
    np.savez(tmp_path / "JSB_Chorales.npz", **rolls(rng))
    return tmp_path


def write_vowels(folder, rng):
    folder.mkdir()
    for part, count in (("TRAIN", 9), ("TEST", 6)):
        lines = ["@classLabel true 1 2 3", "@data"]
        for i in range(count):
            channels = rng.normal(i % 3, 1, (12, 3 + i)).round(3).tolist()
            lines.append(":".join([*(",".join(map(str, c)) for c in channels), str(1 + i % 3)]))
        (folder / f"JapaneseVowels_{part}.ts").write_text("\n".join(lines), encoding="utf-8")


def write_digits(path, rng):
    rows = np.column_stack([rng.integers(0, 17, (12, 64)), np.arange(12) % 10])
    with gzip.open(path, "wt") as file:
        file.write("\n".join(",".join(map(str, row)) for row in rows) + "\n")


def rolls(rng):
    lengths = {"train": [5, 3, 6], "valid": [4, 3], "test": [3, 4]}
    found = {}
    for part, steps in lengths.items():
        keys = rng.random((sum(steps), sequence_data.KEYS)) < 0.05
        found |= {f"{part}data_roll": np.packbits(keys, axis=1), f"{part}data_len": steps}
    return found


def test_vowels_are_sequences_of_twelve_channels(folder):
    found = sequence_data.vowels(folder)
    assert [len(s) for s in found["train"].sequences] == list(range(3, 12))
    assert {s.shape[1] for s in found["test"].sequences} == {12}
    assert found["train"].labels.tolist() == [0, 1, 2] * 3


def test_digits_are_pixels_from_zero_to_one(folder):
    found = sequence_data.digits(folder)
    assert {s.shape for s in found.sequences} == {(64, 1)}
    assert max(s.max() for s in found.sequences) == 1
    assert found.labels.tolist() == [*range(10), 0, 1]


def test_chorales_are_pieces_of_bits(folder):
    found = sequence_data.chorales(folder)
    assert [len(piece) for piece in found["train"]] == [5, 3, 6]
    with np.load(folder / "JSB_Chorales.npz") as file:
        packed = np.packbits(np.concatenate(found["test"]).astype(bool), axis=1)
        assert np.array_equal(packed, file["testdata_roll"])


def test_an_autoregression_finds_what_is_linear():
    waves = bptt.datasets.sine_mixture(200, [9, 31]).astype(float)
    said = autoregression(waves, trained=100, order=4)
    assert np.isnan(said[:4]).all()
    assert rmse(said[100:], waves[100:]) < 1e-4
    changed = np.concatenate([waves[:100], waves[100:] + 5])
    assert np.array_equal(autoregression(changed, 100, 4)[4:101], said[4:101])


def test_a_forecaster_knows_nothing_of_what_is_held_out():
    series = 40 + 30 * np.sin(np.arange(120) / 5)
    other = np.concatenate([series[:90], series[:30]])
    one, two = (FORECASTER.forecast(values, 90, seed=0) for values in (series, other))
    assert one.shape == (119,)
    assert np.array_equal(one[:89], two[:89])


def test_the_music_is_that_of_the_best_pass(folder):
    pieces = sequence_data.chorales(folder)
    once, thrice = (CHORALES._replace(epochs=n).losses(pieces, 0) for n in (1, 3))
    assert thrice["valid"] <= once["valid"]
    assert thrice["epoch"] in (1, 2, 3)
    # 88 keys, each as likely on as off, are 61 nats.
    assert 0 < thrice["test"] < 70


def test_every_task_gives_a_result_and_the_report_tells_it(folder, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sequence_tasks, "_TRAINED_DIGITS", 8)
    small = {"vowels": CLASSIFIER, "digits": CLASSIFIER, "sunspots": FORECASTER,
             "chorales": CHORALES}  # fmt: skip
    for name, task in sequence_tasks.TASKS.copy().items():
        monkeypatch.setitem(sequence_tasks.TASKS, name, lambda f, t=task, n=name: t(f, small[n]))
    out = tmp_path / "out"
    sequences.main(["--data", str(folder), "--out", str(out)])
    said = capsys.readouterr()
    results = json.loads((out / "sequences.json").read_text(encoding="utf-8"))
    assert list(results["tasks"]) == ["vowels", "digits", "sunspots", "chorales"]
    assert all(task["runs"] for task in results["tasks"].values())
    assert said.err.splitlines() == [sequence_report.line(t) for t in results["tasks"].values()]
    text = (out / "sequences.md").read_text(encoding="utf-8")
    assert said.out == text + "\n"
    assert text == sequence_report.markdown(results)
    assert "units 3, batch 4, epochs 2, rate 0.01" in text
    assert str(folder) not in text


def test_some_tasks_alone_have_a_file_of_their_own(monkeypatch, tmp_path):
    found = sequence_tasks.Result("x", "accuracy", True, 0.5, 0.6, [0.5], {"y": 1.0}, {}, 1.0)
    monkeypatch.setitem(sequence_tasks.TASKS, "vowels", lambda folder: found)
    sequences.main(["--data", "none", "--only", "vowels", "--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "sequences-vowels.json",
        "sequences-vowels.md",
    ]


def test_more_or_less_is_better():
    found = sequence_tasks.Result("x", "accuracy", True, 0.5, 0.6, [0.5], {}, {}, 1.0)
    assert not found.reached
    assert found._replace(higher=False).reached
