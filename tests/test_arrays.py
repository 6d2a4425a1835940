"""Arrays come in by one door: masks count or are refused, and errors say what came as what."""

from datetime import date

import numpy as np
import pytest
from helpers import Frozen, a_model

import bptt
from bptt import (
    LSTM,
    CrossEntropy,
    DataError,
    Embedding,
    Feed,
    FullBPTT,
    Linear,
    Padded,
    SquaredError,
    Stream,
    Trainer,
    Vocabulary,
    datasets,
)

RNG = np.random.default_rng(0)
T, B = 5, 2
STACK = [LSTM(3, 4), Linear(4, 3)]
FLOATS, IDS = (a_model([bottom, *STACK]) for bottom in (Linear(3, 3), Embedding(3, 3)))
X, Y = RNG.normal(size=(T, B, 3)), RNG.normal(size=(T, B, 3))
I, J = RNG.integers(0, 3, (T, B)), RNG.integers(0, 3, (T, B))
MARKS = np.ones((T, B), bool)
H = np.zeros((B, 4))
SQUARED = SquaredError()


def state(h):
    return {**FLOATS.zero_state(B), "1.h": h}


def put(name):
    def call(values):
        FLOATS.params[name] = values

    return call


ENTRANCES = {
    "model x": (X, FLOATS, "x"),
    "model ids": (I, IDS, "x"),
    "model state": (H, lambda h: FLOATS(X, state(h)), "state['1.h']"),
    "model resets": (MARKS, lambda m: FLOATS(X, resets=m), "resets"),
    "model ended": (MARKS, lambda m: FLOATS(X, ended=m), "ended"),
    "generate": (X, lambda x: FLOATS.generate(x, 2), "start"),
    "generate one lane": (I[:, 0], lambda x: IDS.generate(x, 2), "start"),
    "generate state": (H, lambda h: FLOATS.generate(X, 2, state=state(h)), "state['1.h']"),
    "value_and_grad": (X, lambda x: bptt.value_and_grad(FLOATS, SQUARED, x, Y), "x"),
    "gradients": (X, lambda x: bptt.gradients(FLOATS, SQUARED, x, Y), "x"),
    "gradients state": (H, lambda h: bptt.gradients(FLOATS, SQUARED, X, Y, state(h)),
                        "state['1.h']"),
    "gradients mask": (MARKS, lambda m: bptt.gradients(FLOATS, SQUARED, X, Y, mask=m), "mask"),
    "gradients resets": (MARKS, lambda m: bptt.gradients(FLOATS, SQUARED, X, Y, resets=m),
                         "resets"),
    "gradients ended": (MARKS, lambda m: bptt.gradients(FLOATS, SQUARED, X, Y, ended=m), "ended"),
    "gradient_flow": (X, lambda x: bptt.gradient_flow(FLOATS, SQUARED, x, Y), "x"),
    "gradient_flow mask": (MARKS, lambda m: bptt.gradient_flow(FLOATS, SQUARED, X, Y, mask=m),
                           "mask"),
    "quantiles": (np.array([0.1, 0.5]),
                  lambda s: bptt.gradient_flow(FLOATS, SQUARED, X, Y).quantiles("1.h", s),
                  "shares"),
    "histories": (X, lambda x: bptt.histories(FLOATS, x), "x"),
    "jacobian_spectrum": (X[:, :1], lambda x: bptt.jacobian_spectrum(FLOATS, x), "x"),
    "rtrl": (X, lambda x: bptt.rtrl(FLOATS, SQUARED, x, Y), "x"),
    "rtrl mask": (MARKS, lambda m: bptt.rtrl(FLOATS, SQUARED, X, Y, mask=m), "mask"),
    "rtrl resets": (MARKS, lambda m: bptt.rtrl(FLOATS, SQUARED, X, Y, resets=m), "resets"),
    "parameters": (np.ones((3, 16)), put("1.Wx"), "1.Wx"),
    "loss": (Y, lambda y: SQUARED.targets(y, B, 3, np.dtype("float64")), "targets"),
    "loss of ids": (J, lambda y: CrossEntropy().targets(y, B, 3, np.dtype("float64")), "targets"),
    "Stream": (X[:, 0], lambda x: Stream(x, 1), "data"),
    "Stream mask": (MARKS[:, 0], lambda m: Stream(I[:, 0], 1, mask=m), "mask"),
    "Stream resets": (MARKS[:, 0], lambda m: Stream(I[:, 0], 1, resets=m), "resets"),
    "Padded": (I[:, 0], lambda x: Padded([[1], x], [0, 1]), "sequences[1]"),
    "Padded mask": (MARKS[:, 0], lambda m: Padded([I[:, 0]], [J[:, 0]], mask=[m]), "mask[0]"),
    "Feed": (X[:, 0], lambda x: Feed([x]), "pieces[0]"),
    "Feed x": (I, lambda x: Feed([(x, J)], B), "pieces[0][0]"),
    "Feed resets": (MARKS[:, 0], lambda m: Feed([(I[:, 0], None, m)]), "pieces[0][2]"),
    "Vocabulary": (I[:, 0], Vocabulary("abc").decode, "ids"),
    "reber_legal": (np.array([0, 1]), datasets.reber_legal, "sequence"),
}  # fmt: skip
TARGETS = {
    "value_and_grad": (Y, lambda y: bptt.value_and_grad(FLOATS, SQUARED, X, y), "targets"),
    "Stream": (Y[:, 0], lambda y: Stream(X[:, 0], 1, y), "targets"),
    "Padded": (Y[:, 0], lambda y: Padded([X[:, 0]], [y]), "targets[0]"),
    "labels": (J[:, 0], lambda y: Padded(list(X), y), "targets"),
    "Feed": (Y, lambda y: Feed([(X, y)], B), "pieces[0][1]"),
}
NO_ARRAYS = ["text", ["a", "b"], object(), {"a": 1}, {1, 2}, [[1], [1, 2]], [1, None], date.min, 1j,
             np.zeros((3, 4, 5, 6)), 2**70, np.array([1, 2], "M8[s]"), iter([1]), np.float64,
             np.zeros(0), [np.ma.masked], [np.ma.array([1.0, 2.0], mask=[0, 1])]]  # fmt: skip


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_what_is_masked_is_refused_and_where_nothing_is_it_is_read(entrance):
    array, call, name = ENTRANCES[entrance]
    where = np.zeros(array.shape, bool)
    call(np.ma.array(array, mask=where))
    place = (1,) * (array.ndim if array.shape[1:2] != (1,) else 1)
    where[place] = True
    with pytest.raises(DataError) as caught:
        call(np.ma.array(array, mask=where))
    index = (*place, 0, 0)[: array.ndim]
    assert str(caught.value).startswith(f"{name}[{', '.join(map(str, index))}] is masked")


