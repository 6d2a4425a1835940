"""Memory does not grow with the length of a stream."""

import tracemalloc

import numpy as np
import pytest
from helpers import a_trainer

from bptt import TBPTT, Stream
from bptt.kernels.compile import JIT

pytestmark = pytest.mark.skipif(not JIT, reason="takes long without the JIT")
SHORT = 60
SLACK = 200_000
"""Bytes that come and go by themselves; one number kept for each unit and step would be more."""


def peak(use):
    """The most bytes that were taken at a time while ``use`` ran."""
    tracemalloc.start()
    try:
        use()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def a_stream(steps):
    return Stream(np.arange(2 * steps + 1, dtype=np.uint8) % 6, 2)


@pytest.mark.parametrize("k1_k2", [(20, 20), (10, 25)], ids=str)
def test_training_on_a_stream_a_hundred_times_longer(k1_k2):
    def run(stream):
        for step in trainer.steps(stream):
            assert step.loss > 0

    streams = a_stream(SHORT), a_stream(100 * SHORT)
    trainer = a_trainer("float32", truncation=TBPTT(*k1_k2), workers=2)
    run(streams[1])
    short, long = (peak(lambda stream=stream: run(stream)) for stream in streams)
    assert long < short + SLACK


def test_evaluating_a_stream_a_hundred_times_longer():
    trainer = a_trainer("float32", workers=2)
    streams = a_stream(SHORT), a_stream(100 * SHORT)
    trainer.evaluate(streams[1])
    short, long = (peak(lambda stream=stream: trainer.evaluate(stream)) for stream in streams)
    assert long < short + SLACK


def test_a_call_keeps_little_besides_what_it_returns():
    model = a_trainer("float32").model
    inputs = [np.zeros((steps, 2), np.uint8) for steps in (SHORT, 100 * SHORT)]
    model(inputs[0])
    short, long = (peak(lambda x=x: model(x)) for x in inputs)
    returned = 99 * SHORT * 2 * 6 * 4
    assert long < short + 1.1 * returned + SLACK
