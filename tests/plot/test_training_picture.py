"""Losses and norms of training: the right data, whatever its length, and all that is said fits."""

import numpy as np
import pytest
from matplotlib import pyplot
from pictures import assert_everything_fits, lines

from bptt import plot
from bptt.history import History


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


def test_histories_that_cannot_be_drawn():
    with pytest.raises(ValueError, match="no update"):
        plot.training(History())
    with pytest.raises(ValueError, match="'updates' or 'seconds', got 'hours'"):
        plot.training(trained(3), against="hours")
