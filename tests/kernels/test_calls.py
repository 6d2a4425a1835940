"""Calls whose types are looked up once."""

import numpy as np
import pytest

from bptt.kernels import calls as module
from bptt.kernels.calls import Calls
from bptt.kernels.compile import JIT, kernel


@kernel
def _scaled(a, pair):
    factor, count = pair
    for i in range(count):
        a[i] *= factor
    return count


def test_every_call_does_what_the_kernel_does():
    calls, a = Calls(), np.ones(4)
    for last in (1, 2, 3):
        assert calls[_scaled](a, (2.0, last)) == last
    assert a.tolist() == [8, 4, 2, 1]


def test_dtypes_keep_calls_of_their_own():
    for dtype in ("float32", "float64"):
        calls, a = Calls(), np.ones(2, dtype)
        calls[_scaled](a, (3.0, 1))
        calls[_scaled](a, (3.0, 2))
        assert a.tolist() == [9, 3]


def test_a_call_that_fails_leaves_nothing():
    calls = Calls()
    with pytest.raises(Exception, match=r"int|iter|unpack|object"):
        calls[_scaled](np.ones(2), 5)
    assert not calls


@pytest.mark.skipif(not JIT, reason="needs the JIT")
def test_later_calls_do_not_go_through_numba(monkeypatch):
    monkeypatch.setattr(module, "_compiled", module._compiled.__wrapped__)
    calls, a = Calls(), np.ones(2)
    calls[_scaled](a, (2.0, 1))
    assert type(calls[_scaled]) is type(len)
    assert calls[_scaled](a, (np.float32(2), np.int32(2))) == 2
    assert a.tolist() == [4, 2]


@pytest.mark.skipif(not JIT, reason="needs the JIT")
def test_the_suite_sees_arguments_of_other_types():
    calls = Calls()
    calls[_scaled](np.ones(2), (2.0, 1))
    with pytest.raises(AssertionError, match="_scaled was given other types"):
        calls[_scaled](np.ones(2, np.float32), (2.0, 1))
