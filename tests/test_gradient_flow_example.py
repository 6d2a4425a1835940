"""The example: what vanishes and explodes at first, what clipping saves, its run, bad input."""

import argparse
import importlib.util
import re
import string
import subprocess
import sys
from pathlib import Path

import matplotlib
import numba
import numpy as np
import pytest
from matplotlib import pyplot

import bptt

SCRIPT = Path(__file__).resolve().parent.parent / "examples" / "gradient_flow.py"
TINY = ["--hidden", "8", "--updates", "4", "--k1", "5", "--window", "10"]
PNG = b"\x89PNG\r\n\x1a\n"
compiled = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="takes a minute without compiled kernels"
)


def imported():
    spec = importlib.util.spec_from_file_location("gradient_flow_example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


example = imported()


@pytest.fixture(autouse=True)
def _pictures_without_a_screen():
    matplotlib.use("Agg")
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("to be or not to be: that is the question\n" * 600, encoding="utf-8")
    return path


def made_up(count=30_000):
    """Words of one to eight letters, some of them often and most seldom."""
    rng = np.random.default_rng(0)
    letters = list(string.ascii_lowercase)
    words = ["".join(rng.choice(letters, size)) for size in rng.integers(1, 9, 400)]
    often = 1 / np.arange(1, len(words) + 1)
    return " ".join(rng.choice(words, count, p=often / often.sum()))


def model_and_data(name, hidden=64):
    """The model as it begins, and a text, the same with every Python, in windows of 25 steps."""
    whole = made_up()
    vocabulary = bptt.Vocabulary.of(whole)
    options = argparse.Namespace(hidden=hidden, seed=0)
    model = example.new_model(name, len(vocabulary), options)
    return model, example.Data.of(vocabulary.encode(whole), window=25)


@pytest.mark.parametrize("name", ["RNN, small", "RNN, orthogonal", "RNN, large"])
def test_recurrent_weights_begin_as_an_orthogonal_matrix_times_a_number(name):
    model, _ = model_and_data(name, hidden=8)
    wh, gain = model.params["1.Wh"], example.GAINS[name]
    assert wh.T @ wh == pytest.approx(gain**2 * np.eye(8), abs=1e-5)


def test_a_mark_of_the_encoding_is_no_character(tmp_path):
    (tmp_path / "text").write_text("to be", encoding="utf-8-sig")
    assert example.read_text(tmp_path / "text") == "to be"


@compiled
def test_small_weights_vanish_and_large_ones_explode():
    flows = {}
    for name in example.GAINS:
        model, data = model_and_data(name)
        flows[name] = data.flow(model)
        assert np.isfinite(flows[name].curve("1.h")).all()
    rates = [flow.rate("1.h") for flow in flows.values()]
    assert rates[0] < 0.5 < rates[1] < 0.95
    assert rates[2] > 1.02
    assert rates[1] < rates[3] < 1
    assert "vanishes" in flows["RNN, small"].verdict("1.h")
    assert "explodes" in flows["RNN, large"].verdict("1.h")


@compiled
def test_a_bound_holds_the_error_that_explodes_and_leaves_the_newest_alone():
    model, data = model_and_data("RNN, large")
    model.params["1.Wh"] *= 2
    free = example.error_of_last(model, data)
    bounded = example.error_of_last(model, data, example.BOUND)
    assert free.max() > 1000 * example.BOUND
    assert bounded.max() == pytest.approx(example.BOUND, rel=1e-5)
    assert bounded[-1] == pytest.approx(free[-1])


@compiled
def test_clipping_saves_the_network_that_explodes():
    options = argparse.Namespace(hidden=64, seed=0, lr=3.0, k1=25, window=50, updates=150)
    losses = []
    for clip in (1.0, None):
        model, data = model_and_data("RNN, large")
        run = example.train(model, data, options, clip)
        losses.append(data.loss(model))
    assert losses[0] < 2.5
    assert losses[1] > 3.5 or run.stopped


@compiled
def test_a_gradient_that_is_not_finite_ends_the_run():
    model, data = model_and_data("RNN, small", hidden=4)
    model.params["2.W"] = np.full((4, model.n_out), 1e38)
    options = argparse.Namespace(lr=1.0, k1=5, window=10, updates=3)
    run = example.train(model, data, options, None)
    assert "is not finite" in run.stopped
    assert len(run.loss) == len(run.norm) < 3


@compiled
def test_a_run_says_what_it_finds_and_leaves_a_picture(text, tmp_path, capsys):
    picture = tmp_path / "out" / "page.png"
    example.main([*TINY, "--text", str(text), "--out", str(picture)])
    said = capsys.readouterr().out
    assert "text: 24,600 characters, 15 distinct" in said
    before, after = said.split("after 4 updates")
    for part, models in ((before, 4), (after, 5)):
        assert len(re.findall(r"^(?:RNN|LSTM)\b.* \d\.\d{3} ", part, re.MULTILINE)) == models
        assert len(re.findall(r"gradient of layer 1", part)) == models + 1
    assert said.endswith(f"picture: {picture}\n")
    assert picture.read_bytes().startswith(PNG)


@compiled
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--text {folder}/missing", "No such file"),
        ("--text {binary}", "is not UTF-8 text"),
        ("--text {short}", "has 40 characters, but a window of 10 needs 22,420"),
        ("--k1 11", "k1 must not exceed k2"),
        ("--window 0", "argument --window: must be a positive integer, got '0'"),
        ("--lr inf", "argument --lr: must be a positive number, got 'inf'"),
        ("--seed -1", "--seed must not be negative, got -1"),
        ("--out {folder}", "Is a directory"),
        ("--out {short}/page.png", "exists"),
    ],
)
def test_wrong_input_gets_one_line(options, says, text, tmp_path, capsys):
    paths = {"binary": tmp_path / "binary", "short": tmp_path / "short"}
    paths["binary"].write_bytes(b"\xff\xfe\x00")
    paths["short"].write_text("x" * 40, encoding="utf-8")
    arguments = options.format(text=text, folder=tmp_path, **paths).split()
    with pytest.raises(SystemExit) as stopped:
        example.main([*TINY, *arguments])
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert says in lines[0]


@compiled
def test_the_script_runs_as_a_program(text, tmp_path):
    picture = tmp_path / "page.png"
    command = [sys.executable, str(SCRIPT), *TINY, "--text", str(text), "--out", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"picture: {picture}" in done.stdout
    assert picture.read_bytes().startswith(PNG)
