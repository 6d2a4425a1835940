"""Flows over the updates of training."""

import numpy as np
import pytest
from matplotlib import pyplot
from pictures import assert_everything_fits, lines

from bptt import GradientFlow, plot


def falling(rate, lags=6, first=2.0, window=None):
    norms = first * rate ** np.arange(float(lags))
    return GradientFlow({"0.h": norms[None] * 9, "1.h": np.stack([norms, norms])}, window)


def cells(ax):
    """(updates, lags), and the edges of the updates."""
    (mesh,) = ax.collections
    corners = mesh.get_coordinates()
    return mesh.get_array().filled(np.nan).T, corners[0, :, 0], corners[:, 0, 1]


def test_columns_are_relative_to_their_lag_0_and_lie_at_their_updates():
    ax = plot.flow_over_training({10: falling(0.5), 0: falling(0.1, first=7.0), 40: falling(1.0)})
    values, edges, lags = cells(ax)
    assert np.allclose(values, np.array([0.1, 0.5, 1.0])[:, None] ** np.arange(6.0))
    assert edges.tolist() == [-5, 5, 25, 55]
    assert lags.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert ax.get_xlabel() == "update"
    assert ax.get_title("left") == "Gradient flow over training, layer 1 h"
    (mesh,) = ax.collections
    assert mesh.colorbar.ax.get_ylabel() == "norm relative to lag 0 of the same update"
    assert mesh.get_rasterized()
    assert_everything_fits(ax.figure)


def test_the_reach_ends_what_holds_99_percent():
    flows = {0: falling(0.1), 10: falling(0.5, 20), 40: falling(1.0)}
    ax = plot.flow_over_training(flows)
    drawn = lines(ax)["reach, 99% of the flow"].get_xydata()
    reach = [flow.reach("1.h") - 0.5 for flow in flows.values()]
    assert drawn.tolist() == [[0, reach[0]], [10, reach[1]], [40, reach[2]]]
    assert reach == [1.5, 6.5, 5.5]


def test_norms_of_updates_have_their_newest_step_last():
    norms = np.array([np.nan, 0.1, 0.2, 0.4])
    for flow in ({"1.h": norms, "0.h": norms[::-1]}, norms):
        ax = plot.flow_over_training({3: flow, 4: flow})
        assert np.allclose(cells(ax)[0], [[1, 0.5, 0.25, np.nan]] * 2, equal_nan=True)
        assert lines(ax)["reach, 99% of the flow"].get_ydata().tolist() == [2.5, 2.5]
    assert ax.get_title("left") == "Gradient flow over training"


def test_windows_of_several_lengths_leave_white():
    values, _, _ = cells(plot.flow_over_training({1: falling(0.5, 3), 2: falling(0.5, 5)}))
    assert np.isnan(values).tolist() == [[False] * 3 + [True] * 2, [False] * 5]


def test_the_error_of_a_cell_is_relative_to_lag_1():
    flow = GradientFlow({"0.h": np.ones((1, 4)), "0.c": np.array([[0.0, 2.0, 1.0, 0.5]])})
    ax = plot.flow_over_training({1: flow, 2: flow}, "0.c")
    assert np.allclose(cells(ax)[0][:, 1:], [1, 0.5, 0.25])
    label = ax.collections[0].colorbar.ax.get_ylabel()
    assert label == "norm relative to lag 1 of the same update"


def test_an_explosion_does_not_hide_the_others():
    ax = plot.flow_over_training({1: falling(0.5), 2: falling(1e3, 9)})
    (mesh,) = ax.collections
    assert mesh.get_clim()[1] == 1e4
    assert mesh.colorbar.extend == "max"


def test_the_window_is_marked_if_all_have_the_same():
    same = plot.flow_over_training({1: falling(0.5, window=3), 2: falling(0.6, window=3)})
    assert [text.get_text() for text in same.texts] == ["window, k2 = 3"]
    assert not plot.flow_over_training({1: falling(0.5, window=3), 2: falling(0.6)}).texts


@pytest.mark.parametrize(
    "flows",
    [
        {5: np.zeros(4), 6: np.zeros(4)},
        {5: np.full(4, np.nan)},
        {5: np.ones(1)},
        {0: np.zeros(3), 1: np.ones(3)},
        {u: np.geomspace(1e-30, 1, 200) for u in range(500)},
    ],
)
def test_any_flows_can_be_drawn(flows):
    ax = plot.flow_over_training(flows)
    low, high = ax.collections[0].get_clim()
    assert 0 < low < high < np.inf
    assert_everything_fits(ax.figure)


@pytest.mark.parametrize(
    ("flows", "name", "error", "said"),
    [
        ({}, None, ValueError, "flows has no update"),
        ([np.ones(3)], None, TypeError, "flows must be a mapping from numbers of updates, got"),
        ({"a": np.ones(3)}, None, TypeError, "flows must be a mapping from numbers"),
        ({3: falling(0.5)}, "1.c", ValueError, r"one of 0.h, 1.h of flows\[3\], got '1.c'"),
        ({3: {"1.h": np.ones((2, 2))}}, None, ValueError, r"1.h must be \(k2,\) norms"),
    ],
)
def test_flows_that_cannot_be_drawn(flows, name, error, said):
    with pytest.raises(error, match=said):
        plot.flow_over_training(flows, name)
    assert not pyplot.get_fignums()
