"""Sine mixtures: what is left after fitting the sines that should be in them."""

import math

import numpy as np
import pytest

from bptt.datasets import sine_mixture


def fitted(x, periods):
    """The amplitude of the sine of each period, and what the sines leave, by least squares."""
    columns = []
    for period in periods:
        angle = [2 * math.pi * t / period for t in range(len(x))]
        columns += [np.sin(angle), np.cos(angle)]
    basis = np.stack(columns, axis=1)
    weights = np.linalg.lstsq(basis, x.astype(np.float64), rcond=None)[0]
    return np.hypot(weights[::2], weights[1::2]), x - basis @ weights


def test_the_sines_are_those_that_were_asked_for():
    x = sine_mixture(500, [12, 31.5, 90], amplitudes=[1, 0.5, 2])
    amplitudes, rest = fitted(x, [12, 31.5, 90])
    assert x.shape == (500,)
    assert x.dtype == np.float32
    assert amplitudes == pytest.approx([1, 0.5, 2], abs=1e-6)
    assert abs(rest).max() < 1e-6


def test_amplitudes_are_one_unless_given_and_phases_differ():
    assert fitted(sine_mixture(300, (10, 25)), (10, 25))[0] == pytest.approx([1, 1], abs=1e-6)
    starts = [sine_mixture(1, [10], seed=seed)[0] for seed in range(30)]
    assert min(starts) < -0.5
    assert max(starts) > 0.5


def test_noise_is_added_to_the_same_sines():
    clean, noisy = (sine_mixture(5000, [20, 33], noise=noise, seed=3) for noise in (0, 0.3))
    rest = noisy - clean
    assert rest.std() == pytest.approx(0.3, rel=0.05)
    assert abs(np.mean(rest[1:] * rest[:-1])) < 0.01
    assert noisy.var() == pytest.approx(1 + 0.3**2, rel=0.05)


def test_an_autoregression_of_order_two_per_sine_is_exact():
    x = sine_mixture(200, [11, 37]).astype(np.float64)
    past = np.stack([x[lag : len(x) - 4 + lag] for lag in range(4)], axis=1)
    weights = np.linalg.lstsq(past, x[4:], rcond=None)[0]
    assert past @ weights == pytest.approx(x[4:], abs=1e-5)


def test_the_seed_decides():
    first, again, other = (sine_mixture(50, [9], noise=1, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        ((0, [9]), {}, "length must be a positive integer, got 0"),
        ((9, []), {}, r"periods must be one or more finite numbers, got \[\]"),
        ((9, 5.0), {}, "periods must be one or more finite numbers, got 5.0"),
        ((9, [5, math.nan]), {}, r"periods must be one or more finite numbers, got \[5, nan\]"),
        ((9, [5, 0]), {}, "periods must be positive, got 0.0"),
        ((9, [5, 6]), {"amplitudes": [1]}, "got 1 amplitudes for 2 periods"),
        ((9, [5]), {"amplitudes": ["1"]}, "amplitudes must be one or more finite numbers"),
        ((9, [5]), {"noise": -0.1}, "noise must be a finite number from 0 on, got -0.1"),
        ((9, [5]), {"noise": math.inf}, "noise must be a finite number from 0 on, got inf"),
        ((9, [5]), {"seed": -1}, "seed must be a non-negative integer of at most 64 bits, got -1"),
    ],
)
def test_what_cannot_be_made(arguments, options, expected):
    with pytest.raises(ValueError, match=expected):
        sine_mixture(*arguments, **options)
