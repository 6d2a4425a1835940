"""The pool: every task once, its errors passed on, and threads that end with it."""

import gc
import multiprocessing
import threading
import time

import pytest

from bptt.pool import Pool, cpu_count


def test_every_task_runs_once_the_first_in_the_callers_thread():
    pool, seen = Pool(4), {}
    for _ in range(20):
        seen.clear()
        pool.run([lambda i=i: seen.update({i: threading.get_ident()}) for i in range(4)])
        assert seen.keys() == {0, 1, 2, 3}
        assert seen[0] == threading.get_ident()
        assert len(set(seen.values())) == 4


def test_tasks_run_at_the_same_time():
    together = threading.Barrier(3)
    Pool(3).run([lambda: together.wait(timeout=30)] * 3)


def test_fewer_tasks_than_threads():
    pool, seen = Pool(3), []
    pool.run([lambda: seen.append(1), lambda: seen.append(2)])
    pool.run([lambda: seen.append(3)])
    assert sorted(seen) == [1, 2, 3]


def test_one_task_starts_no_thread():
    before = set(threading.enumerate())
    Pool(1).run([lambda: None])
    Pool(5).run([lambda: None])
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_error_comes_out_after_all_have_ended(place):
    ended = []

    def work(i):
        if i == place:
            raise LookupError(f"task {i}")
        time.sleep(0.02)
        ended.append(i)

    pool = Pool(3)
    with pytest.raises(LookupError, match=f"task {place}"):
        pool.run([lambda i=i: work(i) for i in range(3)])
    assert sorted(ended) == sorted({0, 1, 2} - {place})
    pool.run([lambda i=i: ended.append(i) for i in range(3)])
    assert len(ended) == 5


def test_the_threads_end_with_the_pool():
    before = set(threading.enumerate())
    pool = Pool(3)
    pool.run([lambda: None] * 3)
    own = set(threading.enumerate()) - before
    assert len(own) == 2
    del pool
    gc.collect()
    for thread in own:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_starts_its_own_threads():
    pool = Pool(2)
    pool.run([lambda: None] * 2)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def child():
        seen = []
        pool.run([lambda: seen.append(1), lambda: seen.append(2)])
        theirs.send(sorted(seen))

    process = context.Process(target=child)
    process.start()
    assert ours.poll(30)
    assert ours.recv() == [1, 2]
    process.join(30)
    assert process.exitcode == 0
    pool.run([lambda: None] * 2)


def test_there_is_at_least_one_cpu():
    assert cpu_count() >= 1
