"""Any two choices of the toolbox together: they work, or are refused with a clear error.

Every pair of choices from two columns of `CHOICES` comes up in some run. A run that works is the
same to the bit after a resume, the same to rounding with another number of workers, and where the
loss is what the gradient is of, that is its derivative.
"""

import itertools
import math
from functools import partial

import numpy as np
import pytest
from helpers import a_model, assert_close

from bptt import (
    ARTBP,
    GRU,
    L1,
    L2,
    LSTM,
    RNN,
    SGD,
    TBPTT,
    AbsoluteError,
    Activation,
    ActivationPenalty,
    AdaGrad,
    Adam,
    AdamW,
    AdaptiveTBPTT,
    BatchNorm,
    Bidirectional,
    BinaryCrossEntropy,
    ClipAdaptive,
    ClipNorm,
    ClipValue,
    Cosine,
    CrossEntropy,
    Dropout,
    Embedding,
    Exponential,
    FullBPTT,
    Huber,
    LayerNorm,
    Linear,
    Max,
    Mean,
    OnPlateau,
    RandomTBPTT,
    Residual,
    RMSProp,
    SquaredError,
    Stream,
    Trainer,
    VariationalDropout,
    WarmUp,
    WeightDrop,
    WeightNoise,
    Zoneout,
)
from bptt.kernels.compile import JIT

STACKS = {
    "LSTM": [Embedding(5, 3), LSTM(3, 4), Linear(4, 2)],
    "GRU": [Embedding(5, 3), GRU(3, 4), Residual(GRU(4, 4, reset_after=False)), Linear(4, 2)],
    "pooling": [Embedding(5, 3), Max(3), RNN(3, 4, "leaky_relu"), Mean(4), Linear(4, 2)],
    "perceptron": [Embedding(5, 3), Linear(3, 4), Activation(4, "sigmoid"), Linear(4, 2)],
    "layer norms": [Embedding(5, 3), LSTM(3, 4, layer_norm=True), LayerNorm(4), Linear(4, 2)],
    "batch norm": [Embedding(5, 3), RNN(3, 4), BatchNorm(4), Linear(4, 2)],
    "peepholes": [Embedding(5, 3), LSTM(3, 4, peepholes=True), Linear(4, 2)],
    "both directions": [Embedding(5, 3), Bidirectional(GRU(3, 2)), Linear(4, 2)],
    "dropout": [Embedding(5, 3), Dropout(3, 0.2), LSTM(3, 4), Dropout(4, 0.4), Linear(4, 2)],
    "variational": [Embedding(5, 3), VariationalDropout(3, 0.3), GRU(3, 4), Linear(4, 2)],
    "zoneout": [Embedding(5, 3), Zoneout(LSTM(3, 4), 0.2, 0.3), Linear(4, 2)],
    "activation penalty": [Embedding(5, 3), RNN(3, 4), ActivationPenalty(4), Linear(4, 2)],
    "omega": [Embedding(5, 3), RNN(3, 4, omega=0.1), Linear(4, 2)],
    "feedback": [Embedding(5, 3), LSTM(3, 4, feedback="random"), Linear(4, 2, feedback="random")],
    "tied": [Embedding(2, 4), GRU(4, 4), Linear(4, 2, tied=True)],
}
TRUNCATIONS = {
    "TBPTT": (TBPTT, {"k1": 4, "k2": 4}),
    "sliding": (TBPTT, {"k1": 2, "k2": 7}),
    "last loss": (TBPTT, {"k1": 3, "k2": 8, "losses": "last"}),
    "full": (FullBPTT, {}),
    "random": (RandomTBPTT, {"k": 6, "short_probability": 0.3, "spread": 4.0, "shortest": 1}),
    "ARTBP": (ARTBP, {"mean_length": 4, "seed": 3}),
    "adaptive": (AdaptiveTBPTT, {"tolerance": 0.5, "k_max": 9, "every": 5, "k1": 2}),
}
CHOICES = {
    "stack": STACKS,
    "truncation": TRUNCATIONS,
    "loss": {
        "squared": SquaredError(),
        "absolute": AbsoluteError(),
        "Huber": Huber(0.5),
        "binary": BinaryCrossEntropy(features="sum"),
        "classes": CrossEntropy(label_smoothing=0.1),
    },
    "memory": {"kept": None, "sqrt": "sqrt"},
    "workers": {"1": 1, "2": 2, "3": 3},
    "resets": {"none": False, "some": True},
    "clip_delta": {"free": None, "bounded": 0.02},
    "optimizer": {
        "SGD": SGD(WarmUp(3, 0.1)),
        "Nesterov": SGD(0.1, momentum=0.9, nesterov=True),
        "AdaGrad": AdaGrad(Exponential(0.05, 0.9)),
        "RMSProp": RMSProp(0.01, momentum=0.5, centered=True),
        "Adam": Adam(OnPlateau(0.01, 0.5, patience=1, watch="training")),
        "AdamW": AdamW(Cosine(0.01, 0.001, 20), weight_decay=0.1),
    },
    "clip": {
        "none": None,
        "norm": ClipNorm(0.5),
        "value": ClipValue(0.05),
        "adaptive": ClipAdaptive(0.05),
    },
    "regularizers": {
        "none": [],
        "penalties": [L1(1e-3), L2(1e-2, names="b")],
        "drop": [WeightDrop(0.3, names="W"), L2(1e-3)],
        "noise": [WeightNoise(0.05)],
    },
}
"""What is chosen -> name -> choice."""


