"""What is quickest is chosen by limits: on both sides of each, results are the same to rounding.

Those inside kernels cannot be moved once these are compiled. `kernels/test_product.py` is on both
sides of `_BLOCK`, `_RUN` and `_READS` of `outer`, of `_TOGETHER`, of whole panels and of caches;
`layers/test_widths.py` of the tiles for lone rows and half vectors, and of `FEW`;
`kernels/test_step.py` of rows and tiles; `kernels/test_delta.py` and `kernels/test_vectors.py` of
the sums of squares that are trusted; `kernels/test_calls.py` of what is remembered.
"""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from helpers import a_model, a_state, an_input, assert_close

import bptt
from bptt import GRU, LSTM, RNN, SGD, TBPTT, CrossEntropy, Embedding, Linear, SquaredError, Zoneout
from bptt.clip import ClipNorm
from bptt.division import Division
from bptt.kernels.compile import JIT
from bptt.layers.lookup import Lookup
from bptt.window import worthwhile_ids

ROOT = Path(bptt.__file__).parent
ANY = 2**62
LIMITS = {
    "window._STEPS_PER_ID": (1, ANY),
    "forward._ROWS": (1, 5000),
    "forward._FEW": (0, 99),
    "forward._FEW_ROWS": (0, ANY),
    "forward._SHARE": (1, ANY),
    "forward._FEW_SHARE": (1, ANY),
    "workers._SHARED": (1, ANY),
    "workers._LINE": (1, 1000),
    "evaluation._STEPS": (1, 5000),
    "predict._STEPS": (1, 5000),
    "flow._ROWS": (1, 5000),
    "regularize._LEAST": (0.0, 2.0),
    "layers.runs._RUN": (0, ANY),
    "layers.weights.FEW": (0, ANY),
}
"""Where a limit is -> values below and above all that is met here."""
DIVISION = {f"division.{name}" for name in ("_START", "_MEETING", "_LISTED", "_READING", "_STEP",
            "_UNEVEN")}  # fmt: skip
"""What `best_division` weighs."""
NO_LIMITS = {
    "decay._TINY", "files._VERSION", "flow._FEW", "flow._GROWS", "flow._SHORT",
    "flow._TINY",
    "layers.bidirectional._SALT", "layers.lstm_plain.LEAST", "optimizers.base.PIECE",
    "pool._LEAVE", "pool._TURN",
    "regularize._SALT", "report._SAMPLES", "report._STEPS", "rtrl._MOST",
    "truncation.random._BLOCK",
}  # fmt: skip
"""Other numbers: of layout, waiting, samples and verdicts."""


def numbers():
    """The constants outside kernels that are numbers, as in `LIMITS`."""
    for path in ROOT.rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if module.split(".")[0] in ("kernels", "plot", "data", "datasets", "callbacks"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign):
                targets = node.targets[0]
                for name in getattr(targets, "elts", [targets]):
                    value = getattr(import_module(f"bptt.{module}"), name.id)
                    if isinstance(value, int | float) and not isinstance(value, bool):
                        yield f"{module}.{name.id}"


def test_every_limit_is_known():
    assert set(numbers()) - NO_LIMITS == set(LIMITS) - {"layers.weights.FEW"} | DIVISION


IDS = [Embedding(9, 4), GRU(4, 6), Linear(6, 4), Zoneout(LSTM(4, 5), 0.2), Linear(5, 9)]
FLOATS = [RNN(3, 6), Linear(6, 4), LSTM(4, 5), Linear(5, 2)]


def trained(layers, ids=None, seed=0, **options):
    """A model whose parameters have moved, with windows that reach back before that."""
    model = a_model(layers)
    rng = np.random.default_rng(seed)
    data = rng.integers(0, ids or model.n_in, 300) if model.reads_ids else rng.normal(size=(300, 3))
    loss = CrossEntropy() if model.reads_ids else SquaredError()
    targets = None if model.reads_ids else rng.normal(size=(300, 2))
    stream = bptt.Stream(data, 5, targets)
    options = {"optimizer": SGD(0.5), "truncation": TBPTT(4, 12), "workers": 2} | options
    trainer = bptt.Trainer(model, loss=loss, **options)
    losses = [step.loss for step, _ in zip(trainer.steps(stream), range(9), strict=False)]
    return trainer, stream, losses


def everything(layers):
    """What the library makes of a model, with windows that slide."""
    trainer, stream, losses = trained(layers, clip=ClipNorm(0.7))
    model = trainer.model
    found = {"losses": losses, "params": model.params.flat}
    found["norms"] = trainer.team.norms(*trainer.team.flowing[0][:2], 12)
    found["evaluate"] = trainer.evaluate(stream)
    for steps, lanes in ((1, 1), (2, 7), (6, 3), (7, 3), (90, 3)):
        y, state = model(an_input(model, steps, lanes), a_state(model, lanes), workers=2)
        found[f"y {steps}"], found[f"state {steps}"] = y, state.flat
    found["predict"] = np.concatenate(bptt.predict(model, stream))
    x = an_input(model, 40, 2)
    targets = stream.reader().take(40).targets[:, :2]
    flow = bptt.gradient_flow(model, trainer.loss, x, targets, lags=9)
    found["curve"] = flow.curve(next(iter(flow.norms)))
    if not model.reads_ids:
        found["dx"] = bptt.gradients(model, trainer.loss, x, targets).x
    return found


