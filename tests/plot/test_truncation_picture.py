"""The picture of a truncation report holds its numbers."""

import numpy as np
import pytest
from fitting import assert_fits

from bptt import TruncationReport, plot
from bptt.decay import fit_decay


def a_report(windows, recommended=None):
    n = len(windows)
    error = {"all": np.geomspace(0.5, 1e-3, n), "0": np.geomspace(0.7, 2e-3, n)}
    return TruncationReport(
        windows=tuple(windows),
        steps=2000,
        lanes=32,
        loss=1.0,
        cosine={name: 1 - values**2 / 2 for name, values in error.items()},
        error=error | {"1": np.full(n, 1e-7)},
        bound=np.append(np.geomspace(5, 0.5, n - 1), np.inf),
        milliseconds=np.ones(n),
        megabytes=np.ones(n),
        decay=fit_decay(np.ones((4, 2, 3)) * 0.5 ** np.arange(4)[:, None, None]),
        tolerance=0.1,
        recommended=recommended,
        reason="",
    )


def test_chunks_are_lines_and_sliding_windows_squares():
    report = a_report([(10, 10), (2, 2), (5, 5), (5, 20)], recommended=(5, 5))
    ax = plot.truncation_report(report)
    lines = {line.get_label(): line for line in ax.lines}
    whole = lines["all parameters"]
    assert whole.get_xdata().tolist() == [2, 5, 10]
    assert whole.get_ydata().tolist() == report.error["all"][[1, 2, 0]].tolist()
    squares = [line for line in ax.lines if line.get_marker() == "s"]
    assert {line.get_xdata()[0] for line in squares} == {20}
    assert [text.get_text() for text in ax.texts] == ["k1 = 5"]
    ring = lines["recommended, k1 = 5, k2 = 5"]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (5, report.error["all"][2])
    assert lines["tolerance, 10%"].get_ydata()[0] == 0.1
    assert_fits(ax.figure)


def test_layers_that_truncation_does_not_touch_are_left_out():
    ax = plot.truncation_report(a_report([(2, 2), (5, 5)]))
    labels = [line.get_label() for line in ax.lines]
    assert "layer 0" in labels
    assert "layer 1" not in labels
    assert not any("recommended" in label for label in labels)


@pytest.mark.parametrize("windows", [[(3, 3)], [(2, 50), (10, 50)], [(k, k) for k in range(1, 40)]])
def test_few_windows_and_many(windows):
    ax = plot.truncation_report(a_report(windows))
    assert ax.get_xscale() == ax.get_yscale() == "log"
    ax.figure.canvas.draw()