def refusal(row):
    """What the error names; None if the row, or as much of it as there is, should work."""
    stack = row.get("stack")
    if stack in ("both directions", "batch norm") and row.get("memory", "kept") != "kept":
        return "whole sequences" if stack == "both directions" else "BatchNorm"
    if stack == "both directions" and row.get("truncation", "full") != "full":
        return "whole sequences"
    if stack == "perceptron" and row.get("truncation") == "adaptive":
        return "no recurrent layer"
    return None


def covering():
    """Rows of one name from each column, in which every two names of two columns meet.

    They meet in a row that works, if they go together at all.
    """
    wanted = {
        frozenset([(one, first), (two, second)])
        for one, two in itertools.combinations(CHOICES, 2)
        for first, second in itertools.product(CHOICES[one], CHOICES[two])
    }
    rows = []
    while wanted:
        pair = min(wanted, key=sorted)
        row = dict(sorted(pair))
        refused = refusal(row)
        for column in CHOICES:
            if column not in row:
                row[column] = max(CHOICES[column], key=partial(_gain, row, column, wanted, refused))
        wanted.discard(pair)
        if not refused:
            wanted -= {frozenset(two) for two in itertools.combinations(row.items(), 2)}
        rows.append({column: row[column] for column in CHOICES})
    return rows


def _gain(row, column, wanted, refused, name):
    """How many wanted pairs ``name`` makes with ``row``; below zero if that would be refused."""
    if not refused and refusal(row | {column: name}):
        return -1
    return sum(frozenset([(column, name), chosen]) in wanted for chosen in row.items())


ROWS = covering()


def a_trainer(row, workers=None):
    chosen = {column: CHOICES[column][name] for column, name in row.items()}
    kind, arguments = chosen["truncation"]
    return Trainer(
        a_model(chosen["stack"]),
        loss=chosen["loss"],
        optimizer=chosen["optimizer"],
        truncation=kind(**arguments, memory=chosen["memory"], clip_delta=chosen["clip_delta"]),
        clip=chosen["clip"],
        regularizers=chosen["regularizers"],
        workers=chosen["workers"] if workers is None else workers,
        seed=4,
    )


def a_stream(row):
    rng = np.random.default_rng(2)
    ids = 2 if row["stack"] == "tied" else 5
    resets = rng.random(53) < 0.15 if row["resets"] == "some" else None
    data, floats, classes = rng.integers(0, ids, 53), rng.random((53, 2)), rng.integers(-1, 2, 53)
    return Stream(data, 3, classes if row["loss"] == "classes" else floats, resets)


def run(trainer, stream, updates):
    """The losses of so many updates, over the ends of passes."""
    losses = []
    while len(losses) < updates:
        losses.append(next(trainer.steps(stream)).loss)
        if trainer.under_way.finished:
            trainer.observe(trainer.under_way.mean_loss)
    return losses


def differentiated(row):
    """Whether the gradient of a first update is that of its loss."""
    return (
        row["truncation"] in ("TBPTT", "sliding", "last loss", "full")
        and row["clip_delta"] == "free"
        and row["stack"] not in ("feedback", "omega", "activation penalty")
        and row["regularizers"] in ("none", "penalties")
    )


def check_derivative(row, stream):
    direction = np.random.default_rng(8).normal(size=a_trainer(row).model.params.flat.size)
    found = []
    for size in (0.0, 1e-6, -1e-6):
        trainer = a_trainer(row)
        trainer.model.params.flat[:] += size * direction
        found.append(next(trainer.steps(stream)))
    slope = (found[1].loss - found[2].loss) / 2e-6
    assert math.isclose(found[0].grads.flat @ direction, slope, rel_tol=1e-6, abs_tol=1e-9)


@pytest.mark.parametrize("row", ROWS if JIT else ROWS[::6], ids=lambda row: ", ".join(row.values()))
def test_any_two_choices_together(tmp_path, row):
    stream, said = a_stream(row), refusal(row)
    if said is not None:
        with pytest.raises(ValueError, match=said):
            run(a_trainer(row), stream, 1)
        return
    trainer, other = a_trainer(row), a_trainer(row, workers=2)
    before = run(trainer, stream, 5)
    trainer.save(tmp_path / "trainer")
    resumed = Trainer.load(tmp_path / "trainer")
    after, again = run(trainer, stream, 9), run(resumed, stream, 9)
    assert after == again
    assert np.array_equal(trainer.model.params.flat, resumed.model.params.flat)
    assert np.array_equal(trainer.model.buffers.flat, resumed.model.buffers.flat)
    assert np.isfinite(before + after).all()
    if row["stack"] != "batch norm":
        assert_close(run(other, stream, 14), before + after, 1e-6)
    if differentiated(row):
        check_derivative(row, stream)


def test_every_choice_comes_up_with_every_other():
    assert len(ROWS) < 200
    working = [row for row in ROWS if refusal(row) is None]
    for one, two in itertools.combinations(CHOICES, 2):
        for pair in itertools.product(CHOICES[one], CHOICES[two]):
            rows = ROWS if refusal(dict(zip((one, two), pair, strict=True))) else working
            assert any((row[one], row[two]) == pair for row in rows), pair
