"""Mackey-Glass, against another method with far smaller steps."""

import numpy as np
import pytest

from bptt.datasets import mackey_glass

FINE = 400
"""Steps of the oracle between two samples."""


def by_heun(start, tau, samples):
    """Heun's method, whose steps fall on those of the delay: nothing is interpolated."""
    lag, h = tau * FINE, 1 / FINE
    x = [start] * (lag + 1)

    def slope(now, delayed):
        return 0.2 * delayed / (1 + delayed**10) - 0.1 * now

    for i in range((samples - 1) * FINE):
        first = slope(x[-1], x[i])
        second = slope(x[-1] + h * first, x[i + 1])
        x.append(x[-1] + h / 2 * (first + second))
    return np.array(x[lag::FINE])


@pytest.mark.parametrize(("tau", "seed"), [(17, 0), (17, 3), (30, 0), (1, 0)])
def test_it_is_the_solution_of_the_equation(tau, seed):
    x = mackey_glass(151, tau=tau, discard=0, seed=seed)
    assert x == pytest.approx(by_heun(float(x[0]), tau, 151), abs=2e-6)


def test_the_start_is_constant_and_drawn():
    starts = [mackey_glass(1, discard=0, seed=seed)[0] for seed in range(20)]
    assert len(set(starts)) == 20
    assert 1.1 <= min(starts) < max(starts) <= 1.3


def test_discarded_samples_are_those_at_the_start():
    x = mackey_glass(60, discard=0, seed=1)
    assert np.array_equal(mackey_glass(20, discard=40, seed=1), x[40:])
    assert np.array_equal(mackey_glass(5, seed=1), mackey_glass(1005, discard=0, seed=1)[-5:])


def test_the_attractor_is_where_the_docstring_says():
    x = mackey_glass(3000)
    assert x.shape == (3000,)
    assert x.dtype == np.float32
    assert 0.41 < x.min() < 0.43
    assert 1.30 < x.max() < 1.33
    assert x.mean() == pytest.approx(0.93, abs=5e-3)
    assert x.std() == pytest.approx(0.23, abs=5e-3)
    assert np.sqrt(np.mean(np.diff(x) ** 2)) / x.std() == pytest.approx(0.15, abs=0.01)


def test_the_seed_decides():
    assert np.array_equal(mackey_glass(100, seed=2), mackey_glass(100, seed=2))
    assert not np.array_equal(mackey_glass(100, seed=2), mackey_glass(100, seed=3))


@pytest.mark.parametrize(
    ("length", "options", "expected"),
    [
        (0, {}, "length must be a positive integer, got 0"),
        (9, {"tau": 16.5}, "tau must be a positive integer, got 16.5"),
        (9, {"discard": -1}, "discard must be a non-negative integer, got -1"),
        (9, {"discard": True}, "discard must be a non-negative integer, got True"),
        (9, {"seed": "1"}, "seed must be a non-negative integer of at most 64 bits, got '1'"),
    ],
)
def test_what_cannot_be_made(length, options, expected):
    with pytest.raises(ValueError, match=expected):
        mackey_glass(length, **options)
