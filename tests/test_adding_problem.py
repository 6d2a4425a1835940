"""The example: what it trains and tests on, who solves it, its run and its refusals."""

import re

import numba
import numpy as np
import pytest
from example_scripts import imported, refused

import bptt

example = imported("adding_problem")
compiled = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="takes minutes without compiled kernels"
)
EASY = ["--length", "10", "--count", "500", "--units", "16"]


def test_each_sequence_has_its_sum_at_its_last_step():
    x, targets = bptt.datasets.adding_sum(12, 7, seed=3)
    chunk = example.padded(x, targets, 7).chunk(0, 12)
    assert np.array_equal(np.sort(chunk.x[:, :, 0].sum(0)), np.sort(x[:, :, 0].sum(0)))
    sums = (chunk.x[..., 0] * chunk.x[..., 1]).sum(axis=0)
    assert chunk.targets[-1, :, 0] == pytest.approx(sums, rel=1e-6)
    assert not chunk.mask[:-1].any()
    assert chunk.mask[-1].all()


@compiled
def test_a_gated_cell_solves_a_short_problem_and_stops(capsys):
    example.main(["--cells", "gru", "lstm", "--passes", "40", *EASY])
    said = capsys.readouterr().out
    assert "10 steps; always saying 1 has an error of 0.1741" in said
    for cell in ("gru", "lstm"):
        assert re.search(rf"^{cell} +0\.00\d\d +0\.1741 +[\d,]+   yes$", said, re.MULTILINE)
        assert 2 < len(re.findall(rf"^{cell} .*updates", said, re.MULTILINE)) < 40


@compiled
@pytest.mark.parametrize(("length", "chrono"), [(2, 3), (3, 3), (12, 12)])
def test_memories_begin_as_long_as_a_sequence(length, chrono, monkeypatch):
    make, made = bptt.Model, []

    def seen(layers, seed):
        made.append(layers[0])
        return make(layers, seed=seed)

    monkeypatch.setattr(bptt, "Model", seen)
    small = ["--count", "4", "--units", "2", "--passes", "1"]
    example.main(["--length", str(length), *small])
    assert [getattr(layer, "chrono", None) for layer in made] == [chrono, chrono, None]


@compiled
def test_passes_that_do_not_suffice_are_told(capsys):
    example.main(["--cells", "rnn", "--passes", "2", *EASY, "--batch", "250"])
    said = capsys.readouterr().out
    assert re.search(r"^rnn +[\d.]+ +0\.1741 +4   no$", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--passes 0", "--passes must be at least 1, got 0"),
        ("--length 1", "length must be at least 2, got 1"),
        ("--cells elman", "invalid choice: 'elman'"),
        ("--units 0", "n must be a positive integer, got 0"),
        ("--rate -1", "learning_rate"),
        ("--batch 0", "batch must be an integer from 1 on"),
    ],
)
def test_wrong_input_gets_one_line(options, says, capsys):
    small = ["--length", "4", "--count", "4", "--units", "2", "--passes", "1"]
    assert says in refused(example, capsys, *small, *options.split())
