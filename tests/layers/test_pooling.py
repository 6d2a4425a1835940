"""Mean, Max and Last: what they are of a whole sequence, of its pieces, and of ties and NaN."""

import numpy as np
import pytest
from helpers import a_model, an_input, assert_close

import bptt
from bptt import Last, Linear, Max, Mean, Model, SquaredError

WHOLE = {Mean: np.mean, Max: np.max, Last: lambda x, axis: x[-1]}


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_at_the_last_step_they_have_seen_the_whole_sequence(kind, dtype):
    model = Model([kind(7)], dtype=dtype)
    x = an_input(model, 40, 3) - 5
    y, _ = model(x)
    for t in range(40):
        assert_close(y[t], WHOLE[kind](x[: t + 1], axis=0), 1e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("kind", [Mean, Max])
def test_they_count_steps_and_stream(kind):
    model = Model([kind(3)], dtype="float64")
    x = an_input(model, 20, 2)
    whole, final = model(x)
    assert final.shapes == {"0.h": (2, 3), "0.count": (2, 3)}
    assert (final["0.count"] == 20).all()
    assert np.array_equal(final["0.h"], whole[-1])
    state = None
    for t in range(20):
        y, state = model(x[t : t + 1], state)
        assert np.array_equal(y[0], whole[t])
    assert np.array_equal(state.flat, final.flat)


@pytest.mark.parametrize("kind", [Mean, Max])
def test_a_new_sequence_is_counted_from_one(kind):
    model = Model([kind(3)], dtype="float64")
    x, resets = an_input(model, 9, 2) - 5, np.zeros((9, 2), bool)
    resets[4, 1] = resets[6, 1] = True
    y, final = model(x, resets=resets)
    assert final["0.count"].tolist() == [[9] * 3, [3] * 3]
    assert np.array_equal(y[4, 1], x[4, 1])
    assert_close(y[5, 1], WHOLE[kind](x[4:6, 1], axis=0), 1e-14)
    assert_close(y[:, 0], model(x[:, :1])[0][:, 0], 1e-15)


def test_of_equals_the_first_gets_the_error():
    model = Model([Max(2)], dtype="float64")
    x = np.array([[1.0, 3.0], [4.0, 3.0], [4.0, 2.0]])[:, np.newaxis]
    found = bptt.gradients(model, SquaredError(), x, np.zeros((1, 1, 2)))
    assert found.x[:, 0].tolist() == [[0, 3], [4, 0], [0, 0]]
    assert (found.state["0.count"] == 0).all()


@pytest.mark.parametrize("steps", [3, 30])
@pytest.mark.parametrize("other", [0.0, -1e308])
def test_a_maximum_does_not_hide_what_is_not_finite(other, steps):
    model = a_model([Linear(2, 1), Max(1)])
    model.params.flat[:] = [1e308, other, 0.0]
    x = np.ones((steps, 1, 2))
    x[1] = 1e10
    with np.errstate(all="ignore"):
        y, _ = model(x)
    assert np.isfinite(y[0]).all()
    assert not np.isfinite(y[1:]).any()


@pytest.mark.parametrize("kind", WHOLE)
def test_a_target_for_each_sequence_trains_what_is_below(kind):
    """Masked but at the last step, and compared with the gradient by the pooled features."""
    model = a_model([Linear(3, 4), kind(4), Linear(4, 2)])
    x, goal = an_input(model, 6, 3), np.ones((1, 3, 2))
    found = bptt.gradients(model, SquaredError(), x, goal)
    alone = bptt.gradients(
        model, SquaredError(), x, np.concatenate([np.zeros((5, 3, 2)), goal]),
        mask=np.arange(6)[:, np.newaxis] == np.full((6, 3), 5),
    )  # fmt: skip
    assert_close(found.params.flat, alone.params.flat, 1e-13)
    assert np.abs(found.x).max() > 0
    if kind is Last:
        assert not found.x[:-1].any()
    if kind is Mean:
        np.testing.assert_allclose(found.x, found.x[:1].repeat(6, axis=0), rtol=1e-12)
