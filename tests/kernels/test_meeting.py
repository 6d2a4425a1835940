"""Members of a crew: whose units are whose, and that they meet."""

from itertools import pairwise

import numpy as np
import pytest
from helpers import at_once
from hypothesis import given
from hypothesis import strategies as st

from bptt.kernels.compile import kernel
from bptt.kernels.crew import ALONE, free, marks, meet, part_of
from bptt.kernels.delta import gather
from bptt.kernels.packing import FULL
from bptt.kernels.target import lanes_of
from bptt.layers.tape import Span


def members(count):
    told = marks(count)
    return [(i, count, told) for i in range(count)]


@given(vectors=st.integers(1, 200), count=st.integers(1, 20))
def test_every_unit_belongs_to_one_member(vectors, count):
    panels = -(-vectors // FULL)
    parts = [part_of(member, vectors)[3:] for member in members(count)]
    for (_, end, _, end_panel), (first, _, first_panel, _) in pairwise(parts):
        assert (first, first_panel) == (end, end_panel)
    assert (parts[0][0], parts[0][2]) == (0, 0)
    assert (parts[-1][1], parts[-1][3]) == (vectors, panels)
    for first, end, _, _ in parts:
        assert abs((end - first) - vectors / count) <= FULL


def test_units_are_shared_out_as_evenly_as_panels_can_be():
    assert [part_of(member, 41)[3:5] for member in members(2)] == [(0, 21), (21, 41)]
    assert [part_of(member, 7)[3:5] for member in members(2)] == [(0, 3), (3, 7)]
    assert part_of(ALONE, 7)[3:] == (0, 7, 0, 2)


@kernel
def _pass_on(member, rounds, numbers, seen):
    """Each writes a number for all at every round, and adds up what all have written."""
    number, count, told = member
    for i in range(rounds):
        numbers[i % 2, number] = i * (number + 1)
        meet(number, count, told)
        for other in range(count):
            seen[number] += numbers[i % 2, other]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_after_a_meeting_each_sees_what_all_have_written(count):
    rounds = 300
    numbers, seen = np.zeros((2, count), np.int64), np.zeros(count, np.int64)
    at_once(lambda member: _pass_on(member, rounds, numbers, seen), members(count))
    assert (seen == sum(range(rounds)) * sum(range(1, count + 1))).all()


def test_nobody_waits_for_one_that_has_failed():
    one, other = members(2)
    free(other)
    at_once(lambda member: meet(*member), [one])


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("limit", [np.inf, 1.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_members_gather_and_bound_as_one_would(dtype, limit, count):
    rng, vectors, lanes = np.random.default_rng(0), 11, 3
    width = vectors * lanes_of(dtype)
    start, dy = (
        rng.normal(size=shape).astype(dtype) for shape in ((lanes, width), (2, lanes, width))
    )
    back, steps = rng.uniform(size=(2, lanes)).astype(dtype), Span(0, 2, 0, limit)

    def gathered(of):
        delta, norms = start.copy(), np.zeros((len(of), 2, lanes))

        def work(member):
            gather(delta, back, dy, 1, steps, norms, part_of(member, vectors))

        at_once(work, of)
        return delta, np.hypot.reduce(norms)

    delta, norms = gathered(members(count))
    wanted, wanted_norms = gathered([ALONE])
    np.testing.assert_allclose(norms, wanted_norms, rtol=1e-6 if dtype == "float32" else 1e-14)
    np.testing.assert_allclose(delta, wanted, rtol=1e-6 if dtype == "float32" else 1e-14)
    assert (wanted_norms[1] > 1.5).all()
