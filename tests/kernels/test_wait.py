"""Waiting awake: it ends when the count changes, and never lasts."""

import threading
import time

import numpy as np
import pytest

from bptt.kernels.compile import JIT
from bptt.kernels.wait import LOOKS, await_change


def test_a_count_that_has_changed_already_is_not_waited_for():
    await_change(np.ones(1, np.int64), 0, 2**62, 3)


def test_a_count_that_does_not_change_is_given_up():
    await_change(np.ones(1, np.int64), 1, LOOKS, 2**62)
    await_change(np.ones(1, np.int64), 1, 0, 0)


@pytest.mark.skipif(not JIT, reason="as plain Python nobody waits awake")
def test_a_change_by_another_thread_is_seen():
    count, ended = np.zeros(1, np.int64), threading.Event()
    await_change(count, 1, 1, 0)  # Compiled before the thread that waits holds the compiler's lock.
    waiting = threading.Thread(target=lambda: (await_change(count, 0, 2**62, 0), ended.set()))
    waiting.start()
    time.sleep(0.05)
    assert not ended.is_set()
    count[0] = 1
    assert ended.wait(30)
    waiting.join()


@pytest.mark.skipif(JIT, reason="a kernel looks at memory, not through a method")
def test_so_many_looks_follow_a_change():
    looks = []

    class Count:
        def __getitem__(self, i):
            looks.append(i)
            return len(looks) // 3

    await_change(Count(), 0, 2**62, 5)
    assert len(looks) == 3 + 5
