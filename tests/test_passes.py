"""Whether a stream fits a model and a loss is known before anything has changed."""

import numpy as np
import pytest
from helpers import a_trainer

import bptt
from bptt import RNN, SGD, TBPTT, DataError, ShapeError, SquaredError, Stream
from bptt.passes import Pass

IDS = np.arange(60) % 6
NO_FIT = [
    (Stream(np.arange(20.0), 2), ShapeError, "data are floats, but .* takes integer ids"),
    (Stream(np.arange(9), 2), DataError, r"ids up to 8, but .*Embedding\(6, 3\) takes 0 to 5"),
    (Stream(IDS, 2, targets=np.ones(60)), ShapeError, "targets are floats, but CrossEntropy"),
    (Stream(IDS, 2, targets=np.full(60, 6)), DataError, "targets have ids up to 6"),
    (IDS, TypeError, "a Stream, Padded or Feed is needed"),
]


@pytest.mark.parametrize(("stream", "error", "said"), NO_FIT)
def test_streams_that_do_not_fit_change_nothing(stream, error, said):
    trainer = a_trainer()
    before = trainer.model.params.flat.copy()
    for use in (
        lambda: next(trainer.steps(stream)),
        lambda: trainer.evaluate(stream),
        lambda: trainer.fit(stream, 1, progress=False),
        lambda: trainer.fit(Stream(IDS, 3), 1, stream, progress=False),
    ):
        with pytest.raises(error, match=said):
            use()
    assert np.array_equal(trainer.model.params.flat, before)
    assert trainer.n == 0


def test_features_that_do_not_fit():
    model = bptt.Model([RNN(2, 3)])
    options = {"optimizer": SGD(0.1), "truncation": TBPTT(2, 2), "loss": SquaredError()}
    trainer = bptt.Trainer(model, **options)
    with pytest.raises(ShapeError, match=r"data have 1 features, but .*RNN\(2, 3\) takes 2"):
        next(trainer.steps(Stream(np.ones(9), 2, targets=np.ones((9, 3)))))
    with pytest.raises(ShapeError, match="targets have 2 features, but SquaredError"):
        next(trainer.steps(Stream(np.ones((9, 2)), 2)))


def test_an_id_that_a_memory_map_hides_stops_the_pass_at_its_update(tmp_path):
    ids = np.memmap(tmp_path / "ids", np.int32, "w+", shape=(30,))
    ids[:] = 1
    ids[20] = 6
    trainer = a_trainer()
    steps = trainer.steps(Stream(ids, 1))
    assert [next(steps).n for _ in range(4)] == [1, 2, 3, 4]
    params = trainer.model.params.flat.copy()
    with pytest.raises(DataError, match="is 6"):
        next(steps)
    assert trainer.n == 4
    assert np.array_equal(trainer.model.params.flat, params)


def test_mean_loss_of_a_pass():
    assert np.isnan(Pass({"pairs": 3, "batch": 1}).mean_loss)
    assert Pass({}, loss=6.0, targets=4).mean_loss == 1.5
