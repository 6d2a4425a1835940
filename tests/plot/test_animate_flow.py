"""The film of one loss."""

import sys

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from bptt import GradientFlow, plot
from bptt.plot import animation


def falling(steps=6, rate=0.5, window=None):
    lag, t = np.arange(steps), np.arange(steps)[:, None]
    norms = np.where(lag <= t, (t + 1) * rate ** lag.astype(float), np.nan)
    return GradientFlow({"0.h": norms, "1.h": norms, "1.c": norms}, window)


def film(flow, **options):
    """Title, bars behind, bar in front and whether it is the last, of each frame; and the Axes."""
    t, norms = animation._of_loss(flow.norms["1.h"], options.get("t"))
    _, ax = pyplot.subplots()
    found = []
    frames = animation._film(ax, t, norms, "1.h", flow.window)
    next(frames)
    for last in frames:
        behind, front = (patch.get_data() for patch in ax.patches[:2])
        found.append((ax.get_title("left"), behind, front, last))
    return found, ax


def test_every_lag_is_a_frame_of_the_file(tmp_path):
    path = plot.animate_flow(falling(), tmp_path / "flow.gif", fps=20)
    assert path == tmp_path / "flow.gif"
    with Image.open(path) as gif:
        assert gif.n_frames == 6
        assert gif.info["duration"] == 50
    assert not pyplot.get_fignums()


def test_the_error_goes_back_step_by_step():
    frames, ax = film(falling(4))
    shares = np.cumsum([8, 4, 2, 1]) / 15
    for k, (title, behind, front, last) in enumerate(frames):
        assert title.endswith(f"layer 1 h: lag {k}, {shares[k]:.1%} of the summed flow")
        newest_last = np.array([0.5, 1.0, 2.0, 4.0])
        reached = 3 - np.arange(4)
        hidden = np.where(reached < k, newest_last, np.nan)
        assert np.array_equal(behind.values, hidden, equal_nan=True)
        now = np.where(reached == k, newest_last, np.nan)
        assert np.array_equal(front.values, now, equal_nan=True)
        assert front.edges.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5]
        assert last == (k == 3)
    assert len(frames) == 4
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "step t - k; the loss is that of step t = 3"


def test_an_earlier_loss_and_its_window():
    frames, ax = film(falling(6, window=2), t=3)
    assert frames[0][2].edges.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5]
    assert [line.get_xdata()[0] for line in ax.lines] == [1.5]


def test_long_flows_are_cut_short_and_thinned():
    frames, _ = film(falling(1000, 0.9))
    assert len(frames) == 100
    assert frames[-1][3]
    assert len(frames[-1][2].values) < 200


@pytest.mark.parametrize("rate", [0.0, 1e3, 1.0])
def test_any_flow_can_be_drawn(rate, tmp_path):
    assert plot.animate_flow(falling(3, rate, window=1), tmp_path / "f.gif").exists()


def test_flows_that_cannot_be_drawn(tmp_path):
    path = tmp_path / "flow.gif"
    norms = falling(6).norms["1.h"]
    norms[:4] = np.nan
    for t in (3, 6, -1, 4.5):
        with pytest.raises(ValueError, match=f"t must be a step with a loss, 4 to 5, got {t}"):
            plot.animate_flow(GradientFlow({"1.h": norms}), path, t=t)
    with pytest.raises(ValueError, match="flow has no loss"):
        plot.animate_flow(GradientFlow({"1.h": norms[:4]}), path)
    with pytest.raises(ValueError, match=r"path must end in .gif, got 'flow.mp4'"):
        plot.animate_flow(falling(), "flow.mp4")
    with pytest.raises(ValueError, match="fps must be positive, got 0"):
        plot.animate_flow(falling(), path, fps=0)
    with pytest.raises(ValueError, match="name must be one of"):
        plot.animate_flow(falling(), path, "2.h")
    with pytest.raises(TypeError, match="must be a GradientFlow, got ndarray"):
        plot.animate_flow(norms, path)
    assert not path.exists()
    assert not pyplot.get_fignums()


def test_without_pillow_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        plot.animate_flow(falling(), tmp_path / "flow.gif")
    assert not pyplot.get_fignums()
