"""Rows times a matrix as it lies, against NumPy."""

import numpy as np
import pytest
from helpers import few
from hypothesis import given, settings
from hypothesis import strategies as st

from bptt.kernels.compile import JIT, kernel
from bptt.kernels.step import add_products, put_rows

REL = {"float32": 2e-6, "float64": 1e-14}


@kernel
def add(m, x, x_first, x_row, w, column, n, z, z_first, z_row):
    add_products(m, (x, x_first, x_row), w, column, n, (z, z_first, z_row))


@kernel
def put(row, m, z, first):
    put_rows(row, m, z, first)


def check(seed, m, k, left, n, right, dtype):
    """Of w, ``left`` and ``right`` columns are not read; nor what lies beside the rows of x and z,
    and the latter are not written."""
    rng = np.random.default_rng(seed)
    draw = {name: rng.normal(size=size).astype(dtype) for name, size in
            {"w": (k, left + n + right), "x": (m, k + 2), "z": (m, n + 3)}.items()}  # fmt: skip
    w, x, z = draw["w"], draw["x"], draw["z"]
    w[:, :left] = w[:, left + n :] = np.nan
    x[:, k:], z[:, n:] = np.nan, 7
    before, flat = z.copy(), np.full(5 + z.size, 9, dtype)
    flat[5:] = z.reshape(-1)
    add(m, x, 0, k + 2, w, left, n, flat, 5, n + 3)
    got, own = flat[5:].reshape(m, n + 3), w[:, left : left + n].astype(float)
    wanted = before[:, :n] + x[:, :k].astype(float) @ own
    terms = np.abs(before[:, :n]) + np.abs(x[:, :k].astype(float)) @ np.abs(own)
    assert (np.abs(got[:, :n] - wanted) <= REL[dtype] * terms).all()
    assert (got[:, n:] == 7).all()
    assert (flat[:5] == 9).all()
    for r in range(m):
        alone = before[r].copy()
        add(1, x, r * (k + 2), k + 2, w, left, n, alone, 0, n + 3)
        assert not JIT or np.array_equal(alone, got[r])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 2, 3, 5, 6, 7, 8, 13])
@pytest.mark.parametrize("n", [1, 8, 15, 16, 33, 64, 80, 129])
def test_all_heights_and_widths(m, n, dtype):
    check(m + n, m, 5, 3, n, 2, dtype)


@settings(max_examples=few(60), deadline=None)
@given(
    st.integers(0, 999), st.integers(1, 20), st.integers(1, 20), st.integers(0, 20),
    st.integers(1, 150), st.integers(0, 20), st.sampled_from(["float32", "float64"]),
)  # fmt: skip
def test_any_sizes(seed, m, k, left, n, right, dtype):
    check(seed, m, k, left, n, right, dtype)


def test_rows_are_put_one_after_the_other():
    row, z = np.arange(5, dtype=np.float32), np.full(20, 9, np.float32)
    put(row, 3, z, 2)
    assert np.array_equal(z, [9, 9, *np.tile(row, 3), 9, 9, 9])
