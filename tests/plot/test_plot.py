"""What holds for every picture of training and of the gradient's flow."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib import pyplot

from bptt import GradientFlow, plot
from bptt.history import History

FLOW = GradientFlow({"0.h": np.ones((3, 3))})


def a_history():
    history = History()
    for update in range(1, 4):
        history.record_update(update, 1.0, 1.0, 0.1)
    return history


DRAW = {
    "training": lambda **where: plot.training(a_history(), **where),
    "gradient_flow": lambda **where: plot.gradient_flow(FLOW, **where),
    "gradient_map": lambda **where: plot.gradient_map(FLOW, **where),
    "flow_over_training": lambda **where: plot.flow_over_training({1: FLOW}, **where),
}
every_picture = pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, bptt.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@every_picture
def test_without_matplotlib_the_error_says_what_to_do(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        draw()


@every_picture
def test_nothing_is_shown(draw, monkeypatch):
    monkeypatch.setattr(pyplot, "show", lambda *_: pytest.fail("show() was called"))
    draw()


@every_picture
def test_it_is_drawn_on_the_axes_given(draw):
    figure, ax = pyplot.subplots()
    assert draw(ax=ax) is ax
    assert pyplot.get_fignums() == [figure.number]
