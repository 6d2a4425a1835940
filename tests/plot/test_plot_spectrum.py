"""Eigenvalues, Lyapunov exponents and singular values are drawn as they are."""

import numpy as np
import pytest
from fitting import assert_fits
from matplotlib import pyplot

import bptt
from bptt import JacobianSpectrum, plot


def points(ax):
    """Label -> complex numbers, in order."""
    return {
        line.get_label(): np.sort_complex(line.get_xdata() + 1j * line.get_ydata())
        for line in ax.lines
        if line.get_linestyle() == "None"
    }


def test_eigenvalues_of_a_matrix_and_the_unit_circle():
    ax = plot.spectrum([[0.0, -2.0], [2.0, 0.0]])
    assert points(ax)["eigenvalues"] == pytest.approx([-2j, 2j])
    (circle,) = [line for line in ax.lines if line.get_label() == "unit circle"]
    assert np.hypot(*circle.get_data()) == pytest.approx(1)
    assert ax.get_aspect() == 1
    assert ax.get_title(loc="left") == "Eigenvalues of the matrix, spectral radius 2"
    assert ax.get_xlim() == ax.get_ylim()
    assert ax.get_xlim()[1] > 2
    assert_fits(ax.figure)


def test_a_layer_of_a_model():
    model = bptt.Model([bptt.RNN(2, 3), bptt.RNN(3, 4), bptt.Linear(4, 2)])
    ax = plot.spectrum(model)
    expected = np.sort_complex(np.linalg.eigvals(model.params["1.Wh"]))
    assert points(ax)["eigenvalues"] == pytest.approx(expected)
    assert "1.Wh, spectral radius 1" in ax.get_title(loc="left")
    assert len(points(plot.spectrum(model, layer=0))["eigenvalues"]) == 3


def test_each_gate_has_points_of_its_own():
    model = bptt.Model([bptt.LSTM(2, 5)])
    for gate, factor in enumerate((0.5, 1, 2, 3)):
        model.params["0.Wh"][:, 5 * gate : 5 * gate + 5] *= factor
    ax = plot.spectrum(model)
    found = points(ax)
    assert list(found) == ["i: radius 0.5", "f: radius 1", "g: radius 2", "o: radius 3"]
    forget = np.linalg.eigvals(model.params["0.Wh"][:, 5:10])
    assert found["f: radius 1"] == pytest.approx(np.sort_complex(forget))
    assert len({tuple(line.get_color()) for line in ax.lines if line.get_label() in found}) == 4
    assert "spectral radius 3" in ax.get_title(loc="left")
    assert_fits(ax.figure)


@pytest.mark.parametrize("matrix", [[[0.0]], np.eye(3), np.zeros((4, 4)), 1e6 * np.eye(2)])
def test_any_square_matrix_can_be_drawn(matrix):
    assert_fits(plot.spectrum(matrix).figure)


RECURRENT = bptt.Model([bptt.RNN(2, 3), bptt.Linear(3, 2)])


@pytest.mark.parametrize(
    ("what", "layer", "said"),
    [
        (np.zeros((2, 3)), None, r"a Model or a matrix \(H, H\), got ndarray of shape \(2, 3\)"),
        (np.zeros(3), None, r"got ndarray of shape \(3,\)"),
        ("Wh", None, r"got str of shape \(\)"),
        ([[np.nan]], None, "the matrix has numbers that are not finite"),
        (np.eye(2), 1, "layer is for a Model, but what is ndarray"),
        (RECURRENT, 1, "layer must be a recurrent one of the model, 0, got 1"),
        (bptt.Model([bptt.Linear(2, 2)]), None, "has no recurrent layer"),
    ],
)
def test_what_has_no_spectrum(what, layer, said):
    with pytest.raises(ValueError, match=said):
        plot.spectrum(what, layer=layer)
    assert not pyplot.get_fignums()


def spectrum_of(values, exponents):
    """The state is all h."""
    return JacobianSpectrum(values, values, exponents)


def decaying(steps, units):
    """Singular values rate^k for rates from 0.9 down to 1e-3, and their logarithms."""
    rates = np.geomspace(0.9, 1e-3, units)
    return spectrum_of(rates ** np.arange(1, steps + 1)[:, None], np.log(rates))


