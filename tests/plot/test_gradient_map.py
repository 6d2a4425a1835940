"""The lag x time map."""

import numpy as np
import pytest
from matplotlib import pyplot
from pictures import assert_everything_fits

import bptt
from bptt import GradientFlow, plot


def triangle(steps, rate=0.5):
    """rate^k for the loss of every step, nan before the first."""
    lag, t = np.arange(steps), np.arange(steps)[:, None]
    return np.where(lag <= t, rate ** lag.astype(float), np.nan)


def a_flow(layers=3, steps=12, window=None):
    return GradientFlow({f"{i}.h": triangle(steps) * (i + 1) for i in range(layers)}, window)


def test_columns_are_losses_and_rows_lags_of_the_topmost_layer():
    flow = a_flow()
    ax = plot.gradient_map(flow)
    (image,) = ax.images
    assert np.array_equal(image.get_array().filled(np.nan), flow.norms["2.h"].T, equal_nan=True)
    assert image.get_extent() == [-0.5, 11.5, -0.5, 11.5]
    assert image.origin == "lower"
    assert image.get_cmap().name == "viridis"
    assert ax.get_title("left") == "Gradient of every loss, layer 2 h"
    assert ax.get_xlabel() == "step of the loss, t"
    assert ax.get_ylabel() == "steps back from the loss (lag k)"
    assert image.colorbar.ax.get_ylabel() == r"$\|\partial\ell_t\,/\,\partial h_{t-k}\|$"
    assert_everything_fits(ax.figure)


def test_a_real_flow_lane_by_lane():
    model = bptt.Model([bptt.LSTM(2, 3), bptt.Linear(3, 2)], dtype="float64", seed=0)
    x = np.random.default_rng(0).normal(size=(5, 2, 2))
    flow = bptt.gradient_flow(model, bptt.SquaredError(), x, x, per_lane=True)
    for name in ("0.h", "0.c"):
        (image,) = plot.gradient_map(flow, name).images
        mean = flow.norms[name].mean(axis=2).T
        low, high = image.get_clim()
        assert np.allclose(image.get_array().filled(np.nan), mean.clip(low, high), equal_nan=True)


def test_a_lane_without_a_loss_is_left_out_of_the_mean():
    norms = np.stack([triangle(4), np.full((4, 4), np.nan)], axis=2)
    (image,) = plot.gradient_map(GradientFlow({"0.h": norms})).images
    assert np.array_equal(image.get_array().filled(np.nan), triangle(4).T, equal_nan=True)


def test_colours_reach_eight_decades_down_and_the_view_no_further():
    flow = GradientFlow({"0.h": triangle(40)})
    ax = plot.gradient_map(flow)
    (image,) = ax.images
    assert image.get_clim() == pytest.approx((1e-8, 1))
    assert image.get_array().min() == pytest.approx(1e-8)
    assert image.colorbar.extend == "min"
    assert 2.0**-26 > 1e-8 > 2.0**-27
    assert ax.get_ylim() == (-0.5, 26.5)


def test_the_view_begins_at_the_first_loss():
    norms = triangle(9)
    norms[:6] = np.nan
    assert plot.gradient_map(GradientFlow({"0.h": norms})).get_xlim() == (5.5, 8.5)


@pytest.mark.parametrize(("window", "drawn"), [(4, [3.5]), (12, [11.5]), (13, []), (None, [])])
def test_the_window_is_marked_where_it_ends(window, drawn):
    ax = plot.gradient_map(a_flow(window=window))
    assert [line.get_ydata()[0] for line in ax.lines] == drawn
    assert [text.get_text() for text in ax.texts] == [f"window, k2 = {window}"] * len(drawn)
    assert_everything_fits(ax.figure)


@pytest.mark.parametrize(
    "norms",
    [
        np.zeros((5, 5)),
        np.full((5, 5), np.nan),
        np.ones((1, 1)),
        triangle(1000, 0.97),
        triangle(50, 1e3),
        triangle(50, 1e-9),
    ],
)
def test_any_flow_can_be_drawn(norms):
    ax = plot.gradient_map(GradientFlow({"0.h": norms}, window=1))
    low, high = ax.images[0].get_clim()
    assert 0 < low < high < np.inf
    assert_everything_fits(ax.figure)


def test_maps_that_cannot_be_drawn():
    with pytest.raises(ValueError, match=r"name must be one of 0.h, 1.h of flow, got '7.h'"):
        plot.gradient_map(a_flow(2), "7.h")
    with pytest.raises(ValueError, match="flow has no layer"):
        plot.gradient_map(GradientFlow({}))
    with pytest.raises(TypeError, match="flow must be a GradientFlow, got dict"):
        plot.gradient_map({"0.h": np.ones(3)})
    assert not pyplot.get_fignums()
