"""Packed products and weight gradients, through `PackedWeights`, against NumPy."""

import numpy as np
import pytest
from helpers import few
from hypothesis import given, settings
from hypothesis import strategies as st

from bptt.kernels.calls import perform
from bptt.kernels.compile import kernel
from bptt.kernels.product import product, whole_rows, whole_start, zero_start
from bptt.kernels.target import lanes_of, padded
from bptt.layers.lookup import Lookup
from bptt.layers.weights import PackedWeights, Scratch

REL = {"float32": 2e-6, "float64": 1e-14}
GATES = [1, 2, 3, 4]
DTYPES = ["float32", "float64"]


def interleaved(rows, gates, dtype):
    """(..., G·N) as (..., G·Np): gate 0, 1, .. of the units of the first vector, and so on."""
    units, lanes = rows.shape[-1] // gates, lanes_of(dtype)
    out = np.zeros((*rows.shape[:-1], gates * padded(units, dtype)), dtype)
    for gate in range(gates):
        for unit in range(units):
            vector, lane = divmod(unit, lanes)
            out[..., (vector * gates + gate) * lanes + lane] = rows[..., gate * units + unit]
    return out


def wide(rows, width):
    """``rows`` with columns behind them that nobody may read."""
    out = np.full((*rows.shape[:-1], width), np.nan, rows.dtype)
    out[..., : rows.shape[-1]] = rows
    return out


def assert_near(got, want, dtype, terms):
    """``terms``: sum of the absolute values of what was added up."""
    assert (np.abs(got - want) <= REL[dtype] * terms + 1e-30).all()


def check_products(seed, sizes, gates, dtype, window):
    """Forward and back of ``window`` (first, last) of the steps; the others are not touched."""
    steps, lanes, n_in, units = sizes
    first, last = window
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(n_in, gates * units)).astype(dtype)
    b = rng.normal(size=gates * units).astype(dtype)
    x = rng.normal(size=(steps, lanes, n_in)).astype(dtype)
    g = rng.normal(size=(steps, lanes, gates * units)).astype(dtype)
    packed = PackedWeights(n_in, units, gates, dtype)
    perform(packed.packing(w, b))
    perform(packed.packing_transposed(w))
    columns = gates * padded(units, dtype)
    y = np.full((steps, lanes, columns), 99, dtype)
    perform(packed.products(wide(x, n_in + 3), first, last, y))
    x64, w64, g64 = x.astype(float), w.astype(float), g.astype(float)
    here = slice(first, last)
    terms = interleaved(np.abs(x64) @ np.abs(w64) + np.abs(b), gates, dtype)
    assert_near(y[here], interleaved(x64 @ w64 + b, gates, dtype)[here], dtype, terms[here])
    dx = np.full((steps, lanes, padded(n_in, dtype)), 99, dtype)
    packed.error_products(interleaved(g, gates, dtype), first, last, dx)()
    terms = (np.abs(g64) @ np.abs(w64.T))[here]
    assert_near(dx[here, :, :n_in], (g64 @ w64.T)[here], dtype, terms)
    assert not dx[here, :, n_in:].any()
    for step in range(steps):
        one = np.full((lanes, padded(n_in, dtype)), 99, dtype)
        packed.back_step(interleaved(g, gates, dtype), step, one)
        terms = np.abs(g64[step]) @ np.abs(w64.T)
        assert_near(one[:, :n_in], g64[step] @ w64.T, dtype, terms)
        assert not one[:, n_in:].any()
    for rows in (y, dx):
        assert (rows[:first] == 99).all()
        assert (rows[last:] == 99).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize("sizes", [(3, 2, 5, 7), (2, 7, 1, 1), (4, 1, 17, 33), (2, 5, 3, 70)])
def test_products(sizes, gates, dtype):
    check_products(0, sizes, gates, dtype, (1, sizes[0]))


@settings(max_examples=few(60))
@given(
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 40), st.integers(1, 70)),
    gates=st.sampled_from(GATES),
    dtype=st.sampled_from(DTYPES),
    data=st.data(),
)
def test_products_of_any_size(sizes, gates, dtype, data):
    first = data.draw(st.integers(0, sizes[0] - 1))
    last = data.draw(st.integers(first, sizes[0]))
    check_products(1, sizes, gates, dtype, (first, last))


@kernel
def _from_zero(m, rows_a, packed, zero, c, turn):
    product(m, rows_a, packed, zero_start(zero), whole_rows(c), turn)


@kernel
def _from_rows(m, rows_a, packed, start, c, turn):
    product(m, rows_a, packed, whole_start(start), whole_rows(c), turn)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lanes", [1, 2, 7])
@pytest.mark.parametrize("sizes", [(5, 19), (100, 100), (60, 200)])
def test_products_of_whole_arrays(sizes, lanes, dtype):
    n, units = sizes
    rng = np.random.default_rng(2)
    w, a, d = (
        rng.normal(size=shape).astype(dtype)
        for shape in ((n, units), (2, lanes, n), (lanes, units))
    )
    packed, width = PackedWeights(n, units, 1, dtype), padded(units, dtype)
    perform(packed.packing(w))
    rows, start = (a, np.int64(lanes * n), np.int64(n)), interleaved(d, 1, dtype)
    found = np.full((2, lanes, width), 99, dtype)
    _from_zero(lanes, rows, packed.packed, np.zeros(width, dtype), found[0], 0)
    _from_rows(lanes, rows, packed.packed, start, found[1], 1)
    wanted, terms = (f(a[1]).astype(float) @ f(w) for f in (np.asarray, np.abs))
    assert_near(found[0, :, :units], wanted, dtype, terms)
    assert_near(found[1, :, :units], wanted + d, dtype, terms + np.abs(d))
    assert not found[..., units:].any()
    turned = np.full((lanes, width), 99, dtype)
    _from_zero(lanes, rows, packed.packed, np.zeros(width, dtype), turned, 1)
    np.testing.assert_array_equal(turned, found[0])


