"""The example: it trains, writes, leaves its files, goes on from them, and refuses bad input."""

import contextlib
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

import bptt

SCRIPT = Path(__file__).resolve().parent.parent / "examples" / "char_lm.py"
WINDOWS = ["--k1", "7", "--k2", "10", "--batch", "4", "--sample", "20"]
TINY = [
    *WINDOWS,
    "--lr",
    "0.01",
    "--hidden",
    "5",
    "--layers",
    "1",
    "--embedding",
    "3",
    "--epochs",
    "2",
]
LEFT = [
    "flow_over_training.png",
    "gradient_flow.png",
    "model.safetensors",
    "model.vocabulary.json",
    "training.png",
]


def imported():
    spec = importlib.util.spec_from_file_location("char_lm", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


char_lm = imported()


@pytest.fixture(autouse=True)
def _pictures_without_a_screen():
    matplotlib.use("Agg")
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("to be or not to be: that is the question\n" * 6, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(text, tmp_path_factory):
    """Where a run left its files, and what it said."""
    out = tmp_path_factory.mktemp("run") / "out"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        char_lm.main([*TINY, "--text", str(text), "--out", str(out)])
    return out, said.getvalue()


@pytest.fixture
def trained(finished, tmp_path):
    """A copy of what it left."""
    return Path(shutil.copytree(finished[0], tmp_path / "out"))


@pytest.fixture
def said(finished):
    return finished[1]


def refused(capsys, *arguments):
    """The one line with which the script, its exit code 2, refuses ``arguments``."""
    with pytest.raises(SystemExit) as stopped:
        char_lm.main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_run_leaves_a_model_its_characters_and_three_pictures(trained):
    assert sorted(path.name for path in trained.iterdir()) == LEFT
    for picture in trained.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_a_run_says_what_it_does(said, text):
    characters = len(set(text.read_text(encoding="utf-8")))
    assert f"246 characters, {characters} of them distinct" in said
    found = re.findall(r"^epoch +(\d+) .*validation (\S+) nats = (\S+) bits", said, re.MULTILINE)
    assert [epoch for epoch, _, _ in found] == ["0", "1", "2"]
    losses = [float(nats) for _, nats, _ in found]
    bits = [float(number) for _, _, number in found]
    assert bits == pytest.approx([nats / np.log(2) for nats in losses], abs=2e-3)
    assert losses[2] < losses[0]
    best = re.search(r"^best validation loss: (\S+) nats", said, re.MULTILINE)
    assert float(best[1]) == min(losses)


def test_the_saved_model_is_the_one_with_the_loss_that_was_printed(trained, said, text):
    model, vocabulary = char_lm.load(trained / "model.safetensors")
    _, valid = char_lm.split(vocabulary.encode(text.read_text(encoding="utf-8")), batch=4)
    trainer = bptt.Trainer(
        model,
        loss=bptt.CrossEntropy(),
        optimizer=bptt.SGD(1.0),
        truncation=bptt.TBPTT(1, 1),
    )
    assert f"best validation loss: {trainer.evaluate(valid):.3f} nats" in said


def test_a_saved_model_writes_the_same_again(trained, said, capsys):
    char_lm.main(["--load", str(trained / "model.safetensors"), "--sample", "20"])
    assert said.endswith(capsys.readouterr().out)


def test_a_saved_model_is_trained_further(trained, said, capsys, text):
    saved = trained / "model.safetensors"
    best = re.search(r"best validation loss: (\S+)", said)[1]
    further = [*WINDOWS, "--epochs", "1", "--text", str(text), "--out", str(trained)]
    char_lm.main(["--load", str(saved), *further])
    then = capsys.readouterr().out
    assert f"epoch  0  validation {best} nats" in then
    assert "epoch  1" in then


def test_rnn_cells_in_several_layers(text, tmp_path):
    shape = ["--cell", "rnn", "--layers", "2"]
    char_lm.main([*TINY, *shape, "--text", str(text), "--out", str(tmp_path / "out")])
    model = bptt.Model.load(tmp_path / "out" / "model.safetensors")
    assert [type(layer).__name__ for layer in model.layers] == ["Embedding", "RNN", "RNN", "Linear"]


def test_the_text_of_every_machine_is_long_enough():
    text = char_lm.read_text(None)
    char_lm.split(bptt.Vocabulary.of(text).encode(text), batch=50)


@pytest.mark.parametrize(("characters", "steps"), [(37, 9), (36, 9), (361, 30)])
def test_the_flow_is_that_of_the_newest_losses(characters, steps):
    model = bptt.Model([bptt.Embedding(3, 2), bptt.LSTM(2, 4), bptt.Linear(4, 3)])
    stream = bptt.Stream(np.arange(characters) % 3, batch=4)
    flow = char_lm.reach(model, stream, k2=10)
    losses = ~np.isnan(flow.norms["1.h"][:, 0])
    assert np.flatnonzero(losses).tolist() == list(range(steps))[-(steps // 3) :]
    assert flow.norms["1.h"].shape == (steps, min(steps, 20))
    assert flow.window == 10


def test_a_mark_of_the_encoding_is_no_character(tmp_path):
    (tmp_path / "text").write_text("to be", encoding="utf-8-sig")
    assert char_lm.read_text(tmp_path / "text") == "to be"


@pytest.mark.parametrize("temperature", [1e-320, float("inf")])
def test_no_temperature_is_too_much(temperature):
    likely = char_lm.softmax(np.array([1.0, 3.0, 2.0], np.float32), temperature)
    assert likely == pytest.approx([0, 1, 0] if temperature < 1 else [1 / 3] * 3)


def test_a_low_temperature_takes_the_likeliest():
    logits = np.array([1.0, 3.0, 2.0], np.float32)
    assert char_lm.softmax(logits, 1.0) == pytest.approx(np.exp(logits) / np.exp(logits).sum())
    assert char_lm.softmax(logits, 0.01) == pytest.approx([0, 1, 0])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--text {missing}", "No such file"),
        ("--text {binary}", "is not UTF-8 text"),
        ("--text {short}", "has 40 characters, but --batch 4 needs 100"),
        ("--text {empty}", "text is empty"),
        ("--k1 20 --text {text}", "k1 must not exceed k2"),
        ("--hidden 0", "argument --hidden: must be a positive integer, got '0'"),
        ("--lr fast", "argument --lr: must be a positive number, got 'fast'"),
        ("--temperature nan", "argument --temperature: must be a positive number, got 'nan'"),
        ("--cell gru", "argument --cell: invalid choice"),
        ("--out {text} --text {text}", "File exists"),
        ("--load {missing}", "No such file"),
        ("--load {text}", "not a safetensors file"),
    ],
)
def test_wrong_input_gets_one_line(options, says, text, tmp_path, capsys):
    paths = {name: tmp_path / name for name in ("missing", "binary", "short", "empty")}
    paths["binary"].write_bytes(b"\xff\xfe\x00")
    paths["short"].write_text("x" * 40, encoding="utf-8")
    paths["empty"].write_text("", encoding="utf-8")
    arguments = [part.format(text=text, **paths) for part in options.split()]
    tiny = [] if "--load" in options else TINY
    assert says in refused(capsys, *tiny, *arguments)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--hidden 8", "--hidden does not go with --load"),
        ("--text {text}", "say for how many --epochs"),
        ("--seed -1", "--seed must not be negative, got -1"),
        ("--text {other} --epochs 1", "which is not among the"),
    ],
)
def test_options_that_do_not_go_with_a_saved_model(options, says, trained, text, tmp_path, capsys):
    other = tmp_path / "other"
    other.write_text("€" * 1000, encoding="utf-8")
    arguments = [part.format(text=text, other=other) for part in options.split()]
    assert says in refused(capsys, "--load", trained / "model.safetensors", *arguments)


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        ("not json", "does not hold a vocabulary"),
        ("[]", "does not hold a vocabulary"),
        ('{"characters": "ba"}', "must be distinct and sorted"),
        ('{"characters": "abc"}', "does not go with the 3 characters"),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_refused(contents, says, trained, capsys):
    (trained / "model.vocabulary.json").write_text(contents, encoding="utf-8")
    assert says in refused(capsys, "--load", trained / "model.safetensors")


def test_characters_of_all_kinds_survive_the_file(tmp_path):
    vocabulary = bptt.Vocabulary.of('\n"\\\x00ßé€😀')
    model = bptt.Model([bptt.Embedding(8, 2), bptt.Linear(2, 8)])
    char_lm.save(model, vocabulary, tmp_path / "model.safetensors")
    assert char_lm.load(tmp_path / "model.safetensors")[1] == vocabulary
    json.loads((tmp_path / "model.vocabulary.json").read_text(encoding="ascii"))


def test_the_script_runs_as_a_program(text, tmp_path):
    command = [sys.executable, str(SCRIPT), *TINY, "--text", str(text), "--out", str(tmp_path)]
    good = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "best validation loss" in good.stdout
    bad = subprocess.run([*command, "--k1", "11"], capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert bad.stderr.startswith("char_lm.py: error: k1 must not exceed k2")
