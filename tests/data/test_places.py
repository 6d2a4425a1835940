"""Errors about what a source hands out name the entry of the caller's own array."""

import numpy as np
import pytest
from helpers import Frozen, a_model

import bptt
from bptt import (
    LSTM,
    TBPTT,
    BinaryCrossEntropy,
    CrossEntropy,
    DataError,
    Embedding,
    Feed,
    Linear,
    Padded,
    SquaredError,
    Stream,
    Trainer,
)

RNG = np.random.default_rng(0)
STACK, SQUARED = [LSTM(3, 4), Linear(4, 3)], SquaredError()


def with_one(array, place, value):
    array = array.copy()
    array[place] = value
    return array


def on_disk(path, array):
    mapped = np.memmap(path, array.dtype, "w+", shape=array.shape)
    mapped[...] = array
    return mapped


N = 40
BAD_ID, ALL = with_one(RNG.integers(0, 3, N), 33, 7), RNG.integers(0, 3, N)
BIG = with_one(RNG.normal(size=(N, 3)), (33, 2), 1e300)
FINE, HALF = RNG.normal(size=(N, 3)).astype("f4"), np.full((N, 3), 0.5)
OFF = with_one(HALF, (33, 2), 1.5)
ONE = with_one(RNG.normal(size=N), 33, 1e300)
SCALAR = [Linear(1, 3), *STACK]
CUT = ([21, 30], 0)
BINARY, SMALL = BinaryCrossEntropy(), [Embedding(3, 3), *STACK]
SOURCES = {
    "memory map": (SMALL, CrossEntropy(), lambda p: Stream(on_disk(p, BAD_ID), 3, ALL), "data[33]"),
    "targets in one": (SMALL, CrossEntropy(), lambda p: Stream(ALL, 3, on_disk(p, BAD_ID)),
                       "targets[33]"),
    "next steps": (SMALL, CrossEntropy(), lambda p: Stream(on_disk(p, with_one(ALL, N - 1, 7)), 3),
                   f"data[{N - 1}]"),
    "large": (STACK, SQUARED, lambda p: Stream(BIG, 3, FINE), "data[33, 2]"),
    "large, no features": (SCALAR, SQUARED, lambda p: Stream(ONE, 3, FINE), "data[33]"),
    "large target": (STACK, SQUARED, lambda p: Stream(FINE, 3, BIG), "targets[33, 2]"),
    "large next step": (STACK, SQUARED, lambda p: Stream(BIG[:34], 1), "data[33, 2]"),
    "not in range": (STACK, BINARY, lambda p: Stream(FINE, 4, OFF), "targets[33, 2]"),
    "sequence": (STACK, SQUARED, lambda p: Padded(np.split(BIG, *CUT), np.split(FINE, *CUT), 2),
                 "sequences[2][3, 2]"),
    "target of a step": (STACK, BINARY, lambda p: Padded(np.split(FINE, *CUT), np.split(OFF, *CUT)),
                         "targets[2][3, 2]"),
    "label": (STACK, BINARY, lambda p: Padded(np.split(FINE, *CUT), OFF[31:34], 1),
              "targets[2, 2]"),
    "piece": (SCALAR, SQUARED, lambda p: Feed([(ONE[:30], FINE[:30]), (ONE[30:], FINE[30:])]),
              "pieces[1][0][3]"),
    "piece of lanes": (STACK, SQUARED, lambda p: Feed(np.split(BIG.reshape(20, 2, 3), [5, 15]), 2),
                       "pieces[2][1, 1, 2]"),
    "target of a piece": (STACK, BINARY, lambda p: Feed([(FINE[:30], HALF[:30]),
                                                         (FINE[30:], OFF[30:])]),
                          "pieces[1][1][3, 2]"),
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_an_index_is_one_of_the_callers_own_arrays(tmp_path, name):
    layers, loss, source, place = SOURCES[name]
    model = a_model(layers, "float32")
    trainer = Trainer(model, loss=loss, optimizer=Frozen(), truncation=TBPTT(4, 4))
    calls = [trainer.evaluate, lambda s: list(trainer.steps(s))]
    if not ("target" in name or "label" in name or "next" in name or "range" in name):
        calls.append(lambda s: bptt.predict(model, s))
    for call in calls:
        with pytest.raises(DataError) as caught:
            call(source(tmp_path / "array"))
        assert str(caught.value).startswith(f"{place} is ")


def test_it_is_so_where_only_the_last_loss_counts():
    trainer = Trainer(a_model(STACK), loss=BINARY, optimizer=Frozen(),
                      truncation=TBPTT(2, 5, losses="last"))  # fmt: skip
    with pytest.raises(DataError, match=r"^targets\[33, 2\] is 1.5, but must be from 0 to 1"):
        list(trainer.steps(Stream(FINE, 1, OFF)))
