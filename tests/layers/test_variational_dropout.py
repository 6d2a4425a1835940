"""One mask a sequence: drawn where it begins, and kept from window to window."""

import numpy as np
import pytest
from helpers import Frozen, a_model

import bptt
from bptt import TBPTT, Linear, Padded, SquaredError, Stream, Trainer, VariationalDropout

LAYERS = [VariationalDropout(30, 0.25), Linear(30, 1)]


def masks(steps_lanes, state=None, resets=None, seed=0):
    """The mask after so many steps in training."""
    model = a_model(LAYERS)
    x, targets = np.ones((*steps_lanes, 30)), np.zeros((*steps_lanes, 1))
    found = bptt.gradients(model, SquaredError(), x, targets, state, resets=resets, seed=seed)
    return found.final_state


def test_the_shares_and_values_of_a_mask():
    mask = masks((1, 200))["0.mask"]
    assert set(np.unique(mask)) == {-1.0, 1 / 0.75}
    assert abs((mask < 0).mean() - 0.25) < 0.02


def test_a_mask_stays_until_a_sequence_begins():
    first = masks((3, 4))
    assert np.array_equal(masks((1, 4))["0.mask"], first["0.mask"])
    resets = np.zeros((3, 4), bool)
    resets[1, 2] = True
    later = masks((3, 4), first, resets, seed=5)["0.mask"]
    same = (later == first["0.mask"]).all(axis=1)
    assert same.tolist() == [True, True, False, True]


def test_nothing_is_drawn_outside_training():
    model = a_model(LAYERS)
    x = np.ones((12, 2, 30))
    for steps in (2, 12):
        assert not model(x[:steps])[1]["0.mask"].any()
    resets = np.zeros((12, 2), bool)
    resets[3, 1] = True
    drawn = masks((1, 2))
    assert np.array_equal(model(x, drawn)[1]["0.mask"], drawn["0.mask"])
    after = model(x, drawn, resets)[1]["0.mask"]
    assert np.array_equal(after[0], drawn["0.mask"][0])
    assert not after[1].any()


def masks_of(trainer, source):
    """The mask after each update of a pass."""
    return [trainer.team.state()["0.mask"] for _ in trainer.steps(source)]


def a_trainer():
    return Trainer(a_model(LAYERS), loss=SquaredError(), optimizer=Frozen(), truncation=TBPTT(2, 4))


def test_a_mask_outlives_windows_but_no_pass_and_no_reset():
    resets = np.zeros(36, bool)
    resets[18 + 8] = True
    stream = Stream(np.ones((36, 30)), 2, np.zeros((36, 1)), resets)
    trainer = a_trainer()
    first, second = masks_of(trainer, stream), masks_of(trainer, stream)
    for found in (first, second):
        lane, other = np.array(found).swapaxes(0, 1)
        assert (lane == lane[0]).all()
        assert (other[:4] == other[0]).all()
        assert (other[4:] == other[4]).all()
        assert (other[0] != other[4]).any()
    assert (first[0] != second[0]).any(axis=1).all()


def test_every_mini_batch_has_masks_of_its_own():
    sequences = [np.ones((n, 30)) for n in (4, 3, 4, 4)]
    source = Padded(sequences, [np.zeros((len(s), 1)) for s in sequences], batch=2)
    found = masks_of(a_trainer(), source)
    halves = found[: len(found) // 2], found[len(found) // 2 :]
    for half in halves:
        assert all(np.array_equal(mask, half[0]) for mask in half)
    assert (halves[0][0] != halves[1][0]).any(axis=1).all()


@pytest.mark.parametrize("p", [-0.1, 1, 1.0, True, None, "0.5"])
def test_the_share_is_below_one(p):
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\), got"):
        VariationalDropout(3, p)
