"""What all policies share: words and numbers that cannot be are refused, and windows may grow."""

import math
from dataclasses import dataclass, fields, replace

import naive
import numpy as np
import pytest
from helpers import Frozen, a_model, a_stream, assert_update, plain

import bptt
from bptt import (
    ARTBP,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    AdaptiveTBPTT,
    CrossEntropy,
    Embedding,
    FullBPTT,
    Linear,
    RandomTBPTT,
    SquaredError,
    Stream,
    Truncation,
)
from bptt.truncation import TRUNCATIONS, Plan

MAKERS = {
    TBPTT: {"k1": 2, "k2": 5},
    FullBPTT: {},
    RandomTBPTT: {"k": 7},
    ARTBP: {"mean_length": 4.0},
    AdaptiveTBPTT: {"tolerance": 0.1, "k_max": 8},
}
COUNTS = [0, -1, 2.0, 1.5, True, None, "2", math.nan]
BELOW_1 = [0, 0.5, -3, math.nan, math.inf, True, None, "2"]
NOT_ABOVE_2 = [2, 2.0, 1.5, 0, -1, math.nan, math.inf, True, None, "3"]
NO_FRACTION = [0, 1, 0.0, 1.0, -0.1, 1.1, math.nan, math.inf, True, None, "0.1"]
NO_SHARE = [-0.1, 1.1, math.nan, math.inf, True, None, "0.1"]
NO_SPREAD = [-1, -1e-9, math.nan, math.inf, True, None, "5"]
NO_SEED = [-1, 1.0, True, None, "0"]
WRONG = [
    (TBPTT, "k1", COUNTS),
    (TBPTT, "k2", COUNTS),
    (TBPTT, "losses", ["all", None, 1]),
    (RandomTBPTT, "k", COUNTS),
    (RandomTBPTT, "short_probability", NO_SHARE),
    (RandomTBPTT, "spread", NO_SPREAD),
    (RandomTBPTT, "shortest", COUNTS),
    (RandomTBPTT, "seed", NO_SEED),
    (ARTBP, "mean_length", BELOW_1),
    (ARTBP, "alpha", NOT_ABOVE_2),
    (ARTBP, "seed", NO_SEED),
    (AdaptiveTBPTT, "tolerance", NO_FRACTION),
    (AdaptiveTBPTT, "k_max", COUNTS),
    (AdaptiveTBPTT, "every", COUNTS),
    (AdaptiveTBPTT, "k1", [k for k in COUNTS if k is not None]),
    *((kind, "clip_delta", [0, -1.0, math.nan, True, "1"]) for kind in MAKERS),
    *((kind, "memory", ["root", "", 0, -1, -0.5, math.nan, True, [1]]) for kind in MAKERS),
]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [(kind, name, value) for kind, name, values in WRONG for value in values],
)
def test_what_cannot_be_is_refused_by_name(kind, name, value):
    with pytest.raises(ValueError, match=rf"^{name} must be .*got {_quoted(value)}"):
        kind(**MAKERS[kind] | {name: value})


def _quoted(value):
    return repr(value).replace("[", r"\[")


def test_all_that_can_be_wrong_is_tried():
    assert list(MAKERS) == list(TRUNCATIONS.values())
    for kind in MAKERS:
        tried = {name for k, name, _ in WRONG if k is kind}
        assert tried == {field.name for field in fields(kind)}


@pytest.mark.parametrize("memory", ["root", 0, -2.0, math.nan, True])
def test_gradients_refuse_a_memory_that_cannot_be(memory):
    model = a_model([RNN(2, 3)])
    for function in (bptt.gradients, bptt.value_and_grad):
        with pytest.raises(ValueError, match="memory must be"):
            function(model, SquaredError(), np.ones((4, 1, 2)), np.ones((4, 1, 3)), memory=memory)


@pytest.mark.parametrize("kind", MAKERS, ids=lambda kind: kind.__name__)
def test_numbers_of_numpy_are_as_good(kind):
    """And become plain ones where they are counts."""
    plain_numbers = kind(**MAKERS[kind], memory=2.0, clip_delta=0.5)
    given = {
        name: np.int64(value) if isinstance(value, int) else np.float64(value)
        for name, value in MAKERS[kind].items()
    }
    again = kind(**given, memory=np.float64(2.0), clip_delta=np.float64(0.5))
    assert again == plain_numbers
    assert type(again.plan(3, 100, {}).k1) is int


@dataclass(frozen=True)
class Scripted(Truncation):
    """Windows of these (k1, k2), one after the other."""

    windows: tuple[tuple[int, int], ...]

    def plan(self, n, left, memo):
        k1, k2 = self.windows[n % len(self.windows)]
        k1 = min(k1, left)
        return Plan(k1, max(k1, k2), k1)

    def older(self, n, left, memo):
        return max(self.plan(i, left, memo).k2 for i in range(len(self.windows)))

    def usual(self, steps):
        return 3

    @property
    def slides(self):
        return any(k1 < k2 for k1, k2 in self.windows)


