"""Pictures: the artists hold the right data, whatever its length, and all that is said fits."""

import subprocess
import sys

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot

from bptt import plot
from bptt.history import History


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    pyplot.close("all")


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def trained(updates, epochs=0, clip_norm=None):
    """Loss 4/u, norm u, 0.5 s an update; validation 1 + |epoch - 3|."""
    history = History(clip_norm)
    for update in range(1, updates + 1):
        history.record_update(update, 4 / update, update, update / 2)
        if epochs and update % (updates // epochs) == 0:
            epoch = len(history.epoch_update) + 1
            history.record_epoch(update, 0.0, 1.0 + abs(epoch - 3), update / 2 + 0.1)
    return history


def panels(history, **options):
    ax = plot.training(history, **options)
    return ax, ax.figure.axes[-1]


def assert_everything_fits(figure):
    """Drawing raises no warning, and no text leaves the figure or lies on another."""
    figure.canvas.draw()
    texts = [
        text
        for ax in figure.axes
        for text in [ax.title, ax.xaxis.label, ax.yaxis.label, ax._left_title, *ax.texts]
        if text.get_text()
    ]
    boxes = [text.get_window_extent() for text in texts]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, texts[i]
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, texts[i]
        assert not any(box.overlaps(other) for other in boxes[:i]), texts[i]


def test_flow_is_drawn_over_its_lag_newest_at_zero():
    flow = {"1.h": np.array([np.nan, 1e-3, 1e-2]), "2.h": np.array([0.0, 0.2, 0.4])}
    ax = plot.gradient_flow(flow)
    drawn = lines(ax)
    for line in (drawn["layer 1 h"], drawn["layer 2 h"]):
        assert line.get_xdata().tolist() == [2, 1, 0]
    assert np.array_equal(drawn["layer 1 h"].get_ydata(), flow["1.h"], equal_nan=True)
    assert np.array_equal(drawn["layer 2 h"].get_ydata(), [np.nan, 0.2, 0.4], equal_nan=True)
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "steps back from the newest (lag)"
    assert ax.get_ylabel() == "‖δ‖ = ‖∂L/∂h‖"
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["layer 1 h", "layer 2 h", "window, k2 = 3"]
    assert_everything_fits(ax.figure)


def test_layers_are_told_apart_in_grey_and_ordered_by_depth():
    ax = plot.gradient_flow({f"{i}.h": np.ones(4) for i in range(5)})
    colours = [lines(ax)[f"layer {i} h"].get_color() for i in range(5)]
    grey = np.array([colour[:3] for colour in colours]) @ [0.299, 0.587, 0.114]
    assert (np.diff(grey) > 0.05).all()


@pytest.mark.parametrize(("window", "k2"), [(None, 30), (20, 20), (45, 45), (1, 1)])
def test_the_window_is_marked_at_its_end(window, k2):
    ax = plot.gradient_flow({"0.h": np.geomspace(1e-5, 1, 30)}, window=window)
    (line,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert list(line.get_xdata()) == [k2 - 0.5] * 2
    assert line.get_label() == f"window, k2 = {k2}"
    shade = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    assert (shade.x0, shade.x1) == pytest.approx((-0.5, k2 - 0.5))
    assert ax.get_xlim()[0] == -0.5
    assert ax.get_xlim()[1] > max(k2, 30) - 0.5
    assert_everything_fits(ax.figure)


@pytest.mark.parametrize(
    "flow",
    [
        np.zeros(20),
        np.full(20, np.nan),
        np.array([3e-3]),
        np.geomspace(1e-300, 1e10, 500),
        np.full(10, 0.5),
        [0.1, 0.2, 0.0, 0.3],
    ],
)
def test_any_single_array_can_be_drawn(flow):
    ax = plot.gradient_flow(flow)
    assert np.array_equal(
        ax.lines[0].get_ydata(), np.where(np.greater(flow, 0), flow, np.nan), True
    )
    (window,) = ax.get_legend().get_texts()
    assert window.get_text() == f"window, k2 = {len(flow)}"
    assert_everything_fits(ax.figure)


@pytest.mark.parametrize(
    ("flow", "window", "said"),
    [
        ({}, None, "no layer"),
        ({"1.h": np.ones((2, 3))}, None, r"1.h must be \(k2,\) norms, got shape \(2, 3\)"),
        ([], None, r"got shape \(0,\)"),
        (np.ones(3), 0, "window must be at least 1, got 0"),
    ],
)
def test_flow_that_cannot_be_drawn(flow, window, said):
    with pytest.raises(ValueError, match=said):
        plot.gradient_flow(flow, window=window)
    assert not pyplot.get_fignums()


def test_few_updates_are_drawn_as_they_are():
    ax, below = panels(trained(10, epochs=5, clip_norm=8.0))
    n = np.arange(1, 11)
    assert np.array_equal(lines(ax)["training, each update"].get_xydata(), np.c_[n, 4 / n])
    assert np.array_equal(below.lines[0].get_xydata(), np.c_[n, n])
    validation = lines(ax)["validation, each epoch"].get_xydata()
    assert np.array_equal(validation, np.c_[[2, 4, 6, 8, 10], [3, 2, 1, 2, 3]])
    assert lines(ax)["best validation, epoch 3"].get_xydata().tolist() == [[6, 1]]
    assert [text.get_text() for text in ax.texts] == ["1"]
    clip = lines(below)["clipped at 8 (20.0% of updates)"]
    assert list(clip.get_ydata()) == [8, 8]
    assert clip.get_linestyle() == "--"
    assert below.get_yscale() == "log"
    assert_everything_fits(ax.figure)


def test_a_running_mean_lies_over_many_updates():
    ax, _ = panels(trained(500))
    mean = lines(ax)["training, mean of 11 updates"].get_ydata()
    loss = 4 / np.arange(1, 501)
    assert mean[100] == pytest.approx(loss[95:106].mean())
    assert mean[0] == pytest.approx(loss[:6].mean())
    assert mean[-1] == pytest.approx(loss[-6:].mean())


def test_many_updates_are_thinned_but_every_peak_stays():
    history = trained(100_000, epochs=10, clip_norm=1e4)
    history.loss[54_321] = 99.0
    history.grad_norm[12_345] = 1e-9
    history.grad_norm[77_777] = 0.0
    ax, below = panels(history)
    for panel in (ax, below):
        assert all(len(line.get_xdata()) <= 2000 for line in panel.lines)
    drawn = lines(ax)["training, each update"].get_xydata()
    assert [54_322, 99.0] in drawn.tolist()
    assert drawn[-1, 1] == 4 / 100_000
    assert (np.diff(drawn[:, 0]) > 0).all()
    assert [12_346, 1e-9] in below.lines[0].get_xydata().tolist()
    assert "clipped at 10000 (90.0% of updates)" in lines(below)
    assert_everything_fits(ax.figure)


def test_against_seconds():
    ax, below = panels(trained(10, epochs=5), against="seconds")
    assert np.array_equal(below.lines[0].get_xdata(), np.arange(1, 11) / 2)
    assert lines(ax)["validation, each epoch"].get_xdata()[0] == pytest.approx(1.1)
    assert below.get_xlabel() == "seconds of training"


@pytest.mark.parametrize("updates", [1, 2, 3000])
def test_neither_validation_nor_clipping(updates):
    ax, below = panels(trained(updates))
    assert not any("validation" in label for label in lines(ax))
    assert below.get_legend() is None
    assert_everything_fits(ax.figure)


def test_epochs_without_validation_leave_gaps():
    history = trained(10, epochs=5)
    history.validation_loss[1] = np.nan
    ax, _ = panels(history)
    assert np.isnan(lines(ax)["validation, each epoch"].get_ydata()[1])


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_training_stays_in_the_place_of_its_axes(layout):
    figure, axes = pyplot.subplots(1, 2, figsize=(12, 4.5), layout=layout)
    place = axes[1].get_position()
    assert plot.training(trained(100, 5, 3.0), axes[1]) is axes[1]
    below = figure.axes[-1]
    figure.canvas.draw()
    upper, lower = axes[1].get_position(), below.get_position()
    assert lower.y1 < upper.y0
    assert upper.x0 == pytest.approx(lower.x0)
    if layout is None:
        assert (upper.y1, lower.y0) == pytest.approx((place.y1, place.y0))
    assert_everything_fits(figure)


def test_training_in_axes_without_a_grid():
    figure = pyplot.figure()
    ax = figure.add_axes((0.1, 0.15, 0.8, 0.7))
    plot.training(trained(100, 5, 3.0), ax)
    upper, lower = ax.get_position(), figure.axes[-1].get_position()
    assert (upper.y1, lower.y0) == pytest.approx((0.85, 0.15))
    assert lower.y1 < upper.y0
    assert_everything_fits(figure)


def test_flow_is_drawn_on_the_axes_given():
    figure, ax = pyplot.subplots()
    assert plot.gradient_flow(np.ones(3), ax) is ax
    assert pyplot.get_fignums() == [figure.number]


def test_histories_that_cannot_be_drawn():
    with pytest.raises(ValueError, match="no update"):
        plot.training(History())
    with pytest.raises(ValueError, match="'updates' or 'seconds', got 'hours'"):
        plot.training(trained(3), against="hours")


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, bptt.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_matplotlib_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw, argument in ((plot.gradient_flow, np.ones(3)), (plot.training, trained(3))):
        with pytest.raises(ImportError, match="pip install matplotlib"):
            draw(argument)


def test_nothing_is_shown(monkeypatch):
    monkeypatch.setattr(pyplot, "show", lambda *_: pytest.fail("show() was called"))
    plot.gradient_flow(np.ones(3))
    plot.training(trained(3))
