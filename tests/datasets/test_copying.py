"""Copy memory, step by step."""

import math

import numpy as np
import pytest

from bptt.datasets import COPY_BLANK, COPY_DELIMITER, copy_memory


@pytest.mark.parametrize("delay", [1, 2, 7, 100])
def test_the_layout_step_by_step(delay):
    x, targets = copy_memory(delay, 6, seed=1)
    assert x.shape == targets.shape == (delay + 20, 6)
    assert x.dtype == targets.dtype == np.int32
    for lane in range(6):
        shown = x[:10, lane].tolist()
        assert all(0 <= symbol <= 7 for symbol in shown)
        blanks = [8] * 10
        assert x[:, lane].tolist() == shown + [8] * (delay - 1) + [9] + blanks
        assert targets[:, lane].tolist() == blanks + [8] * delay + shown
    assert (COPY_BLANK, COPY_DELIMITER) == (8, 9)


def test_the_first_symbol_is_due_after_the_delay_and_ten():
    x, targets = copy_memory(5, 4)
    assert np.array_equal(targets[15:], x[:10])


def test_all_eight_symbols_are_drawn_evenly():
    x, _ = copy_memory(3, 2000)
    counts = np.bincount(x[:10].ravel(), minlength=10)
    assert counts[:8] == pytest.approx(np.full(8, 2500), rel=0.1)
    assert counts[8:].sum() == 0


def test_the_memoryless_baseline():
    """What a model says that knows only the step: its loss is 10 log 8 / (T + 20)."""
    _, targets = copy_memory(30, 3)
    said = np.where(np.arange(50)[:, None] < 40, 1.0, 1 / 8)
    right = np.where(said == 1, targets == COPY_BLANK, targets < COPY_BLANK)
    assert right.all()
    assert -np.log(said).mean() == pytest.approx(10 * math.log(8) / (30 + 20))


def test_the_seed_decides():
    assert np.array_equal(copy_memory(9, 5, seed=2), copy_memory(9, 5, seed=2))
    assert not np.array_equal(copy_memory(9, 5, seed=2), copy_memory(9, 5, seed=3))


@pytest.mark.parametrize(
    ("arguments", "seed", "expected"),
    [
        ((0, 5), 0, "delay must be a positive integer, got 0"),
        ((5, 2.5), 0, "count must be a positive integer, got 2.5"),
        ((5, 5), None, "seed must be a non-negative integer of at most 64 bits, got None"),
    ],
)
def test_what_cannot_be_made(arguments, seed, expected):
    with pytest.raises(ValueError, match=expected):
        copy_memory(*arguments, seed=seed)
