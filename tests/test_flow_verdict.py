"""What is read from the map: closed forms of linear networks, and small maps by hand."""

import math

import numpy as np
import pytest
from helpers import a_model, an_input

from bptt import GRU, LSTM, RNN, GradientFlow, Linear, Model, SquaredError, gradient_flow
from bptt.datasets import adding_sum


def an_orthogonal(n, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


def linear_flow(wh, steps, *, unit_errors=True, **options):
    """Of h_t = x_t Wx + h_{t-1} Wh, each loss having an error of norm 2 / H at its own step."""
    n = len(wh)
    model = a_model([RNN(2, n, "identity")])
    model.params["0.Wh"] = wh
    x = an_input(model, steps, 1)
    ways = np.ones((steps, 1, n)) / math.sqrt(n) if unit_errors else np.ones((steps, 1, n))
    targets = model(x)[0] - ways
    return gradient_flow(model, SquaredError(), x, targets, **options)


def test_a_lag_at_which_all_is_padding_is_passed_over():
    norms = np.where(np.arange(9) == 3, np.nan, 0.5 ** np.arange(9))
    flow = GradientFlow({"0.h": np.stack([norms, np.full(9, np.nan)])})
    assert flow.reach("0.h") == 7  # of 1.87, without 1 / 8
    assert flow.half_life("0.h") == 1
    assert GradientFlow({"0.h": norms[None, 2:4] / [1, 9]}).half_life("0.h") == math.inf
    assert math.isclose(flow.rate("0.h"), 0.5)
    assert flow.verdict("0.h") == ("99 % of the gradient of layer 0 comes from the last 7 steps.")


@pytest.mark.parametrize("rate", [0.5, 0.9, 1.0, 1.1])
def test_an_orthogonal_network_has_exactly_its_rate(rate):
    flow = linear_flow(rate * an_orthogonal(5), 30)
    lag = np.arange(30)
    reached = np.tril(np.ones((30, 30), bool))
    wanted = np.where(reached, 2 / 5 * rate**lag, np.nan)
    np.testing.assert_allclose(flow.norms["0.h"], wanted, rtol=1e-9)
    np.testing.assert_allclose(flow.curve("0.h"), 2 / 5 * rate**lag, rtol=1e-9)
    assert math.isclose(flow.rate("0.h"), rate, rel_tol=1e-8)


def test_a_diagonal_network_is_a_sum_of_powers():
    diagonal, lag = np.array([0.9, 0.5, -0.7]), np.arange(12)
    flow = linear_flow(np.diag(diagonal), 12, unit_errors=False)
    powers = diagonal ** lag[:, np.newaxis]
    np.testing.assert_allclose(
        flow.norms["0.h"][11], 2 / 3 * np.linalg.norm(powers, axis=1), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("rate", "half_life", "reach", "said"),
    [
        (0.1, 1, 2, "The gradient of layer 0 vanishes: 99 % of it comes from the last 2 steps."),
        (0.5, 1, 7, "99 % of the gradient of layer 0 comes from the last 7 steps."),
        (0.8, 4, 21, "99 % of the gradient of layer 0 comes from the last 21 steps."),
        (1.0, math.inf, 60, "The gradient of layer 0 does not die out within the 60 steps seen."),
        (1.1, math.inf, None, "The gradient of layer 0 explodes: it grows by 10.00% a step."),
    ],
)
def test_what_becomes_of_the_gradient(rate, half_life, reach, said):
    flow = linear_flow(rate * an_orthogonal(4), 60)
    if rate <= 1:
        assert flow.half_life("0.h") == half_life
        assert flow.reach("0.h") == reach
    assert flow.verdict("0.h") == str(flow).partition("\n")[0] == said


@pytest.mark.parametrize("window", [None, 60])
def test_what_reaches_less_far_than_was_looked_is_told_how_to(window):
    hint = (
        "\nTo learn from further back: an LSTM or GRU with chrono=60 begins with memories of up to "
        "60 steps."
    )
    for rate, told in ((0.1, True), (0.8, True), (0.97, False), (1.0, False), (1.1, False)):
        flow = linear_flow(rate * an_orthogonal(4), 60, window=window)
        assert str(flow) == flow.verdict("0.h") + hint * told
        further = GradientFlow({**flow.norms, "0.c": np.ones((1, 60))}, window)
        assert hint not in str(further)
    assert "chrono" not in str(GradientFlow({"0.h": np.full((2, 60), NAN)}))
    assert str(GradientFlow({})) == ""


@pytest.mark.parametrize("cell", [LSTM, GRU])
def test_chrono_is_what_it_says(cell):
    x, targets = adding_sum(100, 20, seed=1)
    for options, told in (({}, True), ({"chrono": 100}, False)):
        model = Model([cell(2, 8, **options), Linear(8, 1)])
        flow = gradient_flow(model, SquaredError(), x, targets[np.newaxis])
        assert ("chrono=100 begins" in str(flow)) == told


def test_whether_a_window_is_long_enough():
    wh = 0.8 * an_orthogonal(4)
    tail = "99 % of the gradient of layer 0 comes from the last 21 steps; a window of"
    for window in (21, 30):
        flow = linear_flow(wh, 60, window=window)
        assert flow.verdict("0.h") == f"{tail} {window} is long enough."
    cut = linear_flow(wh, 60, window=10)
    held = (1 - 0.8**10) / (1 - 0.8**60)
    assert math.isclose(cut.held_by("0.h", 10), held, rel_tol=1e-9)
    assert cut.verdict("0.h") == f"{tail} 10 cuts it off: it holds 89.3%."
    assert linear_flow(wh, 60, window=20).verdict("0.h").startswith(f"{tail} 20 cuts it off")


def test_the_cell_of_an_lstm_forgets_at_the_rate_of_its_gate():
    """Without Wh nothing comes back but through the cell, which the forget gate multiplies."""
    model, kept = a_model([LSTM(2, 5)]), 0.75
    model.params["0.Wh"][...] = 0
    model.params["0.Wx"][:, 5:10] = 0
    model.params["0.b"][5:10] = math.log(kept / (1 - kept))
    x = an_input(model, 40, 3)
    flow = gradient_flow(model, SquaredError(), x, np.ones((1, 3, 5)), window=5)
    cell = flow.norms["0.c"][-1]
    assert cell[0] == 0
    np.testing.assert_allclose(cell[1:], cell[1] * kept ** np.arange(39), rtol=1e-9)
    assert math.isclose(flow.rate("0.c"), kept, rel_tol=1e-8)
    assert flow.reach("0.h") == 1
    assert flow.reach("0.c") == 1 + math.ceil(math.log(0.01) / math.log(kept))
    assert flow.half_life("0.c") == 3
    assert flow.verdict("0.c").startswith(
        "99 % of the gradient of layer 0 by c comes from the last 18 steps; a window of 5 cuts"
    )


NAN = math.nan
BY_HAND = GradientFlow(
    {
        "0.h": np.array([[4, NAN, NAN, NAN], [2, 8, NAN, NAN], [NAN] * 4, [6, 4, 3, NAN]]),
        "1.h": np.array([[[1, NAN], [5, NAN]], [[3, 4], [1, 2]]]),
    }
)


def test_the_curve_and_quantiles_by_hand():
    assert np.array_equal(BY_HAND.curve("0.h"), [4, 6, 3, NAN], equal_nan=True)
    assert np.array_equal(
        BY_HAND.quantiles("0.h", [0, 0.5, 0.75, 1]),
        [[2, 4, 3, NAN], [4, 6, 3, NAN], [5, 7, 3, NAN], [6, 8, 3, NAN]],
        equal_nan=True,
    )
    assert BY_HAND.quantiles("0.h").shape == (3, 4)
    assert BY_HAND.quantiles("0.h", 0.5)[0, 1] == 6


def test_lanes_are_losses_of_their_own():
    assert np.allclose(BY_HAND.curve("1.h"), [8 / 3, 8 / 3])
    assert np.array_equal(BY_HAND.quantiles("1.h", [0.5]), [[3, 2]])


def test_reach_and_share_by_hand():
    assert np.allclose([BY_HAND.held_by("0.h", w) for w in (1, 2, 3, 4, 9)],
                       [4 / 13, 10 / 13, 1, 1, 1])  # fmt: skip
    reached = [BY_HAND.reach("0.h", s) for s in (0.3, 4 / 13, 0.31, 10 / 13, 0.78, 1)]
    assert reached == [1, 1, 2, 2, 3, 3]
    for share in (0, -0.1, 1.1, NAN):
        with pytest.raises(ValueError, match=r"share must be in \(0, 1\]"):
            BY_HAND.reach("0.h", share)


@pytest.mark.parametrize(
    ("curve", "half_life"),
    [
        ([8, 5, 4, 1], 2),
        ([8, 5, 4.01, 1], 3),
        ([1, 8, 6, 5, 4], 3),
        ([1, 8, 6, 5, 4.5], math.inf),
        ([1, 2, 4], math.inf),
        ([8, 0, 8], 1),
    ],
)
def test_half_life_counts_from_the_peak(curve, half_life):
    flow = GradientFlow({"0.h": np.array([curve], float)})
    assert flow.half_life("0.h") == half_life


def test_the_rate_is_that_of_the_later_half():
    curve = [100, 1, 7, 8, 4, 2, 1, 0.5]
    assert math.isclose(GradientFlow({"0.h": np.array([curve])}).rate("0.h"), 0.5)
    lost = GradientFlow({"0.h": np.array([[*curve, NAN, NAN]])})
    assert math.isclose(lost.rate("0.h"), 0.5)
    assert GradientFlow({"0.h": np.array([[1.0, 0, 0, 0]])}).rate("0.h") == 0
