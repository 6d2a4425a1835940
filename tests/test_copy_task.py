"""The copy task: its data, and what is written of it."""

import json

import numpy as np
import pytest

import bptt
from benchmarks import copy_report, copy_task
from benchmarks.copy_data import (
    BLANK,
    MARKER,
    Task,
    blind_perplexity,
    endless,
    join,
    shift,
    stream,
)

SMALL = Task(memory=3, ids=5, lanes=2)
TINY = copy_task.Settings(SMALL, steps=24, held_out=18, units=4, epochs=2)
ROW = copy_task.Row("K = 2", bptt.TBPTT(2, 3), 1.5, 0.01)


class Given:
    """A generator that gives these symbols."""

    def __init__(self, symbols):
        self.symbols = symbols

    def integers(self, low, high, shape):
        assert (low, high, shape) == (MARKER + 1, SMALL.ids, np.shape(self.symbols))
        return self.symbols


def test_a_block_is_shown_and_then_copied():
    symbols = [[[9, 2, 3], [9, 4, 4]], [[9, 3, 2], [9, 2, 2]]]
    inputs, targets = endless(SMALL, 7, Given(symbols))
    assert inputs.tolist() == [
        [1, 2, 3, 0, 0, 0, 1, 4, 4, 0, 0, 0],
        [1, 3, 2, 0, 0, 0, 1, 2, 2, 0, 0, 0],
    ]
    assert targets.tolist() == [
        [0, 0, 0, 1, 2, 3, 0, 0, 0, 1, 4, 4],
        [0, 0, 0, 1, 3, 2, 0, 0, 0, 1, 2, 2],
    ]


def test_every_symbol_is_drawn_and_never_a_reserved_one():
    task = Task(memory=10, ids=6, lanes=8)
    inputs, targets = endless(task, 400, np.random.default_rng(0))
    assert np.array_equal(targets[:, 10:], inputs[:, :-10])
    assert (targets[:, :10] == BLANK).all()
    phase = np.arange(400) % task.block
    assert (inputs[:, phase == 0] == MARKER).all()
    assert (inputs[:, phase >= 10] == BLANK).all()
    assert np.unique(inputs[:, (phase > 0) & (phase < 10)]).tolist() == [2, 3, 4, 5]


def test_a_plain_lane_begins_at_its_shift():
    assert shift(3, np.array([0, 4])).tolist() == [[0, 1, 2], [4, 5, 6]]


def test_a_joined_lane_is_shifted_with_every_lane_after_it():
    steps, shifts, room = 6, [2, 0, 3], 4
    lanes = np.zeros((3, steps + room), int)
    for made, by in enumerate(shifts):
        lanes[made] = np.arange(steps + room)
        lanes[:, :steps] = lanes[:, by : steps + by].copy()
    assert join(steps, np.array(shifts)).tolist() == lanes[:, :steps].tolist()
    assert join(steps, np.array(shifts))[0].tolist() == [5, 6, 7, 6, 7, 8]


def test_a_joined_lane_may_be_shifted_by_more_than_it_has():
    assert join(3, np.array([2, 2, 2])).tolist() == [[4, 3, 4], [4, 3, 4], [2, 3, 4]]


@pytest.mark.parametrize("joined", [True, False])
def test_a_stream_has_its_lanes_side_by_side(joined):
    found = stream(SMALL, 12, seed=1, joined=joined)
    chunk = found.reader().take(12)
    assert chunk.x.shape == chunk.targets.shape == (12, 2)
    assert chunk.mask is None
    rng = np.random.default_rng(1)
    inputs, targets = endless(SMALL, 18, rng)
    places = (join if joined else shift)(12, rng.integers(6, size=2))
    for lane in range(2):
        assert np.array_equal(chunk.x[:, lane], inputs[lane, places[lane]])
        assert np.array_equal(chunk.targets[:, lane], targets[lane, places[lane]])


def test_blind_perplexity_counts_the_symbols_that_are_due():
    found = bptt.Stream(np.zeros(8, int), 2, targets=np.array([0, 1, 2, 3, 0, 0, 4, 2]))
    assert blind_perplexity(SMALL, found) == pytest.approx(3**0.5)


def test_the_rows_are_those_of_the_paper():
    fixed = [row for row in copy_task.ROWS if type(row.truncation) is bptt.TBPTT]
    assert [row.truncation.k1 for row in fixed] == [5, 10, 15, 20, 30]
    assert all(row.truncation.k2 == 2 * row.truncation.k1 - 1 for row in fixed)
    assert [row.setting for row in fixed] == [f"K = {row.truncation.k1}" for row in fixed]


def test_the_results_are_a_table_and_settings(capsys):
    results = json.loads(json.dumps(copy_task.measure([ROW, ROW], TINY)))
    first, again = results["rows"]
    assert {**first, "seconds": 0} == {**again, "seconds": 0}
    assert (first["updates"], first["steps_per_update"]) == (24, 2.0)
    assert first["validation"][first["epoch"] - 1] == min(first["validation"])
    assert copy_report.line(first) in capsys.readouterr().err
    text = copy_report.markdown(results)
    table = next(part for part in text.split("\n\n") if part.startswith("|")).splitlines()
    assert len(table) == 4
    assert len({line.count("|") for line in table}) == 1
    assert table[2].startswith(f"| TBPTT | K = 2 | {first['test']:.3f} | 1.500 ± 0.010 |")
    assert "Embedding(5, 4)" in text
    assert "2 passes for every row" in text
