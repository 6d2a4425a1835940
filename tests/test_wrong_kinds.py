"""Whatever a public function is given in place of an argument: it works, or says what is wrong."""

import math
import warnings

import numpy as np
import pytest

import bptt

JUNK = [
    None, True, -1, 0, 1.5, math.nan, 1j, "words", b"bytes", object(), [], {}, [[]], [None],
    {"a": 1}, lambda: 0, int, np.uint8(3), np.float32(0.5), np.array(2), np.zeros((0, 2)),
    np.array(["a"]), np.array([object()]), np.ones((2, 2, 2, 2)), bptt.SGD(0.1), bptt.Linear(2, 2),
]  # fmt: skip
X = np.arange(12).reshape(6, 2) % 5
PAIRS = [X[:4, 0], X[:3, 1]]


def ids():
    return bptt.Model([bptt.Embedding(5, 4), bptt.LSTM(4, 3), bptt.Linear(3, 5)])


def floats():
    return bptt.Model([bptt.RNN(2, 3), bptt.Linear(3, 2)])


def stream():
    return bptt.Stream(np.arange(40) % 5, batch=2)


def trainer(**options):
    usual = {"model": ids(), "loss": bptt.CrossEntropy(), "optimizer": bptt.SGD(1e-3)}
    return bptt.Trainer(**(usual | {"truncation": bptt.TBPTT(3, 4)} | options))


WINDOW = {"model": ids(), "loss": bptt.CrossEntropy(), "x": X, "targets": X, "state": None}
MARKS = {"mask": None, "resets": None, "ended": None}
FLOATS = np.ones((4, 2), np.float32)
CALLS = {
    "Model": (bptt.Model, {"layers": [bptt.Linear(2, 3)], "seed": 0, "dtype": "float32"}),
    "model": (ids(), {"x": X, "state": None, "resets": None, "ended": None, "workers": None}),
    "zero_state": (ids().zero_state, {"lanes": 2}),
    "generate": (
        ids().generate,
        {"start": X[:, 0], "steps": 2, "state": None, "temperature": 0.5, "top_k": 2, "seed": 0},
    ),
    "forecast": (floats().generate, {"start": FLOATS, "steps": 2, "state": None}),
    "from_config": (bptt.Model.from_config, {"config": ids().config()}),
    "Model.load": (bptt.Model.load, {"path": "none"}),
    "value_and_grad": (
        bptt.value_and_grad,
        {**WINDOW, **MARKS, "seed": None, "clip_delta": None, "memory": None, "workers": 1},
    ),
    "gradients": (bptt.gradients, {**WINDOW, **MARKS, "seed": None}),
    "gradient_flow": (
        bptt.gradient_flow,
        {**WINDOW, "mask": None, "lags": None, "per_lane": False, "window": None},
    ),
    "histories": (bptt.histories, {"model": ids(), "x": X, "state": None}),
    "jacobian_spectrum": (bptt.jacobian_spectrum, {"model": ids(), "x": X, "state": None}),
    "rtrl": (bptt.rtrl, {**WINDOW, "mask": None, "resets": None}),
    "rtrl_steps": (lambda **given: list(bptt.rtrl_steps(**given)), {**WINDOW}),
    "truncation_report": (
        bptt.truncation_report,
        {
            "model": ids(),
            "loss": bptt.CrossEntropy(),
            "stream": stream(),
            "windows": [2],
            "steps": None,
            "tolerance": 0.1,
            "workers": None,
        },
    ),
    "predict": (bptt.predict, {"model": ids(), "source": stream()}),
    "Stream": (
        bptt.Stream,
        {"data": X[:, 0], "batch": 2, "targets": None, "resets": None, "mask": None, "burn_in": 0},
    ),
    "Padded": (
        bptt.Padded,
        {
            "sequences": PAIRS,
            "targets": [1, 2],
            "batch": 2,
            "mask": None,
            "bucket": True,
            "shuffle": True,
            "seed": 0,
        },
    ),
    "Feed": (bptt.Feed, {"pieces": [(X, X)], "batch": 2}),
    "Trainer": (
        trainer,
        {
            "model": ids(),
            "loss": bptt.CrossEntropy(),
            "optimizer": bptt.SGD(0.1),
            "truncation": bptt.FullBPTT(),
            "clip": None,
            "regularizers": (),
            "workers": None,
            "seed": 0,
            "callbacks": (),
        },
    ),
    "steps": (lambda stream: list(trainer().steps(stream)), {"stream": stream()}),
    "fit": (
        lambda **given: trainer().fit(**given, progress=False),
        {"train": stream(), "epochs": 1, "validation": None},
    ),
    "evaluate": (trainer().evaluate, {"stream": stream()}),
    "observe": (trainer().observe, {"train_loss": 1.0, "validation_loss": 1.0}),
    "Trainer.load": (bptt.Trainer.load, {"path": "none", "callbacks": None}),
    "Block": (bptt.Block, {"shapes": {"a": (2,)}, "dtype": "float32", "flat": None}),
    "Vocabulary": (bptt.Vocabulary.of, {"text": "words"}),
    "encode": (bptt.Vocabulary.of("words").encode, {"text": "words"}),
    "decode": (bptt.Vocabulary.of("words").decode, {"ids": [0, 1]}),
    "LSTM": (
        bptt.LSTM,
        {
            "n_in": 3,
            "n": 4,
            "forget_bias": 1.0,
            "layer_norm": False,
            "peepholes": False,
            "feedback": "exact",
        },
    ),
    "GRU": (bptt.GRU, {"n_in": 3, "n": 4, "reset_after": True}),
    "RNN": (bptt.RNN, {"n_in": 3, "n": 4, "activation": "tanh", "omega": 0.0}),
    "Embedding": (bptt.Embedding, {"n_ids": 3, "n_out": 4}),
    "Linear": (bptt.Linear, {"n_in": 3, "n_out": 4}),
    "Activation": (bptt.Activation, {"n": 3, "activation": "relu"}),
    "BatchNorm": (bptt.BatchNorm, {"n": 3, "momentum": 0.1, "eps": 1e-5}),
    "LayerNorm": (bptt.LayerNorm, {"n": 3, "eps": 1e-5}),
    "Dropout": (bptt.Dropout, {"n": 3, "p": 0.5}),
    "VariationalDropout": (bptt.VariationalDropout, {"n": 3, "p": 0.5}),
    "ActivationPenalty": (bptt.ActivationPenalty, {"n": 3, "ar": 0.1, "tar": 0.1}),
    "Residual": (bptt.Residual, {"layer": bptt.Linear(2, 2)}),
    "Bidirectional": (bptt.Bidirectional, {"layer": bptt.GRU(2, 2)}),
    "Zoneout": (bptt.Zoneout, {"layer": bptt.LSTM(2, 2), "h": 0.1, "c": 0.1}),
    "TBPTT": (
        bptt.TBPTT,
        {"k1": 2, "k2": 4, "losses": "last", "clip_delta": 1.0, "memory": "sqrt"},
    ),
    "RandomTBPTT": (bptt.RandomTBPTT, {"k": 3}),
    "ARTBP": (bptt.ARTBP, {"k": 3}),
    "AdaptiveTBPTT": (bptt.AdaptiveTBPTT, {"k1": 2}),
    "SGD": (bptt.SGD, {"learning_rate": 0.1, "momentum": 0.0, "weight_decay": 0.0}),
    "Adam": (bptt.Adam, {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.9, "eps": 1e-8}),
    "AdaGrad": (bptt.AdaGrad, {"learning_rate": 0.1, "eps": 1e-8}),
    "RMSProp": (bptt.RMSProp, {"learning_rate": 0.1, "eps": 1e-8}),
    "Exponential": (bptt.Exponential, {"initial": 0.1, "factor": 0.5, "after": 1}),
    "StepDecay": (bptt.StepDecay, {"initial": 0.1, "factor": 0.5, "every": 1}),
    "Cosine": (bptt.Cosine, {"initial": 0.1, "final": 0.0, "updates": 3}),
    "WarmUp": (bptt.WarmUp, {"updates": 3, "then": 0.1}),
    "OnPlateau": (bptt.OnPlateau, {"initial": 0.1, "factor": 0.5, "patience": 1}),
    "CrossEntropy": (bptt.CrossEntropy, {"label_smoothing": 0.1}),
    "Huber": (bptt.Huber, {"delta": 1.0}),
    "ClipNorm": (bptt.ClipNorm, {"norm": 1.0}),
    "L2": (bptt.L2, {"rate": 0.1, "names": None}),
    "WeightDrop": (bptt.WeightDrop, {"p": 0.1, "names": None}),
    "EarlyStopping": (bptt.EarlyStopping, {"patience": 3}),
    "Checkpoint": (bptt.Checkpoint, {"path": "file"}),
    "adding": (bptt.datasets.adding, {"count": 2, "length": 20, "seed": 0}),
    "copy_memory": (bptt.datasets.copy_memory, {"delay": 2, "count": 2, "seed": 0}),
    "CSVLog": (bptt.CSVLog, {"path": "file"}),
}


