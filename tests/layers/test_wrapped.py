"""What a wrapper keeps, moves and saves is its inner layer's: every layer, plain, inside a
`Residual`, and inside two."""

import naive
import numpy as np
import pytest
from helpers import (
    Frozen,
    a_model,
    a_state,
    an_input,
    assert_all_close,
    assert_goes_on,
    plain,
    word,
)
from test_flow import assert_same_map, wanted_map

from bptt import (
    GRU,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    Activation,
    ActivationPenalty,
    BatchNorm,
    Bidirectional,
    Dropout,
    Embedding,
    FullBPTT,
    Last,
    LayerNorm,
    Linear,
    Max,
    Mean,
    Padded,
    Residual,
    SquaredError,
    Stream,
    Trainer,
    VariationalDropout,
    Zoneout,
    gradient_flow,
)
from bptt.layers import LAYERS

N, SEED = 3, 8
INNER = [
    Linear(N, N),
    *(RNN(N, N, name) for name in ("tanh", "relu")),
    LSTM(N, N),
    LSTM(N, N, layer_norm=True),
    LSTM(N, N, peepholes=True),
    GRU(N, N),
    GRU(N, N, reset_after=False),
    *(Activation(N, name) for name in naive.ACTIVATIONS),
    LayerNorm(N),
    BatchNorm(N),
    Mean(N),
    Max(N),
    Last(N),
    Dropout(N, 0.4),
    VariationalDropout(N, 0.4),
    ActivationPenalty(N, 0.7, 0.9),
    Zoneout(RNN(N, N), 0.4),
    Zoneout(LSTM(N, N), 0.3, 0.5),
    Zoneout(GRU(N, N), 0.4),
]


def wrapped(layer):
    return [layer, Residual(layer), Residual(Residual(layer))]


ALL = [layer for inner in INNER for layer in wrapped(inner)]
WHOLE = [*wrapped(Bidirectional(LSTM(4, 2))), Bidirectional(Residual(Residual(GRU(3, 3))))]


def stack(layer):
    return [Linear(2, layer.sizes[0]), layer, LSTM(layer.sizes[1], 2)]


def a_stream(pairs=35):
    """Two lanes, of which one is a step shorter, and what is in them: so many steps that the rows
    of a sliding window move."""
    rng = np.random.default_rng(5)
    data, goals = rng.normal(size=(2, pairs, 2))
    begins = np.arange(pairs) % 7 == 5
    laid = [naive.lanes(column, 2) for column in (data, goals, begins)]
    return Stream(data, 2, goals, begins), laid


def test_every_layer_is_tried():
    kinds = {type(layer) for layer in ALL + WHOLE}
    assert kinds | {Embedding} == set(LAYERS.values())  # Ids are read at the bottom alone.


SLIDING = [layer for layer in ALL if not isinstance(naive.innermost(layer), BatchNorm)]
"""Of `BatchNorm` older steps keep their statistics: see `test_batch_norm`."""


@pytest.mark.parametrize(
    ("k1_k2", "memory"), [((4, 5), None), ((2, 7), None), ((2, 7), "sqrt")], ids=str
)
@pytest.mark.parametrize("layer", SLIDING, ids=word)
def test_windows_that_slide_with_frozen_parameters(layer, k1_k2, memory):
    """The gradient is that of running k2 steps from the constant state before them."""
    layers = stack(layer)
    model, (stream, laid) = a_model(layers), a_stream()
    (x, there), (targets, _), (resets, _) = laid
    trainer = Trainer(model, loss=SquaredError(), optimizer=Frozen(), workers=1, seed=SEED,
                      truncation=TBPTT(*k1_k2, memory=memory))  # fmt: skip
    seed, params = SEED if model.trains else None, plain(model.params)

    def run(tried, rows, state, penalties=None):
        return naive.forward(layers, tried, x[rows], state, resets=resets[rows], seed=seed,
                             first=rows.start, penalties=penalties)  # fmt: skip

    start = first = 0
    state = naive.zero_state(layers, 2)
    for step in trainer.steps(stream):
        stop, before = start + step.k1, first
        first = max(0, stop - k1_k2[1])
        if first > before:
            _, state = run(params, slice(before, first), state)
        new, rows = slice(start, stop), slice(first, stop)

        def loss(tried, rows=rows, new=new, state=state):
            added = []
            y, _ = run(tried, rows, state, added)
            return naive.mean_loss(y, targets[new], there[new], added)

        assert_all_close(step.grads, naive.complex_step(loss, params))
        start = stop
    assert start == stream.steps


@pytest.mark.parametrize("layer", ALL, ids=word)
def test_the_gradient_flow_through_it(layer):
    model = a_model([LSTM(2, N), layer, RNN(N, 2)])
    x, state = an_input(model, 6, 2), a_state(model, 2)
    targets = np.random.default_rng(4).normal(size=(5, 2, 2))
    found = gradient_flow(model, SquaredError(), x, targets, state, per_lane=True)
    for name in ("0.h", "0.c", "2.h"):
        assert_same_map(found.norms[name], wanted_map(model, x, targets, state, name))


@pytest.mark.parametrize("layer", ALL + WHOLE, ids=word)
def test_a_run_saved_in_the_middle_of_a_pass_goes_on_bit_for_bit(tmp_path, layer):
    model = a_model(stack(layer), "float32")
    whole = model.whole
    trainer = Trainer(model, loss=SquaredError(), optimizer=SGD(0.05, momentum=0.9), workers=2,
                      truncation=FullBPTT() if whole else TBPTT(2, 5), seed=SEED)  # fmt: skip
    data = some_sequences() if whole else a_stream()[0]
    for _ in range(3):
        next(trainer.steps(data))
    assert_goes_on(trainer, tmp_path / "trainer", data, 8)


def some_sequences():
    rng = np.random.default_rng(7)
    sequences, goals = ([rng.normal(size=(n, 2)) for n in (3, 1, 5, 4, 2)] for _ in range(2))
    return Padded(sequences, goals, 1)
