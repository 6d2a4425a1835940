"""Learning rates over updates and epochs."""

import math

import pytest

from bptt import Exponential


def test_it_holds_and_then_falls_by_a_factor_an_epoch():
    schedule = Exponential(2e-3, 0.97, after=10)
    assert [schedule.rate(0, epoch) for epoch in (0, 5, 10)] == [2e-3] * 3
    assert schedule.rate(123, 11) == 2e-3 * 0.97
    assert math.isclose(schedule.rate(0, 15), 2e-3 * 0.97**5)


def test_it_falls_from_the_beginning_unless_told_to_wait():
    assert Exponential(1.0, 0.5).rate(7, 3) == 0.125


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0, 0.9), "initial must be a positive number, got 0"),
        ((1e-3, -0.9), "factor must be a positive number, got -0.9"),
        ((1e-3, 0.9, -1), "after must be at least 0, got -1"),
    ],
)
def test_numbers_that_cannot_be(arguments, said):
    with pytest.raises(ValueError, match=said):
        Exponential(*arguments)