def pictures():
    """What is drawn, by the function that draws it."""
    drawn, run = ids(), trainer()
    run.fit(stream(), 2, progress=False)
    flow = bptt.gradient_flow(drawn, bptt.CrossEntropy(), X, X)
    found = bptt.histories(drawn, X)
    report = bptt.truncation_report(drawn, bptt.CrossEntropy(), stream(), [2, 4])
    plot = bptt.plot
    return {
        plot.activations: {"values": found["1.h"], "lane": 0, "text": None},
        plot.characters: {"text": "abcd", "values": np.ones(4), "width": 60},
        plot.flow_over_training: {"flows": {1: flow}, "name": None},
        plot.gradient_flow: {"flow": flow, "window": None, "names": None},
        plot.gradient_map: {"flow": flow, "name": None},
        plot.lyapunov: {"spectrum": bptt.jacobian_spectrum(drawn, X[:, :1])},
        plot.parameters: {"watch": run.watch()},
        plot.saturation: {"histories": found},
        plot.spectrum: {"what": drawn, "layer": None},
        plot.training: {"history": run.history, "against": "updates"},
        plot.truncation_report: {"report": report},
    }


def test_pictures_of_wrong_things_are_refused_too():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    found = []
    for draw, given in pictures().items():
        for argument in (*given, "ax"):
            for junk in JUNK:
                try:
                    draw(**(given | {argument: junk}))
                except (TypeError, ValueError, DeprecationWarning):
                    pass  # An older NumPy warns where a newer one raises ValueError.
                except Exception as error:
                    found.append(f"{draw.__name__}({argument}={junk!r:.40}): {error!r:.150}")
                pyplot.close("all")
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_are_refused_with_a_type_or_value_error(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, given = CALLS[name]
    found = []
    for argument in given:
        for junk in JUNK:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    call(**(given | {argument: junk}))
                except (TypeError, ValueError, OSError):
                    problem = ""
                except Exception as error:
                    problem = f"{type(error).__name__}: {error}"
                else:
                    problem = ""
            if problem:
                found.append(f"{argument}={junk!r:.40}: {problem:.150}")
    assert not found, "\n" + "\n".join(found)
