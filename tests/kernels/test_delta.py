"""δ of one step: added up, measured and bounded, at any size that float32 can hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bptt.kernels.crew import whole_part
from bptt.kernels.delta import gather
from bptt.kernels.target import lanes_of, padded
from bptt.layers.tape import Span

RNG = np.random.default_rng(2)


def lanes_of_size(size, dtype, units=11, lanes=3):
    """(B, Hp), zero in the padding, each lane of the given norm."""
    delta = np.zeros((lanes, padded(units, dtype)), dtype)
    rows = RNG.normal(size=(lanes, units))
    delta[:, :units] = rows / np.linalg.norm(rows, axis=1, keepdims=True) * size
    return delta


def norms_of(delta):
    rows = delta.astype(np.longdouble)
    return np.sqrt((rows**2).sum(axis=1)).astype(float)


def whole(delta):
    return whole_part(delta.shape[1] // lanes_of(delta.dtype))


def bound_all(delta, limit):
    norms, back = np.full((1, 2, len(delta)), -1.0), np.ones((2, len(delta)), delta.dtype)
    with np.errstate(over="ignore"):
        gather(delta, back, delta[None], 1, Span(0, 2, 2, limit), norms, whole(delta))
    assert (norms[0, 0] == -1).all()
    return norms[0, 1]


@pytest.mark.parametrize("size", [1e-44, 1e-38, 1e-30, 1e-13, 1e-12, 1.0, 1e14, 1e16, 1e25, 1e37])
def test_norms_of_float32_from_the_smallest_to_the_largest(size):
    delta = lanes_of_size(size, "float32")
    wanted, before = norms_of(delta), delta.copy()
    np.testing.assert_allclose(bound_all(delta, np.inf), wanted, rtol=1e-6)
    assert np.array_equal(delta, before)


@pytest.mark.parametrize("size", [1e-305, 1e-170, 1e-150, 1e-30, 1.0, 1e25, 1e150, 1e160, 1e307])
def test_norms_of_float64(size):
    delta = lanes_of_size(size, "float64")
    np.testing.assert_allclose(bound_all(delta, np.inf), norms_of(delta), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e25])
@pytest.mark.parametrize("fraction", [0.5, 1e-3])
def test_what_is_above_the_limit_is_scaled_to_it(dtype, size, fraction):
    delta = lanes_of_size(size, dtype)
    before = delta.astype(float)
    norms = bound_all(delta, size * fraction)
    np.testing.assert_allclose(norms, size, rtol=1e-5)
    np.testing.assert_allclose(delta, before * fraction, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("dtype", "size", "limit"),
    [("float64", 1e-170, 1e-180), ("float64", 1e200, 1e-200), ("float64", 1e307, 1.0),
     ("float32", 1e38, 1e-4), ("float32", 1e30, 1e-15), ("float32", 1e-20, 1e-30)],
)  # fmt: skip
def test_a_bound_far_from_what_is_bounded(dtype, size, limit):
    delta = lanes_of_size(size, dtype)
    wanted = delta.astype(np.longdouble) * (limit / np.longdouble(size))
    bound_all(delta, limit)
    np.testing.assert_allclose(delta, wanted.astype(float), rtol=1e-5)


def test_a_norm_beyond_float64_is_noticed_and_not_scaled_to_zero():
    delta = np.full((1, padded(11, "float64")), 1.7e308)
    assert np.isinf(bound_all(delta, 1.0)).all()
    assert np.isnan(delta).all()


def test_lanes_are_bounded_one_by_one():
    delta = np.concatenate([lanes_of_size(size, "float64", lanes=1) for size in (0.5, 2.0, 8.0)])
    norms = bound_all(delta, 2.5)
    np.testing.assert_allclose(norms, [0.5, 2.0, 8.0], rtol=1e-14)
    np.testing.assert_allclose(norms_of(delta), [0.5, 2.0, 2.5], rtol=1e-14)


@given(scale=st.integers(-36, 36), fraction=st.floats(0.01, 0.99))
def test_any_scale(scale, fraction):
    delta = lanes_of_size(10.0**scale, "float32")
    before = delta.astype(float)
    bound_all(delta, 10.0**scale * fraction)
    np.testing.assert_allclose(delta, before * fraction, rtol=1e-5, atol=1e-44)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("limit", [0.1, np.inf])
def test_what_is_not_finite_stays_so(dtype, limit):
    delta = lanes_of_size(1.0, dtype)
    delta[0, 2], delta[1, 3] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        norms = bound_all(delta, limit)
    assert not np.isfinite(delta[0]).all()
    assert not np.isfinite(delta[1]).all()
    assert np.isfinite(delta[2]).all()
    assert np.isfinite(norms).tolist() == [False, False, True]


def test_a_lane_of_nan_and_zeros_has_no_norm_of_zero():
    delta = np.zeros((1, padded(5, "float64")))
    delta[0, 0] = np.nan
    assert np.isnan(bound_all(delta, np.inf))


def test_zero_is_not_scaled():
    delta = lanes_of_size(0.0, "float32")
    assert not bound_all(delta, 0.1).any()
    assert not delta.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("errors_from", [1, 2])
def test_gather_adds_measures_and_bounds(errors_from, dtype):
    delta = lanes_of_size(1.0, dtype)
    dy = np.stack([lanes_of_size(size, dtype) for size in (5.0, 2.0, 7.0)])
    back = np.full((3, 3), np.nan, dtype)
    back[1] = 1.0, 2.0, 0.5
    wanted = delta.astype(float) * back[1][:, None] + (dy[1] if errors_from == 1 else 0)
    norms = np.zeros((1, 3, 3))
    gather(delta, back, dy, 1, Span(0, 3, errors_from, clip_delta=1.8), norms, whole(delta))
    np.testing.assert_allclose(norms[0, 1], norms_of(wanted), rtol=1e-6)
    assert not norms[0, [0, 2]].any()
    factor = np.minimum(1, 1.8 / norms_of(wanted))[:, None]
    np.testing.assert_allclose(delta, wanted * factor, rtol=1e-5, atol=1e-7)