def check_gradient(seed, sizes, gates, dtype, first):
    steps, lanes, n_x, n_h, units = sizes
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(steps, lanes, n_x)).astype(dtype)
    h = rng.normal(size=(steps, lanes, n_h)).astype(dtype)
    g = rng.normal(size=(steps, lanes, gates * units)).astype(dtype)
    out = [np.full((n, gates * units), 99, dtype) for n in (n_x, n_h)]
    out.append(np.full(gates * units, 99, dtype))
    scratch = Scratch.of([Scratch.sizes(n_x + n_h + 1, units, gates, dtype)], dtype)
    for room in scratch.parts[0]:
        room[:] = np.nan
    given_ = (wide(x, n_x + 2), wide(h, n_h + 5), interleaved(g, gates, dtype))
    packed = PackedWeights(n_x, units, gates, dtype)
    perform(packed.gradients(scratch, first, steps, *given_, tuple(out), None))
    rows = g[first:].reshape(-1, gates * units).astype(float)
    for got, left in zip(out, (x, h, np.ones((steps, lanes, 1))), strict=True):
        left = left[first:].reshape(len(rows), -1).astype(float)
        wanted, terms = left.T @ rows, np.abs(left).T @ np.abs(rows)
        assert_near(got, wanted.reshape(got.shape), dtype, terms.reshape(got.shape))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize(
    "sizes",
    [(3, 2, 5, 7, 7), (2, 1, 1, 1, 1), (4, 5, 9, 0, 33), (97, 4, 3, 5, 5), (49, 4, 3, 5, 5)]
    + [(1 + steps, 64, 2, 3, 5) for steps in (47, 48, 49, 96)],
)
def test_weight_gradient(sizes, gates, dtype):
    check_gradient(0, sizes, gates, dtype, first=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gates", [1, 4])
@pytest.mark.parametrize("sizes", [(99, 4, 2, 9, 210), (99, 4, 340, 3, 5), (99, 4, 7, 401, 5)])
def test_weight_gradient_of_sorted_rows(sizes, gates, dtype):
    """So many columns, or so many rows, that it pays to sort the numbers first."""
    check_gradient(2, sizes, gates, dtype, first=1)


@settings(max_examples=few(40))
@given(
    sizes=st.tuples(
        st.integers(1, 6),
        st.integers(1, 9),
        st.integers(1, 14),
        st.integers(0, 14),
        st.integers(1, 70),
    ),
    gates=st.sampled_from(GATES),
    dtype=st.sampled_from(DTYPES),
)
def test_weight_gradient_of_any_size(sizes, gates, dtype):
    check_gradient(1, sizes, gates, dtype, first=0)


def test_packing_again_replaces_the_weights():
    packed = PackedWeights(3, 5, 1, "float64")
    x, y = np.ones((1, 1, 3)), np.empty((1, 1, padded(5, "float64")))
    for value in (1.0, 2.0):
        perform(packed.packing(np.full((3, 5), value), np.full(5, value)))
        perform(packed.products(x, 0, 1, y))
        assert np.array_equal(y[0, 0, :5], np.full(5, 4 * value))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gates", GATES)
def test_a_lookup_gives_what_its_rows_written_out_give(gates, dtype):
    steps, lanes, ids, n_in, n_h, units, first = 5, 3, 4, 6, 7, 9, 2
    rng = np.random.default_rng(0)
    table = rng.normal(size=(ids, 1, n_in)).astype(dtype)
    where = rng.integers(0, ids - 1, (steps, lanes)).astype(np.int32)
    h = rng.normal(size=(steps, lanes, n_h)).astype(dtype)
    g = interleaved(rng.normal(size=(steps, lanes, gates * units)).astype(dtype), gates, dtype)
    packed = PackedWeights(n_in, units, gates, dtype)
    w = rng.normal(size=(n_in, gates * units)).astype(dtype)
    perform(packed.packing(w, rng.normal(size=gates * units).astype(dtype)))
    perform(packed.packing_transposed(w))
    lookup = Lookup(where, (ids, 1, padded(n_in, dtype)), dtype)
    lookup.table = table
    found = []
    for x in (lookup, table[where, 0]):
        y, dx = np.zeros(g.shape, dtype), np.zeros((steps, lanes, padded(n_in, dtype)), dtype)
        out = [np.full((n, gates * units), 99, dtype) for n in (n_in, n_h)]
        out.append(np.full(gates * units, 99, dtype))
        if x is lookup:
            dx = np.full(lookup.shape, 99, dtype)
        perform(packed.products(x, first, steps, y))
        scratch = Scratch.of([Scratch.sizes(n_in + n_h + 1, units, gates, dtype)], dtype)
        perform(packed.gradients(scratch, first, steps, x, h, g, tuple(out), dx))
        if x is not lookup:
            rows, dx = dx, np.zeros(lookup.shape, dtype)
            np.add.at(dx[:, 0], where[first:], rows[first:])
        found.append([y, dx, *out])
    for got, wanted in zip(*found, strict=True):
        assert np.allclose(got, wanted, rtol=10 * REL[dtype], atol=10 * REL[dtype])
    assert not found[0][1][ids - 1].any()
