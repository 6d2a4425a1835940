"""Turns: one thread at a time, and a forked child does not wait for ever."""

import multiprocessing
import threading

import pytest
from helpers import at_once

from bptt.turn import Turn


def test_one_thread_at_a_time():
    turn, inside, most = Turn(), [], [0]

    def work(_):
        for _ in range(100):
            with turn.lock, turn.lock:
                inside.append(1)
                most[0] = max(most[0], len(inside))
                inside.pop()

    at_once(work, range(4))
    assert most == [1]


def test_an_error_gives_the_turn_back():
    turn = Turn()
    with pytest.raises(KeyError), turn.lock, turn.lock:
        raise KeyError
    at_once(lambda _: turn.lock.__enter__(), [0])


def in_a_child(turn):
    """What entering ``turn`` says in a forked child."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def child():
        try:
            with turn.lock, turn.lock:
                theirs.send("in")
        except RuntimeError as error:
            theirs.send(str(error))

    process = context.Process(target=child)
    process.start()
    assert ours.poll(30), "the child hangs"
    found = ours.recv()
    process.join(30)
    assert process.exitcode == 0
    return found


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("held", ["by nobody", "by the one that forks", "by another"])
def test_a_forked_child(held):
    turn, entered, leave = Turn(), threading.Event(), threading.Event()

    def hold():
        with turn.lock:
            entered.set()
            leave.wait(60)

    if held == "by the one that forks":
        with turn.lock:
            assert in_a_child(turn) == "in"
    elif held == "by nobody":
        assert in_a_child(turn) == "in"
    else:
        threads = [threading.Thread(target=hold), threading.Thread(target=hold)]
        for thread in threads:
            thread.start()
        assert entered.wait(30)
        assert "forked while another thread was at work with the trainer" in in_a_child(turn)
        leave.set()
        for thread in threads:
            thread.join(30)
    with turn.lock:
        pass