@cache
def usual(i):
    return everything((IDS, FLOATS)[i])


@pytest.mark.parametrize("side", [0, 1], ids=["below", "above"])
@pytest.mark.parametrize("place", list(LIMITS)[:: 1 if JIT else 4])
@pytest.mark.parametrize("i", [0, 1], ids=["ids", "floats"])
def test_a_limit_may_be_anywhere(i, place, side, monkeypatch):
    wanted = usual(i)
    module, name = place.rsplit(".", 1)
    monkeypatch.setattr(import_module(f"bptt.{module}"), name, LIMITS[place][side])
    for name, found in everything((IDS, FLOATS)[i]).items():
        assert_close(found, wanted[name], 1e-9, name)


@pytest.mark.parametrize("division", [(1, 1), (2, 1), (1, 2)], ids=["one", "shards", "crew"])
@pytest.mark.parametrize("i", [0, 1], ids=["ids", "floats"])
def test_threads_may_be_divided_anyhow(i, division, monkeypatch):
    wanted = usual(i)
    monkeypatch.setattr(bptt.workers, "best_division", lambda *given: Division(*division))
    for name, found in everything((IDS, FLOATS)[i]).items():
        assert_close(found, wanted[name], 1e-9, name)


READERS = {
    "RNN": RNN(5, 7),
    "LSTM": LSTM(5, 7),
    "peepholes": LSTM(5, 7, peepholes=True),
    "layer norm": LSTM(5, 7, layer_norm=True),
    "GRU": GRU(5, 7),
    "reset before": GRU(5, 7, reset_after=False),
    "zoneout": Zoneout(GRU(5, 7), 0.2),
    "linear": Linear(5, 7),
}
"""All that read embeddings, looked up or written out."""


@pytest.mark.parametrize("truncation", [TBPTT(4, 12), TBPTT(1, 5), TBPTT(6, 6),
                                        TBPTT(4, 12, memory="sqrt")], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", list(READERS)[:: 1 if JIT else 4])
def test_ids_that_never_occur_change_nothing(name, truncation):
    limit = worthwhile_ids(4 if truncation.memory else truncation.k2, 5)
    found = []
    for ids in (limit, limit + 1, limit + 86):
        layers = [Embedding(ids, 5), READERS[name], GRU(7, 4), Linear(4, limit)]
        model = a_model(layers)
        rng = np.random.default_rng(3)
        for parameter, values in model.params.items():
            values[...] = rng.normal(scale=0.6, size=values.shape) if parameter[0] != "0" else 0
        model.params["0.W"][:limit] = rng.normal(size=(limit, 5))
        trainer = bptt.Trainer(
            model, loss=CrossEntropy(), optimizer=SGD(0.5), truncation=truncation, workers=1
        )
        stream = bptt.Stream(np.random.default_rng(0).integers(0, limit, 300), 5)
        for _ in zip(trainer.steps(stream), range(25), strict=False):
            pass
        looked_up = isinstance(trainer.team.windows[0].tapes[0].y, Lookup)
        assert looked_up == (ids == limit)
        rest = [values for parameter, values in model.params.items() if parameter[0] != "0"]
        found.append([model.params["0.W"][:limit].copy(), *rest])
    for other in found[1:]:
        for got, wanted in zip(other, found[0], strict=True):
            assert_close(got, wanted, 1e-9)


@pytest.mark.parametrize("ids", [worthwhile_ids(4, 1), 40], ids=["looked up", "written out"])
def test_an_older_step_reads_the_embedding_of_today_and_keeps_its_state(ids):
    model = a_model([Embedding(ids, 3), RNN(3, 4), Linear(4, 2)])
    trainer = bptt.Trainer(
        model, loss=CrossEntropy(), optimizer=SGD(0.5), truncation=TBPTT(1, 4), workers=1
    )
    stream = bptt.Stream(np.zeros(4, int), 1, np.array([1, 0, 1, 1]))
    updates = trainer.steps(stream)
    h = [np.zeros(4)]
    for goal in (1, 0, 1, 1):
        p = {name: values.copy() for name, values in model.params.items()}
        row = p["0.W"][0]
        h.append(np.tanh(row @ p["1.Wx"] + h[-1] @ p["1.Wh"] + p["1.b"]))
        y = np.exp(h[-1] @ p["2.W"] + p["2.b"])
        delta = p["2.W"] @ (y / y.sum() - np.eye(2)[goal])
        dwx, dwh, dw = np.zeros((3, 4)), np.zeros((4, 4)), np.zeros(3)
        for before, after in zip(h[-2::-1], h[:0:-1], strict=True):
            dz = delta * (1 - after**2)
            dwx, dwh, dw = dwx + np.outer(row, dz), dwh + np.outer(before, dz), dw + p["1.Wx"] @ dz
            delta = p["1.Wh"] @ dz
        step = next(updates)
        assert_close(step.grads["1.Wx"], dwx)
        assert_close(step.grads["1.Wh"], dwh)
        assert_close(step.grads["0.W"][0], dw)
