"""Outputs where there are targets, in the order of the data."""

import naive
import numpy as np
import pytest
from helpers import a_model, assert_close, plain

from bptt import GRU, LSTM, Embedding, Linear, Padded, Stream, predict

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("batch", [None, 1, 4])
@pytest.mark.parametrize("bucket", [True, False])
def test_one_row_for_each_sequence_as_given(batch, bucket):
    model = a_model([LSTM(3, 5), Linear(5, 2)])
    sequences = [RNG.normal(size=(n, 3)) for n in (5, 90, 2, 70, 3, 1)]
    data = Padded(sequences, np.array([0, 1, 1, 0, 1, 1]), batch, bucket=bucket)
    found = predict(model, data)
    wanted = np.stack([model(x[:, None])[0][-1, 0] for x in sequences])
    assert_close(found, wanted, 1e-12)


def test_one_row_for_each_step():
    model = a_model([Embedding(6, 3), GRU(3, 4), Linear(4, 2)])
    sequences = [RNG.integers(0, 6, n) for n in (4, 1, 6)]
    data = Padded(sequences, [np.zeros((len(s), 2)) for s in sequences], 2)
    wanted = np.concatenate([model(x[:, None])[0][:, 0] for x in sequences])
    assert_close(predict(model, data), wanted, 1e-12)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_stream_lane_after_lane_with_resets_and_burn_in(batch):
    model = a_model([LSTM(2, 5), Linear(5, 3)])
    x, resets = RNG.normal(size=(200, 2)), RNG.random(200) < 0.05
    targets = RNG.integers(-1, 3, 200)
    stream = Stream(x, batch, targets, resets, burn_in=2)
    (laid, there), (marks, _), (goals, _), (place, _) = (
        naive.lanes(column, batch) for column in (x, resets, targets, np.arange(200))
    )
    y, _ = naive.forward(
        model.layers, plain(model.params), laid, naive.zero_state(model.layers, batch), resets=marks
    )
    since = np.zeros(laid.shape[:2], int)
    for t in range(1, len(laid)):
        since[t] = np.where(marks[t], 0, since[t - 1] + 1)
    counts = there & (goals >= 0) & (since >= 2)
    order = np.argsort(place[counts])
    assert_close(predict(model, stream), y[counts][order], 1e-12)
