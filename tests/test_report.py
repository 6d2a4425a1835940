"""truncation_report: errors, costs and a recommendation that are those of the definition."""

import math
import tracemalloc

import numpy as np
import pytest
from helpers import EXACT, Frozen, a_model, assert_close

import bptt
from bptt import LSTM, RNN, TBPTT, CrossEntropy, Embedding, Linear, SquaredError, Stream
from bptt.kernels.compile import JIT
from bptt.passes import check_fit

LAYERS = [Embedding(6, 3), LSTM(3, 5), RNN(5, 4), Linear(4, 6)]
WINDOWS = (1, 4, 9, (2, 9), (4, 30), 40)
IDS = np.random.default_rng(0).integers(0, 6, 200)
LANES, STEPS = 3, 50


def a_report(**options):
    model = a_model(LAYERS)
    stream = Stream(IDS, LANES)
    return model, bptt.truncation_report(
        model, CrossEntropy(), stream, WINDOWS, **{"steps": STEPS} | options
    )


def whole(stream, steps):
    chunk = stream.reader().take(steps)
    return chunk.x, chunk.targets


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_and_cosines_are_those_of_the_added_up_gradients(workers):
    model, report = a_report(workers=workers)
    x, targets = whole(Stream(IDS, LANES), STEPS)
    loss, full, _ = bptt.value_and_grad(model, CrossEntropy(), x, targets)
    assert math.isclose(report.loss, loss, rel_tol=EXACT)
    assert (report.steps, report.lanes) == (STEPS, LANES)
    assert report.windows == ((1, 1), (4, 4), (9, 9), (2, 9), (4, 30), (40, 40))
    probe = Stream(x.T.ravel(), LANES, targets.T.ravel())
    for i, (k1, k2) in enumerate(report.windows):
        trainer = bptt.Trainer(
            model, loss=CrossEntropy(), optimizer=Frozen(), truncation=TBPTT(k1, k2), workers=1
        )
        summed = sum(step.grads.flat * step.targets for step in trainer.steps(probe))
        found = full.like(summed / targets.size)
        for name in ("all", "0", "1", "2", "3"):
            a, b = (
                np.concatenate([v.ravel() for n, v in g.items() if name in ("all", n[0])])
                for g in (found, full)
            )
            error = np.linalg.norm(a - b) / np.linalg.norm(b)
            cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert math.isclose(report.error[name][i], error, rel_tol=1e-7, abs_tol=1e-12)
            assert math.isclose(report.cosine[name][i], cosine, rel_tol=1e-9)
    assert report.error["all"][0] > 0.05
    assert set(report.error) == set(report.cosine) == {"all", "0", "1", "2", "3"}


def test_longer_windows_take_more_memory_and_all_take_time():
    _, report = a_report()
    chunks = [i for i, (k1, k2) in enumerate(report.windows) if k1 == k2]
    assert (np.diff(report.megabytes[chunks]) > 0).all()
    assert (report.milliseconds > 0).all()


def test_the_bound_of_a_chunk_is_the_mean_over_its_losses():
    _, report = a_report()
    bias = report.decay.bias
    for bound, (k1, k2) in zip(report.bound, report.windows, strict=True):
        assert_close(bound, np.mean([bias[reach - 1] for reach in range(k2 - k1 + 1, k2 + 1)]))


def test_the_shortest_window_within_the_tolerance_is_recommended():
    _, report = a_report(tolerance=0.5)
    good = [w for w, error in zip(report.windows, report.error["all"], strict=True) if error <= 0.5]
    assert report.recommended == min(good, key=lambda window: (window[1], -window[0]))
    assert "shortest window tried whose gradient is within 50%" in report.reason
    assert str(report).endswith(report.reason)
    assert len(str(report).splitlines()) == len(WINDOWS) + 2