@pytest.mark.parametrize("given", NO_ARRAYS, ids=repr)
@pytest.mark.parametrize("entrance", [*ENTRANCES, *(f"targets of {one}" for one in TARGETS)])
def test_what_is_no_such_array_is_refused_by_name(entrance, given):
    _, call, name = ENTRANCES.get(entrance) or TARGETS[entrance.removeprefix("targets of ")]
    allowed = {"Feed": [(0,)], "Vocabulary": [(0,)], "quantiles": [(0,), (3, 4, 5, 6), (2,)]}
    if np.shape(given if isinstance(given, np.ndarray) else 0) in allowed.get(entrance, []):
        return
    with pytest.raises((TypeError, ValueError)) as caught:
        call(given)
    assert name.split("[")[0] in str(caught.value)


def evaluated(model, source, loss):
    trainer = Trainer(model, loss=loss, optimizer=Frozen(), truncation=FullBPTT())
    return trainer.evaluate(source)


def in_lists(values):
    return None if values is None else list(values.swapaxes(0, 1))


def in_one(values):
    return None if values is None else np.ma.concatenate(list(values.swapaxes(0, 1)))


COUNTED = {
    "value_and_grad": lambda m, loss, x, y, mask: bptt.value_and_grad(m, loss, x, y, mask=mask)[0],
    "gradients": lambda m, loss, x, y, mask: bptt.gradients(m, loss, x, y, mask=mask).params.flat,
    "gradient_flow": lambda m, loss, x, y, mask: bptt.gradient_flow(
        m, loss, x, y, mask=mask, per_lane=True
    ).norms[f"{len(m.layers) - 2}.h"],
    "rtrl": lambda m, loss, x, y, mask: bptt.rtrl(m, loss, x, y, mask=mask)[0],
    "Stream": lambda m, loss, x, y, mask: evaluated(
        m, Stream(in_one(x).data, B, in_one(y), mask=mask if mask is None else in_one(mask).data),
        loss
    ),
    "Padded": lambda m, loss, x, y, mask: evaluated(
        m, Padded(in_lists(x), in_lists(y), mask=in_lists(mask)), loss
    ),
    "Feed": lambda m, loss, x, y, mask: evaluated(
        m, Feed([(x[:2], y[:2]), (x[2:], y[2:])], B) if mask is None
        else Padded(in_lists(x), in_lists(y), mask=in_lists(mask)), loss
    ),
}  # fmt: skip


