"""Copied and pickled, objects hold the same values, but in arrays of their own."""

import copy
import itertools
import multiprocessing
import pickle
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from helpers import a_model, a_trainer
from test_resume import run

import bptt
from bptt import (
    LSTM,
    TBPTT,
    AdamW,
    BatchNorm,
    Bidirectional,
    ClipAdaptive,
    CrossEntropy,
    Dropout,
    EarlyStopping,
    Embedding,
    Feed,
    FullBPTT,
    JSONLog,
    Linear,
    Model,
    OnPlateau,
    Padded,
    SquaredError,
    Stream,
    Trainer,
    Vocabulary,
    WeightDrop,
    WeightNoise,
)

IDS = np.random.default_rng(1).integers(0, 6, 81)


def pickled(thing):
    return pickle.loads(pickle.dumps(thing))


def mapped(thing):
    """By way of arrays that are read-only and begin anywhere, as joblib hands large ones over."""
    buffers = []
    plain = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    odd = [memoryview(b"..." + bytes(buffer.raw()))[3:] for buffer in buffers]
    return pickle.loads(plain, buffers=odd)


HOW = [copy.deepcopy, pickled, mapped]
COPIES = pytest.mark.parametrize("how", HOW, ids=lambda how: how.__name__)


def values(thing, known=()):
    """All that ``thing`` holds, as plain values, deep down; of a circle, once."""
    if id(thing) in known:
        return "again"
    known = (*known, id(thing))
    if isinstance(thing, np.ndarray):
        return thing.dtype.str, thing.shape, thing.tobytes()
    if isinstance(thing, Mapping):
        return {name: values(value, known) for name, value in thing.items()}
    if isinstance(thing, list | tuple):
        return type(thing).__name__, [values(value, known) for value in thing]
    slots = [s for kind in type(thing).__mro__ for s in getattr(kind, "__slots__", ())]
    inside = {name: getattr(thing, name) for name in slots if name != "__weakref__"}
    inside |= getattr(thing, "__dict__", {})
    if not inside:
        return repr(thing)
    return type(thing).__name__, values(inside, known)


def arrays(thing, known):
    """All arrays in ``thing``, deep down."""
    if id(thing) in known:
        return
    known.add(id(thing))
    if isinstance(thing, np.ndarray):
        yield thing
    elif isinstance(thing, Mapping):
        yield from itertools.chain.from_iterable(arrays(value, known) for value in thing.values())
    elif isinstance(thing, list | tuple):
        yield from itertools.chain.from_iterable(arrays(value, known) for value in thing)
    elif hasattr(thing, "__dict__"):
        yield from arrays(vars(thing), known)


def a_rich_trainer(workers=1, **changes):
    """With all that changes in training."""
    layers = [Embedding(6, 4), LSTM(4, 5), BatchNorm(5), Dropout(5, 0.2), Linear(5, 6)]
    options = {
        "model": a_model(layers, "float32"),
        "optimizer": AdamW(OnPlateau(0.01, patience=1)),
        "truncation": TBPTT(2, 7, clip_delta=0.5),
        "clip": ClipAdaptive(0.1),
        "regularizers": [WeightNoise(0.01), WeightDrop(0.2)],
        "callbacks": [EarlyStopping(3)],
        "workers": workers,
    }
    return a_trainer(**options | changes)


X = IDS[:40].reshape(20, 2)
STREAM = Stream(IDS, 2, resets=np.arange(81) % 20 == 0, burn_in=1)
PADDED = Padded([IDS[:3], IDS[:9], IDS[:5]], np.array([0, 1, 2]), 2)
LOSS = CrossEntropy()
RECORDS = {
    "Stream": lambda _: STREAM,
    "Stream of floats": lambda _: Stream(np.linspace(0, 1, 9), 2, mask=np.arange(9) > 3),
    "Padded": lambda _: PADDED,
    "Padded, arranged": lambda _: PADDED.arranged(3),
    "Reader": lambda _: STREAM.reader(3),
    "Chunk": lambda _: STREAM.reader().take(4),
    "Vocabulary": lambda _: Vocabulary.of("hello, world"),
    "Step": lambda trainer: next(trainer.steps(STREAM)),
    "Watch": lambda trainer: trainer.watch(),
    "History": lambda trainer: trainer.history,
    "Callbacks": lambda trainer: trainer.callbacks,
    "Pass": lambda trainer: trainer.under_way,
    "moments": lambda trainer: trainer.moments,
    "policies": lambda trainer: [trainer.loss, trainer.optimizer, trainer.truncation, trainer.clip,
                                 trainer.regularizers, trainer.model.layers],
    "arrays": lambda trainer: trainer.model.arrays,
    "state": lambda trainer: trainer.model(X)[1],
    "histories": lambda trainer: bptt.histories(trainer.model, X),
    "Epoch": lambda _: bptt.Epoch(1, 2, 0.5, 0.4, 0.1),
    "Gradients": lambda trainer: bptt.gradients(trainer.model, LOSS, X, X),
    "GradientFlow": lambda trainer: bptt.gradient_flow(trainer.model, LOSS, X, X),
    "TruncationReport": lambda _: bptt.truncation_report(
        a_model([Embedding(6, 3), LSTM(3, 6)]), LOSS, STREAM, [4, 8]),
    "JacobianSpectrum": lambda _: bptt.jacobian_spectrum(a_model([LSTM(2, 3)]), np.ones((5, 1, 2))),
    "OnlineStep": lambda _: next(bptt.rtrl_steps(
        a_model([LSTM(2, 3)]), SquaredError(), np.ones((2, 1, 2)), np.ones((2, 1, 3)))),
    "Bidirectional": lambda _: Bidirectional(LSTM(3, 4)),
}  # fmt: skip
"""One of each kind that people keep, of or beside a trainer that has run."""


