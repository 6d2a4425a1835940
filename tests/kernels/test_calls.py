"""Calls whose types are looked up once, and which are made again and again."""

import numpy as np
import pytest

from bptt.kernels import calls as module
from bptt.kernels.calls import Calls, Known, perform
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
        assert calls.bind(_scaled, a, (2.0, last))() == last
    assert a.tolist() == [8, 4, 2, 1]


def test_nothing_is_done_before_a_call_is_made_and_all_of_it_each_time():
    calls, a = Calls(), np.ones(3)
    listed = [calls.bind(_scaled, a, (2.0, 3)), calls.bind(_scaled, a, (3.0, 1))]
    assert a.tolist() == [1, 1, 1]
    perform(listed)
    assert a.tolist() == [6, 2, 2]
    perform(listed)
    assert a.tolist() == [36, 4, 4]


def test_dtypes_keep_calls_of_their_own():
    for dtype in ("float32", "float64"):
        calls, a = Calls(), np.ones(2, dtype)
        calls.bind(_scaled, a, (3.0, 1))()
        calls.bind(_scaled, a, (3.0, 2))()
        assert a.tolist() == [9, 3]


def test_a_call_that_fails_leaves_nothing():
    calls, a = Calls(), np.ones(2)
    with pytest.raises(Exception, match=r"int|iter|unpack|object"):
        calls.bind(_scaled, a, 5)()
    if JIT:
        assert calls.bind(_scaled, a, (3.0, 1))() == 1


@pytest.mark.skipif(not JIT, reason="needs the JIT")
def test_calls_do_not_go_through_numba(monkeypatch):
    monkeypatch.setattr(module, "_compiled", module._compiled.__wrapped__)
    calls, a = Calls(), np.ones(2)
    calls.bind(_scaled, a, (2.0, 1))()
    later = calls.bind(_scaled, a, (np.float32(2), np.int32(2)))
    assert type(later.func) is type(len)
    assert later() == 2
    assert a.tolist() == [4, 2]


@pytest.mark.skipif(not JIT, reason="needs the JIT")
def test_numba_is_asked_once_for_each_kind_of_arguments(monkeypatch):
    asked = []
    monkeypatch.setattr(_scaled, "entries", {})
    monkeypatch.setattr(type(_scaled), "typeof_pyval", _counting(type(_scaled), asked))
    spaced, fixed = np.ones(4)[::2], np.ones(2, np.float32)
    kinds = [(np.ones(2), (2.0, 2)), (fixed, (2.0, 2)), (spaced, (2.0, 2)), (np.ones(2), (2, 2))]
    for rounds in range(3):
        for a, pair in kinds:
            Calls().bind(_scaled, a, pair)()
            assert a.tolist() == [2.0 ** (rounds + 1)] * 2
        assert len(asked) == 2 * len(kinds)
    assert len(_scaled.entries) == len(kinds)


def _counting(dispatcher, asked):
    typeof = dispatcher.typeof_pyval

    def watched(self, value):
        asked.append(value)
        return typeof(self, value)

    return watched


@pytest.mark.skipif(not JIT, reason="needs the JIT")
def test_the_suite_sees_arguments_of_other_types():
    calls = Calls()
    calls.bind(_scaled, np.ones(2), (2.0, 1))()
    with pytest.raises(AssertionError, match="_scaled was given other types"):
        calls.bind(_scaled, np.ones(2, np.float32), (2.0, 1))()


def test_what_is_known_is_kept_but_never_too_much():
    known = Known()
    assert known.keep((1, True), "one") == "one"
    assert known.keep((2, True), "two") == "two"
    assert [known.get((i, True)) for i in (1, 2, 3)] == ["one", "two", None]
    for i in range(999):
        known.keep((i, True), str(i))
        assert known[i, True] == str(i)
        assert len(known) < 300
