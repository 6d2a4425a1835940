"""The gradient's flow over the lag."""

import numpy as np
import pytest
from matplotlib import pyplot
from pictures import assert_everything_fits, lines

from bptt import GradientFlow, plot


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


def test_the_reverse_direction_stands_at_the_same_steps():
    ax = plot.gradient_flow({"0.h": np.array([0.1, 1.0]), "0.h_reverse": np.array([0.5, 0.2])})
    assert list(lines(ax))[:2] == ["layer 0 h", "layer 0 h reverse"]
    x, y = lines(ax)["layer 0 h reverse"].get_data()
    assert (x.tolist(), y.tolist()) == ([1, 0], [0.5, 0.2])
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


def test_flow_is_drawn_on_the_axes_given():
    figure, ax = pyplot.subplots()
    assert plot.gradient_flow(np.ones(3), ax) is ax
    assert pyplot.get_fignums() == [figure.number]


def falling(*rates, lags=30, spread=4.0, window=None, states="h"):
    """Layers whose norms fall at these rates, of losses of which one is ``spread`` as large."""
    lag, large = np.arange(float(lags)), np.array([[1.0], [1.0], [spread]])
    norms = {f"{i}.{s}": large * rate**lag for i, rate in enumerate(rates) for s in states}
    return GradientFlow(norms, window)


def words(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_mean_over_losses_in_its_band_for_every_layer():
    flow = falling(0.7, 0.9, window=12)
    ax = plot.gradient_flow(flow)
    drawn = lines(ax)
    for name, label in (("0.h", "layer 0 h, half after 2"), ("1.h", "layer 1 h, half after 7")):
        line = drawn[label]
        assert np.array_equal(line.get_xdata(), np.arange(30))
        assert np.array_equal(line.get_ydata(), flow.curve(name))
        assert line.get_markevery() == [int(flow.half_life(name))]
    for band, line, name in zip(ax.collections, ax.lines, flow.norms, strict=False):
        low, high = flow.quantiles(name, (0.1, 0.9))
        corners = band.get_paths()[0].vertices
        assert corners[:, 1].min() == pytest.approx(low.min())
        assert corners[:, 1].max() == pytest.approx(high.max())
        assert np.array_equal(band.get_facecolor()[0, :3], line.get_color()[:3])
    assert words(ax)[2:] == ["10-90 % of losses", "window, k2 = 12"]
    assert ax.get_xlabel() == "steps back from the loss (lag k)"
    assert ax.get_ylabel() == r"$\|\partial\ell_t\,/\,\partial h_{t-k}\|$"
    assert_everything_fits(ax.figure)


def test_models_are_compared_by_their_topmost_h():
    flows = {"RNN": falling(0.1, 0.5), "LSTM": falling(0.2, 0.9, states="hc")}
    ax = plot.gradient_flow(flows)
    assert words(ax) == ["RNN, half after 1", "LSTM, half after 7", "10-90 % of losses"]
    assert np.array_equal(ax.lines[1].get_ydata(), flows["LSTM"].curve("1.h"))
    ax = plot.gradient_flow(flows, names=["1.h", "1.c"], window=5)
    assert words(ax)[:3] == [
        "RNN, half after 1",
        "LSTM, layer 1 h, half after 7",
        "LSTM, layer 1 c, half after 7",
    ]
    assert words(ax)[-1] == "window, k2 = 5"
    assert r"\partial s_{t-k}" in ax.get_ylabel()


def test_names_choose_among_layers():
    flow = falling(0.5, 0.6, states="hc")
    assert words(plot.gradient_flow(flow, names=["1.c"]))[0] == "layer 1 c, half after 2"
    ax = plot.gradient_flow({"0.h": np.ones(3), "1.h": np.ones(3)}, names=["1.h"])
    assert words(ax)[0] == "layer 1 h"


def test_a_flow_that_grows_has_no_half_life():
    assert words(plot.gradient_flow(falling(1.5)))[0] == "layer 0 h"


def test_the_window_is_marked_only_if_the_flows_agree():
    same = {"a": falling(0.5, window=4), "b": falling(0.6, window=4)}
    assert words(plot.gradient_flow(same))[-1] == "window, k2 = 4"
    other = {"a": falling(0.5, window=4), "b": falling(0.6, window=5)}
    assert words(plot.gradient_flow(other))[-1] == "10-90 % of losses"


def test_what_is_too_small_is_outside_the_view():
    ax = plot.gradient_flow(falling(0.1, lags=200, spread=1.0))
    assert 1e-13 < ax.get_ylim()[0] < 1e-11
    assert 11 < ax.get_xlim()[1] < 14


@pytest.mark.parametrize(
    "norms",
    [
        np.zeros((3, 5)),
        np.full((3, 5), np.nan),
        np.ones((1, 1)),
        np.geomspace(1e-200, 1, 1000)[None, ::-1],
        np.geomspace(1e-3, 1e30, 50)[None],
        np.array([[1.0, 0.1, 0.0, 0.0], [1.0, 0.2, 0.0, np.nan]]),
        np.ones((3, 4, 2)),
    ],
)
def test_any_flow_can_be_drawn(norms):
    ax = plot.gradient_flow(GradientFlow({"0.h": norms}))
    assert_everything_fits(ax.figure)
    if not np.nansum(norms) > 0:
        assert words(ax)[0] == "layer 0 h"


@pytest.mark.parametrize(
    ("flow", "names", "error", "said"),
    [
        (falling(0.5), ["3.h"], ValueError, "names must be among 0.h, got '3.h'"),
        (falling(0.5), [], ValueError, "names is empty"),
        (GradientFlow({}), None, ValueError, "no layer"),
        ({"a": falling(0.5), "b": np.ones(3)}, None, TypeError, "GradientFlow for every label"),
    ],
)
def test_flows_that_cannot_be_drawn(flow, names, error, said):
    with pytest.raises(error, match=said):
        plot.gradient_flow(flow, names=names)
    assert not pyplot.get_fignums()