def test_with_none_good_enough_the_reason_says_how_far_off_the_best_is():
    model = a_model([RNN(1, 2, "identity"), Linear(2, 1)])
    model.params["0.Wh"][...] = 0.97 * np.eye(2)
    rng = np.random.default_rng(0)
    stream = Stream(rng.normal(size=(400, 1)), 2, rng.normal(size=(400, 1)))
    report = bptt.truncation_report(model, SquaredError(), stream, (1, 2), tolerance=0.01)
    assert report.recommended is None
    assert "No window tried is within 1%" in report.reason
    assert math.isclose(report.decay.rate, 0.97, rel_tol=1e-8)


def test_a_network_that_forgets_at_once_needs_one_step():
    model = a_model([RNN(2, 3, "identity"), Linear(3, 1)])
    model.params["0.Wh"][...] = 0
    rng = np.random.default_rng(0)
    stream = Stream(rng.normal(size=(200, 2)), 2, rng.normal(size=(200, 1)))
    report = bptt.truncation_report(model, SquaredError(), stream, (5, 1))
    # Wh alone sees the state before a window.
    assert report.recommended == (1, 1)
    assert report.error["all"][0] < EXACT


def test_nothing_is_changed():
    model = a_model(LAYERS)
    before = model.params.flat.copy()
    bptt.truncation_report(model, CrossEntropy(), Stream(IDS, LANES), (2, 4), steps=20)
    assert np.array_equal(model.params.flat, before)


@pytest.mark.skipif(not JIT, reason="takes long without the JIT")
def test_a_long_probe_takes_little_memory():
    model = bptt.Model([Embedding(6, 8), LSTM(8, 32), Linear(32, 6)])
    ids = np.random.default_rng(0).integers(0, 6, 80_001, dtype=np.uint8)
    tracemalloc.start()
    report = bptt.truncation_report(model, CrossEntropy(), Stream(ids, 4), (10, 50), steps=20_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    tape = 20_000 * 4 * 32 * 4 * (4 + 2)
    assert report.steps == 20_000
    assert peak < 0.2 * tape


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"windows": ()}, "windows must hold at least one"),
        ({"windows": (0,)}, "k1 must be a positive integer, got 0"),
        ({"windows": (2.5,)}, "k1 must be a positive integer, got 2.5"),
        ({"windows": ((5, 2),)}, "k1 must not exceed k2"),
        ({"windows": ((5, 2, 1),)}, "a window must be k2 or"),
        ({"windows": (70,)}, "windows go up to 70 steps, but the probe has 67"),
        ({"windows": (30,), "steps": 20}, "windows go up to 30 steps, but the probe has 20"),
        ({"steps": 0}, "steps must be a positive integer or None, got 0"),
        ({"tolerance": 0}, r"tolerance must be in \(0, 1\), got 0"),
        ({"tolerance": math.nan}, r"tolerance must be in \(0, 1\), got nan"),
        ({"workers": 0}, "workers must be a positive integer or None"),
    ],
)
def test_what_does_not_fit(options, said):
    model, stream = a_model(LAYERS), Stream(IDS, LANES)
    given = {"windows": (2, 4)} | options
    with pytest.raises(ValueError, match=said):
        bptt.truncation_report(model, CrossEntropy(), stream, **given)


def test_a_stream_that_does_not_fit_the_model():
    model, stream = a_model([Embedding(5, 2), RNN(2, 3), Linear(3, 6)]), Stream(IDS, LANES)
    with pytest.raises(bptt.DataError, match="ids up to 5"):
        check_fit(stream, model, CrossEntropy())
    with pytest.raises(bptt.DataError, match="ids up to 5"):
        bptt.truncation_report(model, CrossEntropy(), stream, (2,))


def test_targets_that_are_never_there():
    targets = np.full(200, -1)
    stream = Stream(IDS, LANES, targets)
    with pytest.raises(ValueError, match="have no valid target"):
        bptt.truncation_report(a_model(LAYERS), CrossEntropy(), stream, (2,))
