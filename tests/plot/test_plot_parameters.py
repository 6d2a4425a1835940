"""The bars of gradients and the ratios of updates are those of the Watch."""

from dataclasses import replace

import numpy as np
import pytest
from fitting import assert_fits
from matplotlib import pyplot

import bptt
from bptt import ParameterNorms, Watch, plot


def watch_of(**parameters):
    """A Watch of update 7 with ``l1_Wh=(value, update, mean, max)`` for "1.Wh"."""
    norms = {
        name[1:].replace("_", "."): ParameterNorms(value, 1.0, update, mean, largest)
        for name, (value, update, mean, largest) in parameters.items()
    }
    return Watch(7, {}, {}, {}, norms)


def stack(layers):
    """A Watch of an embedding, so many LSTMs, and a linear layer."""
    names = ["l0_W", *(f"l{i}_{n}" for i in range(1, layers + 1) for n in ("Wx", "Wh", "b"))]
    names += [f"l{layers + 1}_W", f"l{layers + 1}_b"]
    return watch_of(**{name: (0.5, 1e-3, 10.0 ** -(i % 5), 1.0) for i, name in enumerate(names)})


TWO = watch_of(l1_Wh=(0.5, 5e-4, 1e-4, 1e-2), l2_b=(0.1, 1e-3, 2e-3, 3e-3))


def bars(ax):
    """Label -> the height at which each bar ends."""
    return {
        group.get_label(): [bar.get_y() + bar.get_height() for bar in group]
        for group in ax.containers
    }


def ratios(ax):
    (line,) = [line for line in ax.figure.axes[-1].lines if line.get_marker() == "o"]
    return line.get_ydata()


def names(ax):
    return [label.get_text() for label in ax.figure.axes[-1].get_xticklabels()]


def test_bars_and_ratios_are_those_of_the_watch():
    ax = plot.parameters(TWO)
    below = ax.figure.axes[-1]
    assert bars(ax)["mean |gradient|"] == pytest.approx([1e-4, 2e-3])
    assert bars(ax)["largest |gradient|"] == pytest.approx([1e-2, 3e-3])
    assert ax.get_yscale() == "log"
    assert ratios(ax) == pytest.approx([-3, -2])
    assert any(list(line.get_ydata()) == [-3, -3] for line in below.lines)
    assert [text.get_text() for text in below.texts] == ["1e-3"]
    assert names(ax) == ["1.Wh", "2.b"]
    assert "update 7" in ax.get_title(loc="left")
    assert_fits(ax.figure)


def test_every_bar_is_seen_from_its_foot():
    ax = plot.parameters(TWO)
    bottom, top = ax.get_ylim()
    assert all(bar.get_y() == bottom for group in ax.containers for bar in group)
    assert bottom < 1e-4 < 1e-2 < top


def test_a_trainer_s_watch():
    model = bptt.Model([bptt.Embedding(5, 3), bptt.LSTM(3, 4), bptt.Linear(4, 5)])
    trainer = bptt.Trainer(
        model,
        loss=bptt.CrossEntropy(),
        optimizer=bptt.SGD(0.1),
        truncation=bptt.TBPTT(4, 4),
    )
    stream = bptt.Stream(np.arange(41) % 5, 2)
    step = next(trainer.steps(stream))
    ax = plot.parameters(trainer.watch())
    assert names(ax) == list(model.params)
    expected = [np.abs(grad).mean() for grad in step.grads.values()]
    assert bars(ax)["mean |gradient|"] == pytest.approx(expected, rel=1e-5)
    assert_fits(ax.figure)


def test_what_is_zero_is_marked_and_has_no_bar():
    ax = plot.parameters(watch_of(l1_b=(0.0, 0.0, 0.0, 0.0), l1_Wh=(0.5, 5e-4, 1e-4, 1e-2)))
    below = ax.figure.axes[-1]
    assert np.isnan(bars(ax)["mean |gradient|"]).tolist() == [True, False]
    assert np.isnan(ratios(ax)).tolist() == [True, False]
    for panel in (ax, below):
        (zero,) = [text for text in panel.texts if text.get_text() == "0"]
        assert zero.xy == (0, 0)
    assert_fits(ax.figure)


def test_only_zeros():
    ax = plot.parameters(watch_of(l1_b=(0.0, 0.0, 0.0, 0.0)))
    assert [text.get_text() for text in ax.texts] == ["0"]
    assert_fits(ax.figure)


def test_an_optimizer_that_does_not_say_what_it_added():
    nan = {name: norms._replace(update=np.nan) for name, norms in TWO.parameters.items()}
    ax = plot.parameters(replace(TWO, parameters=nan))
    assert np.isnan(ratios(ax)).all()
    said = [text.get_text() for text in ax.figure.axes[-1].texts]
    assert "the optimizer does not say what it added" in said
    assert_fits(ax.figure)


@pytest.mark.parametrize(("layers", "turned"), [(1, 0), (4, 90), (20, 90)])
def test_names_are_turned_when_they_are_many(layers, turned):
    ax = plot.parameters(stack(layers))
    labels = ax.figure.axes[-1].get_xticklabels()
    assert len(labels) == 3 + 3 * layers
    assert {label.get_rotation() for label in labels} == {turned}
    assert_fits(ax.figure)


def test_layers_stand_apart():
    left, *_, right = place = plot.parameters(stack(2)).figure.axes[-1].get_xticks()
    assert (left, right) == (0, pytest.approx(len(place) - 1 + 3 * 0.6))


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_parameters_stay_in_the_place_of_their_axes(layout):
    figure, axes = pyplot.subplots(1, 2, figsize=(13, 5), layout=layout)
    assert plot.parameters(TWO, axes[1]) is axes[1]
    figure.canvas.draw()
    upper, lower = axes[1].get_position(), figure.axes[-1].get_position()
    assert axes[0].get_position().x1 < lower.x0
    assert lower.y1 < upper.y0
    assert upper.x0 == pytest.approx(lower.x0)


def test_something_that_is_no_watch():
    for wrong in ({}, None, bptt.Trainer.watch):
        with pytest.raises(TypeError, match=r"watch must be what Trainer.watch\(\) returned, got"):
            plot.parameters(wrong)
    assert not pyplot.get_fignums()
