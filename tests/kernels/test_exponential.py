"""exp, sigmoid and tanh over their whole range, against extended precision where there is any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptt.kernels.compile import JIT, kernel
from bptt.kernels.exponential import _EXP_RANGE, exp, sigmoid, tanh
from bptt.kernels.vector import lanes, load, store

ULPS = {"float32": 4, "float64": 4}
LIMITS = {"float32": _EXP_RANGE[32], "float64": _EXP_RANGE[64]}


@kernel
def _run(x, powers, sigmoids, tanhs):
    for i in range(0, x.size, lanes(x)):
        v = load(x, i)
        store(powers, i, exp(v))
        store(sigmoids, i, sigmoid(v))
        store(tanhs, i, tanh(v))


def run(x):
    """exp, sigmoid and tanh of the vector ``x``."""
    size = x.size
    x = np.concatenate([x, np.zeros(-size % 16, x.dtype)])
    out = [np.empty_like(x) for _ in range(3)]
    with np.errstate(all="ignore"):
        _run(x, *out)
    return [values[:size] for values in out]


def truth(x):
    """The same in long double, exp cut off where the library says it is."""
    x = x.astype(np.longdouble)
    return np.exp(x), 1 / (1 + np.exp(-x)), np.tanh(x)


def ulps(got, want):
    """Errors in units in the last place of what is wanted."""
    unit = np.spacing(np.abs(want).astype(got.dtype))
    return np.abs(got.astype(np.longdouble) - want) / unit


def samples(dtype):
    """The range in which exp is a normal number, densely near zero and all the way out."""
    low, high = LIMITS[dtype]
    rng = np.random.default_rng(0)
    n = 20_000 if JIT else 2_000
    tiny = 10.0 ** rng.uniform(-37 if dtype == "float32" else -300, 0, n)
    return np.concatenate(
        [np.linspace(low, high, n), rng.normal(size=n), tiny, -tiny, [0.0, -0.0, low, high]]
    ).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_few_units_in_the_last_place_over_the_whole_range(dtype):
    x = samples(dtype)
    _, high = LIMITS[dtype]
    for name, got, want in zip(("exp", "sigmoid", "tanh"), run(x), truth(x), strict=True):
        inside = x >= -high if name == "sigmoid" else slice(None)
        assert got.dtype == dtype
        worst = ulps(got[inside], want[inside])
        assert worst.max() <= ULPS[dtype], (name, x[inside][worst.argmax()], worst.max())


def test_float64_is_within_1e_15_relative():
    x = samples("float64")
    x = x[(x >= -708) & (np.abs(x) > 1e-290)]
    for got, want in zip(run(x), truth(x), strict=True):
        assert (np.abs(got - want) <= 1e-15 * np.abs(want)).all()


@settings(max_examples=100 if JIT else 20)
@given(x=st.floats(-700, 700))
def test_any_float64(x):
    x = np.array([x])
    for got, want in zip(run(x), truth(x), strict=True):
        assert ulps(got, want)[0] <= ULPS["float64"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out_they_saturate(dtype):
    low, high = LIMITS[dtype]
    far = np.array([high, 1e4, 3e38, np.inf], dtype)
    powers, sigmoids, tanhs = run(far)
    assert (sigmoids == 1).all()
    assert (tanhs == 1).all()
    assert np.isfinite(powers).all()
    assert (powers == powers[0]).all()
    powers, sigmoids, tanhs = run(-far)
    assert (tanhs == -1).all()
    assert ((powers > 0) & (powers <= np.exp(low + 2))).all()
    assert ((sigmoids >= 0) & (sigmoids <= np.exp(low + 2))).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_stays_nan_and_in_its_lane(dtype):
    x = np.linspace(-2, 2, 33).astype(dtype)
    clean = run(x)
    x[[3, 17]] = np.nan
    for got, want in zip(run(x), clean, strict=True):
        assert np.isnan(got[[3, 17]]).all()
        keep = np.delete(np.arange(33), [3, 17])
        assert np.array_equal(got[keep], want[keep])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_at_zero_and_beside_it(dtype):
    tiny = np.finfo(dtype).tiny
    x = np.array([0.0, -0.0, tiny, -tiny, 1e-20, -1e-20], dtype)
    powers, sigmoids, tanhs = run(x)
    assert (powers == 1).all()
    assert (sigmoids == 0.5).all()
    assert np.array_equal(tanhs, x)
    assert np.array_equal(np.signbit(tanhs), np.signbit(x))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_is_odd_and_never_beyond_one(dtype):
    x = np.abs(samples(dtype))
    up, down = run(x)[2], run(-x)[2]
    assert np.array_equal(up, -down)
    assert (up <= 1).all()