GROWING = {
    "without overlap": ((2, 2), (3, 3), (1, 1), (9, 9), (4, 4), (20, 20), (2, 2)),
    "from no overlap to much": ((2, 2), (2, 4), (3, 9), (2, 2), (1, 6), (5, 16), (6, 6)),
    "from one step on": ((1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (2, 20), (3, 30)),
}


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("windows", GROWING.values(), ids=GROWING)
@pytest.mark.parametrize("workers", [1, 2])
def test_windows_that_become_longer_keep_their_tapes(windows, memory, workers):
    """Each update reaches back k2 steps, or to the beginning."""
    for layers, loss in (
        ([Linear(3, 2), LSTM(2, 4), RNN(4, 3), Linear(3, 4)], SquaredError()),
        ([Embedding(5, 3), LSTM(3, 5), Linear(5, 4)], CrossEntropy()),
    ):
        model = a_model(layers)
        stream, laid = a_stream(model, loss, 125, 3)
        trainer = bptt.Trainer(
            model,
            loss=loss,
            optimizer=Frozen(),
            truncation=Scripted(windows, memory=memory, clip_delta=0.1),
            workers=workers,
        )
        start = 0
        for step in trainer.steps(stream):
            new = slice(start, start + step.k1)
            wanted = naive.update(layers, plain(model.params), *laid, new, step.k2, clip_delta=0.1)
            assert_update(step, wanted)
            start = new.stop
        assert start == stream.steps == 42


REACHES = {  # what the docs say: steps back, of k1 new steps and what the policy remembers
    TBPTT(2, 7): lambda k1, memo: 7,
    TBPTT(4, 4): lambda k1, memo: 4,
    TBPTT(3, 8, "last"): lambda k1, memo: 8,
    FullBPTT(): lambda k1, memo: k1,
    RandomTBPTT(6, 0.3, 4.0, 1, seed=2): lambda k1, memo: k1,
    ARTBP(5, 3.0, seed=1): lambda k1, memo: k1,
    AdaptiveTBPTT(0.5, 9, every=1): lambda k1, memo: memo["reach"] + k1 - 1,
    AdaptiveTBPTT(0.5, 9, every=3, k1=4): lambda k1, memo: memo["reach"] + k1 - 1,
}


@pytest.mark.filterwarnings("ignore:.*does not decay:RuntimeWarning")
@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("feeds", [False, True])
@pytest.mark.parametrize("truncation", REACHES, ids=str)
def test_the_error_flows_as_far_as_is_said(truncation, feeds, memory):
    """To the last step of each window, or to the beginning, also where the stream ends."""
    if feeds and isinstance(truncation, FullBPTT):
        return
    wanted = REACHES[truncation]
    model = a_model([LSTM(2, 4), RNN(4, 3), Linear(3, 2)])
    trainer = bptt.Trainer(model, loss=SquaredError(), optimizer=SGD(0.01), workers=1,
                           truncation=replace(truncation, memory=memory))  # fmt: skip
    rng = np.random.default_rng(0)
    x, targets = rng.normal(size=(2, 61, 1, 2))
    feed = bptt.Feed([(x[i : i + 5], targets[i : i + 5]) for i in range(0, 61, 5)], 1)
    stream, start = feed if feeds else Stream(x[:, 0], 1, targets[:, 0]), 0
    for step in trainer.steps(stream):
        start += step.k1
        assert step.k2 == wanted(step.k1, trainer.memo)
        for norms in step.flow.values():
            assert np.count_nonzero(norms > 0) == min(step.k2, start)
    assert start == 61


@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize(
    "truncation", [RandomTBPTT(6, 0.3, 4.0, 1, seed=2), ARTBP(5, 3.0, seed=1)], ids=str
)
def test_a_run_whose_windows_grow_is_that_of_a_run_with_room_from_the_start(truncation, memory):
    """Bit for bit, though parameters move."""
    truncation = type(truncation)(**vars(truncation) | {"memory": memory})
    runs = []
    for roomy in (False, True):
        model = a_model([Embedding(30, 3), LSTM(3, 5), RNN(5, 4), Linear(4, 6)])
        stream, _ = a_stream(model, CrossEntropy(), 400, 3)
        trainer = bptt.Trainer(
            model, loss=CrossEntropy(), optimizer=SGD(0.1), truncation=truncation, workers=2
        )
        if roomy:
            trainer.team = trainer.team_for(stream.batch, stream.steps)
            trainer.team.reserve(200, truncation.slides)
        steps = [(s.k1, s.loss, s.grads.flat.tobytes()) for s in trainer.steps(stream)]
        runs.append((steps, model.params.flat.tobytes()))
    assert runs[0] == runs[1]
    lengths = [k1 for k1, *_ in runs[0][0]]
    assert max(lengths) > 1.5 * lengths[0]
