"""Pictures are drawn without a window, and closed after each test."""

import matplotlib

matplotlib.use("Agg")

import pytest
from matplotlib import pyplot


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    pyplot.close("all")