@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("entrance", COUNTED)
def test_masked_targets_do_not_count(entrance, ids):
    model, loss, x, y = (IDS, CrossEntropy(), I, J) if ids else (FLOATS, SQUARED, X, Y)
    gone = RNG.random((T, B)) < 0.4
    gone[0], gone[1] = True, False
    where = gone if ids else np.broadcast_to(gone[..., None], y.shape)
    beneath = np.ma.array(np.where(where, 99 if ids else 1e20, y), mask=where)
    found = COUNTED[entrance](model, loss, x, beneath, None)
    wanted = COUNTED[entrance](model, loss, x, y, ~gone)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_mask_and_masked_targets_count_together():
    gone, told = np.eye(T, B, dtype=bool), np.eye(T, B, -2, dtype=bool)
    beneath = np.ma.array(J, mask=gone)
    for entrance in ("value_and_grad", "Stream", "Padded"):
        found = COUNTED[entrance](IDS, CrossEntropy(), I, beneath, ~told)
        wanted = COUNTED[entrance](IDS, CrossEntropy(), I, J, ~told & ~gone)
        assert found == pytest.approx(wanted, rel=1e-12)


def test_masked_labels_do_not_count():
    labels = np.ma.array([1, 99, 2], mask=[0, 1, 0])
    lists = [I[:3, 0], I[:, 1], I[:4, 0]]
    found = evaluated(IDS, Padded(lists, labels), CrossEntropy())
    assert found == evaluated(IDS, Padded(lists, [1, -1, 2]), CrossEntropy())


@pytest.mark.parametrize("entrance", TARGETS)
def test_a_target_counts_as_a_whole(entrance):
    _, call, name = TARGETS[entrance]
    y = Y if entrance in ("value_and_grad", "Feed") else Y[:, 0]
    where = np.zeros(y.shape, bool)
    where[(1,) * y.ndim] = True
    with pytest.raises(DataError, match="is masked in some of its features, but") as caught:
        call(np.ma.array(y, mask=where))
    assert str(caught.value).startswith(f"{name}[{', '.join('1' * (y.ndim - 1))}]")


def with_one(array, place, value):
    array = array.copy()
    array[place] = value
    return array


SINGLE = a_model(STACK, "float32")
HUGE = {
    "model": (X, (3, 1, 2), SINGLE, "x[3, 1, 2]"),
    "state": (H, (1, 2), lambda h: SINGLE(X, {"0.h": h, "0.c": H}), "state['0.h'][1, 2]"),
    "generate": (X[:, 0], (3, 2), lambda x: SINGLE.generate(x, 2), "start[3, 2]"),
    "targets": (Y, (3, 1, 2), lambda y: bptt.value_and_grad(SINGLE, SQUARED, X, y),
                "targets[3, 1, 2]"),
}  # fmt: skip


@pytest.mark.parametrize("entrance", HUGE)
def test_a_number_too_large_for_the_model_is_named_as_it_came(entrance):
    array, place, call, name = HUGE[entrance]
    for value, said in ((1e300, "is 1e+300, too large for float32"),
                        (np.nan, "is nan, not a finite number")):  # fmt: skip
        with pytest.raises(DataError) as caught:
            call(with_one(array, place, value))
        assert str(caught.value) == f"{name} {said}"
