"""The example: the sensitivities of the paper's problem, who finds θ and who does not, its run."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numba
import numpy as np
import pytest
from matplotlib import pyplot

import bptt
from bptt.clip import Clipping

SCRIPT = Path(__file__).resolve().parent.parent / "examples" / "influence_balancing.py"
STEPS, RATE = 6000, 5e-5
PNG = b"\x89PNG\r\n\x1a\n"
compiled = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="takes a minute without compiled kernels"
)


def imported():
    spec = importlib.util.spec_from_file_location("influence_balancing", SCRIPT)
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


def trained(truncation, per_update):
    return example.train(truncation, per_update, RATE, STEPS)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (1, 1.0),
        (2, 2.0),
        (5, 5.0),
        (10, 10.0),
        (20, 16.4761),
        (30, 9.8699),
        (40, 0.5655),
        (50, -4.7527),
        (75, -5.9993),
        (100, -6.0),
    ],
)
def test_the_sensitivity_through_a_window(window, expected):
    assert example.sensitivity(window) == pytest.approx(expected, abs=5e-5)


def test_the_sensitivity_is_the_sum_of_the_powers_of_a():
    a = 0.5 * (np.eye(23) + np.diag(np.ones(22), 1))
    v = np.array([1.0] * 10 + [-1.0] * 13)
    powers = [(np.linalg.matrix_power(a, k) @ v)[0] for k in range(60)]
    for window in (1, 7, 41, 60):
        assert example.sensitivity(window) == pytest.approx(sum(powers[:window]), abs=1e-12)


def test_all_units_begin_at_one_and_the_loss_is_half_a_square():
    model, steps = example.network(0.5), 80
    _, state = model(example.stream(steps).reader().take(1).x)
    assert np.array_equal(state["0.h"], np.ones((1, 23)))

    s, losses = np.ones(23), [0.0]
    for _ in range(steps):
        s = example.A @ s + 0.5 * example.V
        losses.append(0.5 * (s[0] - 1) ** 2)
    trainer = bptt.Trainer(
        model,
        loss=bptt.SquaredError(),
        optimizer=bptt.SGD(1.0),
        truncation=bptt.TBPTT(1, 1),
    )
    assert trainer.evaluate(example.stream(steps)) == pytest.approx(np.mean(losses), rel=1e-12)


def test_only_theta_moves():
    model = example.network(0.5)
    before = model.params.flat.copy()
    direction = (example.network(1.0).params.flat - before) / 0.5
    optimizer = example.Along(0.1, direction)
    gradient = np.arange(len(before), dtype=float)
    optimizer.update(model.params.flat, gradient, {}, 1, 0.1, Clipping(1.0, np.inf))
    theta = 0.5 - 0.1 * (example.V @ gradient[:23])
    assert model.params.flat == pytest.approx(example.network(theta).params.flat, rel=1e-12)


@compiled
@pytest.mark.parametrize("chunk", [10, 100])
def test_chunks_whose_mean_sensitivity_has_the_wrong_sign_diverge(chunk):
    found = trained(bptt.TBPTT(chunk, chunk), chunk)
    assert found.theta > 0.6
    assert found.loss[-1] > 8
    assert found.loss[-1] > found.loss[len(found.loss) // 2]
    assert found.verdict() == "diverges"


@compiled
def test_a_window_that_is_long_enough_for_every_loss_converges():
    found = trained(bptt.TBPTT(10, 100), 10)
    assert found.theta == pytest.approx(-1 / 6, abs=1e-3)
    assert found.loss[-1] < 1e-4
    assert found.verdict() == "converges"


@compiled
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_unbiased_truncation_converges_with_a_sixth_of_the_steps(seed):
    found = trained(bptt.ARTBP(16, alpha=4.0, seed=seed), 16)
    assert np.mean(np.diff(found.step)) < 20
    assert found.theta == pytest.approx(-1 / 6, abs=1e-3)
    assert found.verdict() == "converges"


@compiled
def test_a_run_says_what_it_finds_and_leaves_a_picture(tmp_path, capsys):
    picture = tmp_path / "out" / "picture.png"
    example.main(["--steps", "1500", "--rate", "1e-3", "--seed", "3", "--out", str(picture)])
    said = capsys.readouterr().out
    assert re.search(r"^ 40 +0\.5655 wrong +9\.5417 wrong$", said, re.MULTILINE)
    assert re.search(r"^ 50 +-4\.7527 right +7\.0679 wrong$", said, re.MULTILINE)
    assert re.search(r"^TBPTT\(10, 10\) .* diverges, stopped at step [\d,]+$", said, re.MULTILINE)
    assert len(re.findall(r"^(?:TBPTT|ARTBP)\(", said, re.MULTILINE)) == 5
    assert said.endswith(f"picture: {picture}\n")
    assert picture.read_bytes().startswith(PNG)


@compiled
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--steps 0", "--steps 0 and --rate 5e-05 must be positive and finite"),
        ("--steps many", "argument --steps: invalid int value: 'many'"),
        ("--rate inf", "and --rate inf must be positive and finite"),
        ("--seed -1", "seed must be a non-negative integer of at most 64 bits, got -1"),
        ("--steps 10 --out {folder}", "Is a directory"),
    ],
)
def test_wrong_input_gets_one_line(options, says, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        example.main(options.format(folder=tmp_path).split())
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert not out
    lines = err.splitlines()
    assert len(lines) == 1
    assert says in lines[0]


@compiled
def test_the_script_runs_as_a_program(tmp_path):
    picture = tmp_path / "picture.png"
    command = [sys.executable, str(SCRIPT), "--steps", "100", "--out", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"picture: {picture}" in done.stdout
    assert picture.read_bytes().startswith(PNG)
