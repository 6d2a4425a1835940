"""Layers that pass their input through outside training: nothing that is looked at sees them."""

import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_all_close, assert_close

import bptt
from bptt import (
    LSTM,
    SGD,
    ActivationPenalty,
    AdaptiveTBPTT,
    CrossEntropy,
    Dropout,
    Embedding,
    Linear,
    Stream,
    Trainer,
    VariationalDropout,
)  # fmt: skip

BARE = [Embedding(5, 3), LSTM(3, 4), Linear(4, 5)]
LAYERS = [
    BARE[0], VariationalDropout(3, 0.4), BARE[1], ActivationPenalty(4), VariationalDropout(4, 0.5),
    Dropout(4), BARE[2],
]  # fmt: skip
PLACES = {"0": "0", "1": "2", "2": "6"}
"""Layer of BARE -> where it is in LAYERS."""
IDS = np.random.default_rng(0).integers(0, 5, 300)


def moved(name):
    """What ``name`` is called among LAYERS."""
    i, _, rest = name.partition(".")
    return f"{PLACES[i]}.{rest}" if rest else PLACES[i]


@pytest.fixture(scope="module")
def pair():
    """Two models with the same parameters."""
    bare, model = a_model(BARE), a_model(LAYERS)
    for name, values in bare.params.items():
        model.params[moved(name)] = values
    return bare, model


def states(pair):
    bare, model = pair
    state, other = a_state(bare, 2), a_state(model, 2)
    for name, values in state.items():
        other[moved(name)] = values
    return state, other


def test_the_gradient_flow(pair):
    targets = IDS[1:9].reshape(4, 2)
    x = an_input(pair[0], 6, 2)
    one, two = (
        bptt.gradient_flow(model, CrossEntropy(), x, targets, state)
        for model, state in zip(pair, states(pair), strict=True)
    )
    assert {moved(name) for name in one.norms} == set(two.norms)
    for name, norms in one.norms.items():
        assert np.array_equal(np.isnan(norms), np.isnan(two.norms[moved(name)]))
        assert_close(np.nan_to_num(two.norms[moved(name)]), np.nan_to_num(norms))


def test_the_histories(pair):
    x = an_input(pair[0], 6, 2)
    one, two = (
        bptt.histories(model, x, state) for model, state in zip(pair, states(pair), strict=True)
    )
    assert_all_close({name: two[moved(name)] for name in one}, one)
    masks = states(pair)[1]
    for name, y in {"1": "0.y", "3": "2.h", "4": "2.h", "5": "2.h"}.items():
        shown = two[f"{name}.h" if name == "3" else f"{name}.y"]
        assert np.array_equal(shown, two[y])
    assert np.array_equal(two["4.mask"], np.broadcast_to(masks["4.mask"], (6, 2, 4)))


def test_the_jacobians(pair):
    x = an_input(pair[0], 5, 1)
    one, two = (bptt.jacobian_spectrum(model, x) for model in pair)
    for name in ("singular_values", "state_values", "lyapunov"):
        assert_close(getattr(two, name), getattr(one, name), 1e-9)


def test_the_truncation_report(pair):
    one, two = (
        bptt.truncation_report(model, CrossEntropy(), Stream(IDS, 3), (2, (2, 5)), steps=20)
        for model in pair
    )
    assert_close(two.bound, one.bound)
    for name, error in one.error.items():
        there = name if name == "all" else moved(name)
        assert_close(two.error[there], error)
        assert_close(two.cosine[there], one.cosine[name])


def test_what_is_generated(pair):
    one, two = (model.generate(IDS[:4], 20, seed=3)[0] for model in pair)
    assert np.array_equal(one, two)


def test_what_an_adaptive_truncation_probes(pair):
    """Probes are made outside training, so before the first update both see the same."""
    memos = []
    for model in pair:
        trainer = Trainer(model, loss=CrossEntropy(), optimizer=SGD(0.1), workers=1,
                          truncation=AdaptiveTBPTT(0.1, 12))  # fmt: skip
        next(trainer.steps(Stream(IDS, 3)))
        memos.append(trainer.memo)
        assert set(trainer.watch().flow) == {moved("1.h") if model is pair[1] else "1.h"}
    assert memos[0] == memos[1]


def test_the_pictures(pair):
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    model, x = pair[1], an_input(pair[1], 6, 2)
    found = bptt.histories(model, x)
    bptt.plot.activations(found["1.y"])
    bptt.plot.saturation(found)
    bptt.plot.spectrum(model)
    bptt.plot.gradient_flow(bptt.gradient_flow(model, CrossEntropy(), x, IDS[:12].reshape(6, 2)))
    pyplot.close("all")
