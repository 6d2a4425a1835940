"""The rate at which errors die out, and what a window misses of the gradient."""

import math

import numpy as np
import pytest

from bptt.decay import Decay, fit_decay

RNG = np.random.default_rng(8)


def falling(rate, lags, samples=3, units=4, seed=0):
    """Errors whose every sample falls by ``rate`` a lag, all in directions of their own."""
    first = np.random.default_rng(seed).normal(size=(samples, units))
    return rate ** np.arange(lags)[:, None, None] * first


def missed_by_hand(norms, rate, settled, window):
    """Sum of φ_k over k >= window: measured before τ, a geometric tail from τ on."""
    tail = [norms[settled] * rate ** (k - settled) for k in range(max(window, settled), 4000)]
    return sum(norms[window:settled]) + math.fsum(tail)


@pytest.mark.parametrize("settled", [None, 0, 5])
@pytest.mark.parametrize("rate", [0.03, 0.5, 0.97])
def test_a_geometric_decay_is_found(rate, settled):
    errors = falling(rate, 20)
    found = fit_decay(errors, settled)
    assert math.isclose(found.rate, rate, rel_tol=1e-8)
    assert found.settled == (10 if settled is None else settled)
    assert found.norms.shape == found.bias.shape == (20,)
    first = np.linalg.norm(errors[0], axis=1).mean()
    np.testing.assert_allclose(found.norms, first * rate ** np.arange(20), rtol=1e-12)


@pytest.mark.parametrize("settled", [None, 0, 3])
@pytest.mark.parametrize("rate", [0.3, 0.8])
def test_the_bias_is_bounded_as_in_the_paper(rate, settled):
    """With closed forms: missed rate^K / (1 - rate), found (1 - rate^K) / (1 - rate)."""
    errors = falling(rate, 30, samples=5)
    decay = fit_decay(errors, settled)
    windows = np.arange(1, 31)
    missed = decay.norms[0] * rate**windows / (1 - rate)
    size = np.linalg.norm(errors[0].mean(axis=0))
    least = np.max(size * (1 - rate**windows) / (1 - rate) - missed)
    assert least > 0
    np.testing.assert_allclose(decay.bias, missed / least, rtol=1e-7)
    for tolerance in (0.5, 0.1, 0.02):
        wanted = math.ceil(math.log(tolerance * least / missed[0]) / math.log(rate)) + 1
        assert decay.smallest_window(tolerance) == max(1, wanted)


def test_errors_that_are_not_geometric_before_they_settle():
    """φ goes up before it falls: the lags up to τ count as measured."""
    sizes = np.array([1.0, 3.0, 0.2, 2.0, 5.0, *(4.0 * 0.6 ** np.arange(10))])
    errors = sizes[:, None, None] * np.array([[[1.0, 0.0]]])
    decay = fit_decay(errors, settled=5)
    assert math.isclose(decay.rate, 0.6, rel_tol=1e-10)
    missed = np.array([missed_by_hand(sizes, 0.6, 5, window) for window in range(1, 16)])
    least = np.max(sizes.cumsum() - missed)
    np.testing.assert_allclose(decay.bias, missed / least, rtol=1e-9)
    assert (np.diff(decay.bias) < 0).all()


def test_norms_are_means_over_losses_and_gradients_norms_of_means():
    """Errors of two losses that cancel: much error, no gradient, so no bound."""
    errors = falling(0.5, 12, samples=1)
    decay = fit_decay(np.concatenate([errors, -errors], axis=1))
    np.testing.assert_allclose(decay.norms, fit_decay(errors).norms, rtol=1e-12)
    assert np.isinf(decay.bias).all()
    assert decay.smallest_window(0.99) is None


def test_a_line_through_noise_is_the_least_squares_one():
    errors = falling(0.7, 16) * np.exp(RNG.normal(scale=0.3, size=(16, 1, 1)))
    decay = fit_decay(errors)
    lags = np.arange(8)
    centred = lags - lags.mean()
    slope = (centred * np.log(decay.norms[8:])).sum() / (centred**2).sum()
    assert math.isclose(decay.rate, math.exp(slope), rel_tol=1e-12)


@pytest.mark.parametrize("rate", [1.0, 1.02, 3.0])
def test_without_decay_there_is_no_bound(rate):
    decay = fit_decay(falling(rate, 12))
    assert math.isclose(decay.rate, rate, rel_tol=1e-8)
    if decay.rate >= 1:
        assert np.isinf(decay.bias).all()
        assert decay.smallest_window(0.999) is None


@pytest.mark.parametrize("from_lag", [5, 7, 8, 9])
def test_zeros_in_the_tail_are_no_error(from_lag):
    errors = falling(0.5, 10)
    errors[from_lag:] = 0
    decay = fit_decay(errors)
    left = max(0, from_lag - 5)
    assert decay.rate == 0 if left < 2 else math.isclose(decay.rate, 0.5, rel_tol=1e-8)
    assert np.isfinite(decay.bias).all()
    if left == 0:
        assert (decay.bias[from_lag - 1 :] == 0).all()
        assert decay.smallest_window(1e-9) == from_lag


def test_errors_that_are_all_zero_give_no_bound():
    decay = fit_decay(np.zeros((6, 2, 3)))
    assert decay.rate == 0
    assert np.isinf(decay.bias).all()


@pytest.mark.parametrize("lags", [1, 2, 3])
def test_few_lags(lags):
    decay = fit_decay(falling(0.5, lags))
    assert decay.bias.shape == (lags,)
    assert not np.isnan(decay.bias).any()
    assert decay.rate == (0 if lags < 3 else pytest.approx(0.5))


def test_the_smallest_window_is_the_first_within():
    decay = Decay(np.ones(4), 0.5, 2, np.array([0.9, 0.3, 0.3, 0.1]))
    assert [decay.smallest_window(t) for t in (0.95, 0.3, 0.2, 0.1, 0.05)] == [1, 2, 4, 4, None]
