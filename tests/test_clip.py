"""Clipping: what the optimizer is told to do with a gradient of a given norm."""

import math

import numpy as np
import pytest

from bptt import ClipNorm, ClipValue
from bptt.clip import Clipping


def test_a_norm_above_the_bound_is_scaled_to_it():
    assert ClipNorm(5.0).clipping(20.0) == Clipping(0.25, math.inf)
    assert ClipNorm(5).clipping(1e300) == Clipping(5 / 1e300, math.inf)


@pytest.mark.parametrize("norm", [0.0, 1e-30, 4.999, 5.0])
def test_a_norm_within_the_bound_is_left_alone(norm):
    assert ClipNorm(5.0).clipping(norm) == Clipping(1.0, math.inf)


@pytest.mark.parametrize("norm", [0.0, 1.0, 1e30])
def test_a_value_is_cut_off_whatever_the_norm(norm):
    assert ClipValue(0.5).clipping(norm) == Clipping(1.0, 0.5)


@pytest.mark.parametrize("bound", [0, -1.0, math.nan, True, None, "5", np.ones(2)])
@pytest.mark.parametrize(("clip", "name"), [(ClipNorm, "norm"), (ClipValue, "value")])
def test_bounds_are_positive_numbers(clip, name, bound):
    with pytest.raises(ValueError, match=f"{name} must be a positive number, got"):
        clip(bound)