def test_exponents_in_order_and_the_largest_said():
    spectrum = decaying(5, 4)
    ax = plot.lyapunov(spectrum)
    zero, exponents = ax.lines
    assert list(zero.get_ydata()) == [0, 0]
    assert exponents.get_xdata().tolist() == [1, 2, 3, 4]
    assert np.array_equal(exponents.get_ydata(), spectrum.lyapunov)
    assert [text.get_text() for text in ax.texts] == ["λ₁ = -0.105"]
    assert_fits(ax.figure)


def test_singular_values_over_k_without_those_that_are_rounding():
    spectrum = decaying(30, 5)
    beside = plot.lyapunov(spectrum).figure.axes[-1]
    assert beside.get_yscale() == "log"
    lines = {line.get_label(): line.get_data() for line in beside.lines}
    assert list(lines) == ["largest", "median", "smallest"]
    k = np.arange(1, 31)
    for name, column in (("largest", 0), ("median", 2), ("smallest", 4)):
        x, y = lines[name]
        seen = ~np.isnan(y)
        assert np.array_equal(x, k)
        assert np.array_equal(y[seen], spectrum.singular_values[seen, column])
        hidden = spectrum.singular_values[~seen]
        assert (hidden[:, column] < 1e-14 * hidden[:, 0]).all()
    assert np.isnan(lines["smallest"][1]).sum() == 25


def test_singular_values_beyond_float64_are_left_out():
    values = np.array([[2.0, 1.0], [1e149, 1e140], [1e157, 1e156], [np.inf, 3.0], [1e-155, 0]])
    beside = plot.lyapunov(spectrum_of(values, np.array([0.7, 0.1]))).figure.axes[-1]
    for line, wanted in zip(beside.lines, ([2, 1e149], [1, 1e140]), strict=True):
        assert np.array_equal(line.get_ydata(), [*wanted, *[np.nan] * 3], equal_nan=True)
    assert_fits(beside.figure)
    far = np.geomspace(1e-149, 1e149, 60)[:, np.newaxis] * [1, 1e-12]
    assert_fits(plot.lyapunov(spectrum_of(far, np.array([0.7, 0.1]))).figure)


def test_a_spectrum_of_a_model():
    model = bptt.Model([bptt.LSTM(2, 4)])
    x = np.random.default_rng(0).normal(size=(20, 1, 2)).astype(np.float32)
    ax = plot.lyapunov(bptt.jacobian_spectrum(model, x))
    assert len(ax.lines[1].get_ydata()) == 8
    assert_fits(ax.figure)


@pytest.mark.parametrize(("steps", "units"), [(1, 1), (1, 2), (3, 1), (300, 3)])
def test_one_step_or_one_unit(steps, units):
    ax = plot.lyapunov(decaying(steps, units))
    assert len(ax.figure.axes[-1].lines) == min(units, 3)
    assert_fits(ax.figure)


def test_exponents_of_minus_infinity_are_counted():
    values = np.array([[0.5, 0.0, 0.0]])
    ax = plot.lyapunov(spectrum_of(values, np.array([np.log(0.5), -np.inf, -np.inf])))
    assert "2 of 3 are -∞" in [text.get_text() for text in ax.texts]
    labels = [line.get_label() for line in ax.figure.axes[-1].lines]
    assert labels == ["largest", "median (all zero)", "smallest (all zero)"]
    assert_fits(ax.figure)
    assert_fits(plot.lyapunov(spectrum_of(values * 0, np.full(3, -np.inf))).figure)


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_lyapunov_stays_in_the_place_of_its_axes(layout):
    figure, axes = pyplot.subplots(2, 1, figsize=(9, 7), layout=layout)
    assert plot.lyapunov(decaying(5, 4), axes[1]) is axes[1]
    assert_fits(figure)
    left, right = axes[1].get_position(), figure.axes[-1].get_position()
    assert left.x1 < right.x0
    assert left.y0 == pytest.approx(right.y0)


def test_something_that_is_no_jacobian_spectrum():
    with pytest.raises(TypeError, match="must be what jacobian_spectrum returned, got ndarray"):
        plot.lyapunov(np.eye(2))
    assert not pyplot.get_fignums()
