"""A window goes on from what it listed for the one before, and does what a new one would do."""

import math
from collections import ChainMap

import numpy as np
import pytest
from helpers import a_model, an_input
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bptt import GRU, LSTM, RNN, CrossEntropy, Dropout, Embedding, Linear, Residual, Zoneout
from bptt.kernels.calls import Known
from bptt.layers.marks import NOTHING, Marks
from bptt.packed import ModelWeights, gradient_parts
from bptt.task import Batch, Reach
from bptt.window import Window

LANES, ROOM = 3, 8
MODELS = {
    "ids": lambda: [Embedding(5, 4), LSTM(4, 6), GRU(6, 3), Linear(3, 5)],
    "floats": lambda: [RNN(2, 6), GRU(6, 5, reset_after=False), LSTM(5, 4, layer_norm=True)],
    "variants": lambda: [LSTM(2, 4, peepholes=True), RNN(4, 4, omega=0.5), Linear(4, 5)],
    "inside": lambda: [GRU(2, 4), Residual(RNN(4, 4)), Zoneout(LSTM(4, 4), h=0.3), Linear(4, 5)],
    "random": lambda: [RNN(2, 5, feedback="random"), Dropout(5, 0.4), Linear(5, 5)],
}


class _Run:
    """A window with what it needs; ``forgets`` all it listed before each update."""

    def __init__(self, layers, forgets):
        self.model, self.forgets = a_model(layers), forgets
        weights = self.model.params, self.model.buffers
        self.weights = [ModelWeights(self.model.layers, *weights) for _ in range(2)]
        blocks = [self.model.params.like() for _ in range(2)]
        self.grads = [gradient_parts(block, self.model.layers) for block in blocks]
        sizes = self.model.layers, LANES, 2 * ROOM, self.model.dtype
        self.window = Window(*sizes, backward=True, lookup_ids=99)
        self.window.begin()

    def update(self, given_, batch, reach):
        """Everything that an update leaves, whichever weights and gradients are taken."""
        self.model.params.flat[:] *= 1.01
        weights, grads = self.weights[given_["weights"]], self.grads[given_["grads"]]
        window, scale = self.window, given_["scale"]
        weights.pack(back=True)
        if self.forgets:
            window._stack._forward, window._stack._backward = Known(), Known()
        total = window.update(weights, batch, scale, CrossEntropy(), grads, reach)
        found = [np.array(total)] + [g.copy() for part in grads for g in part.values()]
        errors = self.model.zero_state(LANES)
        window.read_state_errors(weights, errors)
        found += errors.values()
        norms = (tape.norms for tape in window.tapes if tape.norms is not None)
        found += [rows[window.start : window.stop].copy() for rows in norms]
        return found if window.dx is None else [*found, window.dx[: window.stop].copy()]


USUAL = {"steps": 2, "older": 0, "keep": 0, "clip_delta": math.inf, "want_dx": False, "targets": 2,
         "scale": 0.1, "marks": "", "weights": 0, "grads": 0, "begins": True}  # fmt: skip
OTHER = {"steps": 3, "older": 2, "keep": 3, "clip_delta": 1e-3, "want_dx": True, "targets": 1,
         "scale": 0.3, "weights": 1, "grads": 1, "begins": False}  # fmt: skip
MARKS = [{"marks": kind} for kind in ("resets", "skip", "keys")]
CHANGES = [{}, *MARKS, *({name: v} for name, v in OTHER.items())]


def _batch(model, given_, seed):
    steps, targets = given_["steps"], given_["targets"]
    rng = np.random.default_rng(seed)
    x = an_input(model, steps, LANES, seed)
    goals = rng.integers(0, model.n_out, (targets, LANES)).astype(np.int32)
    marks = NOTHING
    if given_["marks"] == "resets":
        marks = Marks(resets=rng.random((steps, LANES)) < 0.4)
    elif given_["marks"] == "skip":
        marks = Marks(skip=rng.random((steps, LANES)) < 0.4)
    elif given_["marks"] == "keys" and model.trains:
        marks = Marks(keys=rng.integers(1, 2**60, (steps, LANES)).astype(np.uint64))
    valid = np.ones(goals.shape, bool) if marks.skip is None else ~marks.skip[steps - targets :]
    return Batch(x, goals, valid, goals.size, marks)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=25)
@example(base=[{"marks": "keys"}], changes=[{}, {"scale": 0.3}])
@example(base=[], changes=[{}, {"grads": 1}, {"weights": 1}])
@example(base=[], changes=[{}, {"keep": 3}, {"older": 2, "begins": False}])
@given(base=st.lists(st.sampled_from(CHANGES), max_size=2),
       changes=st.lists(st.sampled_from(CHANGES), min_size=2, max_size=8))  # fmt: skip
def test_an_update_does_what_one_that_lists_everything_anew_does(name, base, changes):
    listing, forgetting = (_Run(MODELS[name](), forgets) for forgets in (False, True))
    for seed, change in enumerate(changes):
        given_ = ChainMap(change, *base, USUAL)
        if given_["begins"]:
            listing.window.begin()
            forgetting.window.begin()
        older = min(given_["older"], listing.window.stop - listing.window.start)
        reach = Reach(
            given_["steps"] + older,
            given_["keep"],
            given_["clip_delta"],
            want_dx=given_["want_dx"],
        )
        batch = _batch(listing.model, given_, seed)
        found, wanted = (run.update(given_, batch, reach) for run in (listing, forgetting))
        for got, want in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", ["forward_calls", "backward_calls"])
def test_a_list_that_could_not_be_made_is_not_remembered(name, monkeypatch):
    def fails(*given):
        raise ZeroDivisionError

    listing, forgetting = (_Run(MODELS["ids"](), forgets) for forgets in (False, True))
    batch, other = _batch(listing.model, USUAL, 0), {**USUAL, "weights": 1, "grads": 1}
    listing.update(USUAL, batch, Reach(2))
    listing.window.begin()
    with monkeypatch.context() as patched:
        patched.setattr(type(listing.model.layers[1]), name, fails)
        with pytest.raises(ZeroDivisionError):
            listing.update(other, batch, Reach(2))
    forgetting.model.params.flat[:] = listing.model.params.flat
    for given_ in (USUAL, other):
        for run in (listing, forgetting):
            run.window.begin()
        found, wanted = (run.update(given_, batch, Reach(2)) for run in (listing, forgetting))
        for got, want in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(got, want)


def test_a_window_like_the_one_before_lists_nothing_anew(monkeypatch):
    run, listed = _Run(MODELS["ids"](), forgets=False), []
    layer = type(run.model.layers[1])
    for name in ("forward_calls", "backward_calls"):
        own = getattr(layer, name)
        monkeypatch.setattr(
            layer, name, lambda *given, own=own, name=name: listed.append(name) or own(*given)
        )
    for seed in range(4):
        run.window.begin()
        run.update(USUAL, _batch(run.model, USUAL, seed), Reach(2))
    assert listed == ["forward_calls", "backward_calls"]
