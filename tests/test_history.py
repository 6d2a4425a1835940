"""History: what is recorded comes back, and the best epoch is the lowest validation loss."""

import math

import numpy as np
import pytest

from bptt.history import Best, History


def recorded(validation=(2.0, 1.5, 1.75), clip_norm=5.0):
    history = History(clip_norm=clip_norm)
    for update in range(1, 4 * len(validation) + 1):
        history.record_update(update, 3.0 / update, 10.0 + update, 0.5 * update)
        if update % 4 == 0:
            loss = validation[update // 4 - 1]
            history.record_epoch(update, 1.0 / update, loss, 0.5 * update + 0.25)
    return history


def test_columns_hold_what_was_recorded():
    arrays = recorded(validation=(2.0, None)).to_arrays()
    n = np.arange(1, 9)
    assert np.array_equal(arrays["update"], n)
    assert np.array_equal(arrays["loss"], 3.0 / n)
    assert np.array_equal(arrays["grad_norm"], 10.0 + n)
    assert np.array_equal(arrays["seconds"], 0.5 * n)
    assert np.array_equal(arrays["epoch_update"], [4, 8])
    assert np.array_equal(arrays["train_loss"], [1 / 4, 1 / 8])
    assert np.array_equal(arrays["validation_loss"], [2.0, math.nan], equal_nan=True)
    assert np.array_equal(arrays["epoch_seconds"], [2.25, 4.25])
    assert {name: a.dtype.kind for name, a in arrays.items() if a.dtype.kind != "f"} == {
        "update": "i",
        "epoch_update": "i",
    }


def test_arrays_are_copies_and_recording_goes_on():
    history = recorded()
    arrays = history.to_arrays()
    arrays["loss"][:] = 0
    history.record_update(13, 9.0, 9.0, 9.0)
    assert history.loss[0] == 3.0
    assert len(arrays["loss"]) == 12
    assert len(history.loss) == 13


@pytest.mark.parametrize("history", [recorded(), History(), recorded((math.nan, 1.0), None)])
def test_round_trip(history):
    arrays = history.to_arrays()
    again = History.from_arrays(arrays | {"other": np.zeros(2)}, history.clip_norm)
    assert again.clip_norm == history.clip_norm
    for name, array in again.to_arrays().items():
        assert array.dtype == arrays[name].dtype
        assert np.array_equal(array, arrays[name], equal_nan=True)
    again.record_update(99, 1.0, 1.0, 1.0)
    assert again.update[-1] == 99


def test_best_is_the_lowest_validation_loss_the_earliest_of_equals():
    assert recorded((2.0, 1.5, 1.75)).best == Best(epoch=2, update=8, loss=1.5)
    assert recorded((math.nan, 1.5, None, 1.5)).best == Best(2, 8, 1.5)
    assert recorded((math.inf, 3.0)).best == Best(2, 8, 3.0)


def test_no_best_without_validation():
    assert History().best is None
    assert recorded((math.nan, None)).best is None


def test_a_million_updates_cost_megabytes():
    history = recorded()
    columns = (history.update, history.loss, history.grad_norm, history.seconds)
    assert sum(column.itemsize for column in columns) == 32


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"loss": None}, "no column loss"),
        ({"epoch_seconds": None}, "no column epoch_seconds"),
        ({"loss": np.zeros(3)}, r"vectors of one length.*'loss': \(3,\)"),
        ({"train_loss": np.zeros((3, 1))}, "vectors of one length"),
    ],
)
def test_columns_that_do_not_fit(change, said):
    arrays = recorded().to_arrays() | change
    arrays = {name: array for name, array in arrays.items() if array is not None}
    with pytest.raises(ValueError, match=said):
        History.from_arrays(arrays, None)


def test_repr_says_how_training_went():
    assert repr(History()) == "History(0 updates)"
    assert repr(recorded()) == (
        "History(12 updates in 6.0 s, last loss 0.25; 3 epochs; "
        "best validation loss 1.5 after epoch 2)"
    )