@COPIES
@pytest.mark.parametrize("name", RECORDS)
def test_what_people_keep_is_the_same_in_its_copy(name, how):
    trainer = a_rich_trainer()
    trainer.fit(STREAM, 1, STREAM, progress=False)
    thing = RECORDS[name](trainer)
    twin = how(thing)
    assert values(twin) == values(thing)
    ours = [array for array in arrays(thing, set()) if array.size]
    for theirs in arrays(twin, set()):
        assert not any(np.shares_memory(theirs, array) for array in ours)


@COPIES
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("after", [0, 1, 3, 20, 25])
def test_a_trainer_and_its_copy_go_on_alike_and_apart(how, workers, after):
    """Before the first update, in mid-pass, at the end of a pass, and in the next one."""
    trainer, alone = a_rich_trainer(workers), a_rich_trainer(workers)
    assert run(trainer, after) == run(alone, after)
    twin = how(trainer)
    wanted = run(alone, 30)
    assert run(twin, 30) == wanted
    assert run(trainer, 30) == wanted
    assert twin.model.params.flat.tobytes() == trainer.model.params.flat.tobytes()
    assert twin.model.buffers.flat.tobytes() == trainer.model.buffers.flat.tobytes()
    assert values(dict(twin.moments)) == values(dict(trainer.moments))
    before = trainer.model.params.flat.copy()
    run(twin, 1)
    assert np.array_equal(trainer.model.params.flat, before)
    assert not np.array_equal(twin.model.params.flat, before)


@COPIES
def test_a_copy_made_by_a_callback_or_within_a_pass_of_fit(how, tmp_path):
    class Twin(bptt.Callback):
        def after_update(self, trainer, step, memo):
            if step.n == 12 and "twin" not in found:
                found["twin"] = True
                found["twin"] = how(trainer)

    found = {}
    batches = Padded([IDS[:n] for n in (3, 9, 5, 7)], np.array([0, 1, 2, 3]), 2, seed=3)
    options = {"truncation": FullBPTT(), "optimizer": AdamW(0.01)}
    trainer = a_trainer(**options, callbacks=[Twin(), JSONLog(tmp_path / "log")])
    if how is not copy.deepcopy:
        Twin.__reduce__ = lambda self: (bptt.Callback, ())
    trainer.fit(batches, 10, batches, progress=False)
    twin = found["twin"]
    assert (twin.n, twin.epoch, len(twin.history.loss)) == (12, 6, 12)
    twin.callbacks = []
    twin.fit(batches, 4, batches, progress=False)
    assert twin.model.params.flat.tobytes() == trainer.model.params.flat.tobytes()
    assert list(twin.history.loss) == list(trainer.history.loss)


@COPIES
def test_what_is_shared_in_a_container_is_shared_in_its_copy(how):
    trainer = a_rich_trainer()
    run(trainer, 3)
    model = trainer.model
    container = [model.params, model, trainer, [trainer], model.buffers]
    params, one, other, both, buffers = how(container)
    assert other.model is one
    assert both[0] is other
    assert one.params is params
    assert one.buffers is buffers
    for name, view in one.arrays.items():
        assert np.shares_memory(view, (params if name in params else buffers).flat), name
    before = params.flat.copy()
    run(other, 1)
    assert not np.array_equal(params.flat, before)
    wanted = one(X)[0]
    params.flat *= 0.5
    assert not np.array_equal(one(X)[0], wanted)


@COPIES
def test_what_people_add_to_their_objects_goes_with_them(how):
    model = Named([LSTM(2, 3)])
    trainer = a_trainer(model=model, loss=SquaredError())
    model.words, trainer.note = Vocabulary("abc"), ["seen"]
    for twin in (how(model), how(trainer).model, copy.copy(model)):
        assert type(twin) is Named
        assert twin.words == model.words
    assert how(trainer).note == ["seen"]


class Named(Model):
    """Of somebody's own."""


def test_a_shallow_copy_of_a_trainer_is_refused():
    with pytest.raises(TypeError, match=r"take copy\.deepcopy\(trainer\), or save it and load it"):
        copy.copy(a_trainer())


@pytest.mark.parametrize("how", [copy.copy, *HOW])
def test_a_feed_is_refused(how):
    for thing in (Feed([IDS]), [a_trainer(), Feed(iter([IDS]))]):
        if how is not copy.copy or isinstance(thing, Feed):
            with pytest.raises(TypeError, match=r"a Feed cannot be copied or pickled.*save"):
                how(thing)


def test_a_copy_has_no_newest_update_to_look_at():
    trainer = a_trainer()
    run(trainer, 2)
    with pytest.raises(ValueError, match="no update since the trainer was made, copied, loaded"):
        copy.deepcopy(trainer).watch()
    assert trainer.watch().n == 2


def test_other_processes_get_models_and_trainers():
    trainer, stream = a_trainer(workers=2), Stream(IDS, 2)
    model, spawn = trainer.model, multiprocessing.get_context("spawn")
    run(trainer, 3)
    wanted = bptt.predict(model, stream), trainer.evaluate(stream)
    with ProcessPoolExecutor(1, spawn) as pool:
        outputs = pool.submit(bptt.predict, model, stream).result(120)
        loss = pool.submit(Trainer.evaluate, trainer, stream).result(120)
        back = pool.submit(copy.deepcopy, [model, trainer]).result(120)
    assert np.array_equal(outputs, wanted[0])
    assert loss == wanted[1]
    assert back[0] is back[1].model
    assert run(back[1], 20) == run(trainer, 20)
