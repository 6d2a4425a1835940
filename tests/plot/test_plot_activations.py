"""Maps, histograms and coloured texts hold the activations they were given."""

import numpy as np
import pytest
from fitting import assert_fits
from matplotlib import pyplot
from matplotlib.colors import to_rgb

import bptt
from bptt import plot
from bptt.plot.colours import diverging

SIGNED = np.linspace(-0.5, 0.8, 24).reshape(4, 2, 3)
"""(T, B, H) = (4, 2, 3)."""


def lightness(colours):
    """CIELAB L of sRGB colours."""
    rgb = np.asarray(colours)[..., :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16


def test_the_diverging_map_is_even_to_the_eye_and_the_same_on_both_sides():
    light = lightness(diverging()(np.linspace(0, 1, 101)))
    steps = np.abs(np.diff(light))
    assert steps.max() < 2 * steps.min()
    assert light[:51] == pytest.approx(light[50:][::-1], abs=1.5)


def test_a_map_of_unit_and_time():
    ax = plot.activations(SIGNED, lane=1)
    (image,) = ax.images
    assert np.array_equal(image.get_array(), SIGNED[:, 1].T)
    assert (image.norm.vmin, image.norm.vmax) == (-0.8, 0.8)
    assert image.cmap.name == diverging().name
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "unit")
    assert image.colorbar.ax.get_ylabel() == "activation"
    assert_fits(ax.figure)


def test_gates_go_from_zero_to_one():
    (image,) = plot.activations(np.full((5, 2), 0.3)).images
    assert (image.norm.vmin, image.norm.vmax) == (0, 1)
    assert image.cmap.name == "viridis"
    (image,) = plot.activations([[0.0, 3.0]]).images
    assert (image.norm.vmin, image.norm.vmax) == (0, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (60, 1), (1, 3, 1)])
@pytest.mark.parametrize("value", [0.0, -2.0, np.nan])
def test_one_unit_or_one_step(shape, value):
    ax = plot.activations(np.full(shape, value))
    assert_fits(ax.figure)


def test_characters_stand_beneath_their_steps():
    text = "a b\n\t$c$" * 8
    ax = plot.activations(np.sin(np.arange(128.0)).reshape(64, 2), text=text)
    assert_fits(ax.figure)
    ticks = {tick.get_loc(): tick.label1 for tick in ax.xaxis.get_minor_ticks()}
    written = "".join(ticks[i].get_text() for i in range(64))
    assert written == "a b↵→$c$" * 8
    assert len({tick.get_fontsize() for tick in ticks.values()}) == 1


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        (np.zeros(3), {}, r"values must be \(T, B, H\) or \(T, H\), got shape \(3,\)"),
        (np.zeros((0, 3)), {}, r"got shape \(0, 3\)"),
        (SIGNED, {"lane": 2}, "lane must be below 2, got 2"),
        (SIGNED, {"lane": -1}, "lane must be an integer from 0 on, got -1"),
        (SIGNED, {"text": "abc"}, "each of the 4 steps, got 3 characters"),
    ],
)
def test_activations_that_cannot_be_drawn(values, options, said):
    with pytest.raises(ValueError, match=said):
        plot.activations(values, **options)
    assert not pyplot.get_fignums()


def gate_panels(histories):
    """(layer, gate) -> (Axes, percent by bin), read from the labels."""
    ax = plot.saturation(histories)
    found, layer = {}, None
    for panel in ax.figure.axes:
        if panel.axison:
            layer = panel.get_ylabel().split("\n")[0] or layer
            gate = panel.get_title(loc="left").split(":")[0]
            found[layer, gate] = panel, [bar.get_height() for bar in panel.patches]
    return found


def test_gates_are_counted_and_their_ends_said():
    values = np.array([0.01, 0.04, 0.52, 0.97]).reshape(2, 1, 2)
    found = gate_panels({"1.f": values, "1.g": -values, "1.h": values * 7, "2.y": values})
    assert list(found) == [("layer 1", "f"), ("layer 1", "g")]
    panel, share = found["layer 1", "f"]
    assert panel.get_title(loc="left") == "f: 50% < 0.1\n    25% > 0.9"
    assert (share[0], share[10], share[19], sum(share)) == (50, 25, 25, 100)
    panel, share = found["layer 1", "g"]
    assert panel.get_title(loc="left") == "g: 25% < -0.9\n    0% > 0.9"
    assert len(share) == 40
    assert_fits(panel.figure)


def test_the_saturated_ends_are_red():
    ((panel, _),) = gate_panels({"1.o": np.full((3, 2, 4), 0.5)}).values()
    red = [bar.get_facecolor() for bar in panel.patches]
    at_the_ends, between = set(red[:2] + red[-2:]), set(red[2:-2])
    assert len(at_the_ends) == len(between) == 1
    assert at_the_ends != between


def test_histories_of_a_model_have_a_row_for_each_layer():
    layers = [bptt.LSTM(2, 3), *(bptt.LSTM(3, 3) for _ in range(3))]
    x = np.ones((5, 2, 2), np.float32)
    found = gate_panels(bptt.histories(bptt.Model(layers), x))
    assert list(found) == [(f"layer {i}", gate) for i in range(4) for gate in "ifgo"]
    assert all(sum(share) == pytest.approx(100) for _, share in found.values())
    assert_fits(pyplot.gcf())


def test_each_direction_has_a_row_and_padding_does_not_count():
    model = bptt.Model([bptt.Bidirectional(bptt.LSTM(2, 3))])
    x = np.random.default_rng(0).normal(size=(5, 2, 2)).astype(np.float32)
    ended = np.arange(5)[:, None] >= [5, 3]
    found = bptt.histories(model, x, ended=ended)
    panels = gate_panels(found)
    assert list(panels) == [(f"layer 0{way}", g) for way in ("", " reverse") for g in "ifgo"]
    for (layer, gate), (_, share) in panels.items():
        values = found[f"0.{gate}" + "_reverse" * layer.endswith("reverse")][~ended]
        bins = len(share)
        wanted = np.histogram(values, np.linspace(1 - bins / 20, 1, bins + 1))[0] / 24 * 100
        assert share == pytest.approx(wanted)
    assert_fits(panels["layer 0", "i"][0].figure)


def test_padding_is_left_white():
    model = bptt.Model([bptt.RNN(2, 3)])
    ended = np.arange(5)[:, None] >= [5, 3]
    found = bptt.histories(model, np.ones((5, 2, 2), np.float32), ended=ended)["0.h"]
    (image,) = plot.activations(found, lane=1).images
    assert np.array_equal(np.ma.getmaskarray(image.get_array())[0], ended[:, 1])
    assert image.norm.vmax == pytest.approx(np.abs(found[:3, 1]).max())
    ax = plot.characters("abcde", found[:, 1, 0])
    assert_fits(ax.figure)


def test_a_gate_that_is_shut_or_open_for_good():
    found = gate_panels({"0.i": np.zeros((2, 1, 1)), "0.f": np.ones((2, 1, 1))})
    titles = [panel.get_title(loc="left") for panel, _ in found.values()]
    assert titles == ["i: 100% < 0.1\n    0% > 0.9", "f: 0% < 0.1\n    100% > 0.9"]
    assert_fits(pyplot.gcf())


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_saturation_stays_in_the_place_of_its_axes(layout):
    figure, axes = pyplot.subplots(1, 2, figsize=(13, 5), layout=layout)
    gates = {f"{i}.{gate}": np.full((2, 1, 3), 0.4) for i in range(2) for gate in "ifgo"}
    assert plot.saturation(gates, axes[1]) is axes[1]
    assert len(figure.axes) == 9
    assert_fits(figure)


@pytest.mark.parametrize(
    ("histories", "said"),
    [
        ({"1.h": np.zeros((2, 1, 3))}, "no gate to draw, only 1.h"),
        ({}, "no gate to draw, only nothing"),
        ({"1.f": np.zeros((0, 1, 3))}, r"histories\['1.f'\] has no value"),
        ({"1.f": np.array([-0.5, 0.5])}, "between 0 and 1, got -0.5 to 0.5"),
        ({"1.g": np.array([np.nan])}, r"histories\['1.g'\] has no value"),
        ({"1.g": np.array([-2, np.nan])}, "between -1 and 1, got -2 to -2"),
    ],
)
def test_gates_that_cannot_be_drawn(histories, said):
    with pytest.raises(ValueError, match=said):
        plot.saturation(histories)
    assert not pyplot.get_fignums()


def written(ax):
    """(row, column) -> the character there."""
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in ax.texts}


def test_a_text_is_coloured_and_broken_into_lines():
    text, values = "ab c\n\tdefghi", np.linspace(-1, 0.5, 12)
    ax = plot.characters(text, values, width=5)
    assert written(ax) == {
        (0, 0): "a", (0, 1): "b", (0, 3): "c", (0, 4): "↵",
        (1, 0): "→", (1, 1): "d", (1, 2): "e", (1, 3): "f", (1, 4): "g",
        (2, 0): "h", (2, 1): "i",
    }  # fmt: skip
    (image,) = ax.images
    page = np.ma.filled(image.get_array(), np.nan)
    assert page[~np.isnan(page)] == pytest.approx(values)
    assert page[0, :5] == pytest.approx(values[:5])
    assert page[2, :2] == pytest.approx(values[10:])
    assert (image.norm.vmin, image.norm.vmax) == (-1, 1)
    assert image.colorbar.ax.get_xlabel() == "activation"
    assert_fits(ax.figure)


def test_writing_is_light_on_dark_and_dark_on_light():
    ax = plot.characters("abc", [-1, 0, 1])
    assert [text.get_color() for text in ax.texts] == ["white", "black", "white"]
    (image,) = ax.images
    for text, value in zip(ax.texts, [-1, 0, 1], strict=True):
        ground = lightness(image.cmap(image.norm(value)))
        assert abs(lightness(to_rgb(text.get_color())) - ground) > 45


@pytest.mark.parametrize("text", ["h", "\n", "\n\n\n", "$x$ \\alpha\x07\r\n", "x" * 200])
def test_any_text_fits(text):
    ax = plot.characters(text, np.full(len(text), 0.5))
    assert_fits(ax.figure)


def test_a_thousand_characters_fit_their_cells():
    text = "def f(x):\n\treturn x + 1  # adds one\n" * 28
    values = np.cos(np.arange(len(text)) / 5) * 3
    ax = plot.characters(text, values)
    figure = ax.figure
    figure.canvas.draw()
    across, down = abs(ax.transData.transform((1, 1)) - ax.transData.transform((0, 0)))
    for sign in ax.texts[:36]:
        box = sign.get_window_extent()
        assert box.width <= across
        assert box.height <= 1.2 * down
    assert ax.images[0].norm.vmax == pytest.approx(np.abs(values).max())


@pytest.mark.parametrize(
    ("text", "values", "width", "said"),
    [
        ("", [], 60, "at least one character, got none"),
        ("abc", [1, 2], 60, r"each of the 3 characters, got shape \(2,\)"),
        ("ab", [[1], [2]], 60, r"got shape \(2, 1\)"),
        ("ab", [1, 2], 0, "width must be at least 1, got 0"),
    ],
)
def test_texts_that_cannot_be_drawn(text, values, width, said):
    with pytest.raises(ValueError, match=said):
        plot.characters(text, values, width=width)
    assert not pyplot.get_fignums()


@pytest.mark.parametrize("draw", [
    lambda ax: plot.activations(SIGNED, ax, text="abcd"),
    lambda ax: plot.characters("abc\nd", np.arange(5), ax),
])  # fmt: skip
def test_activations_are_drawn_on_the_axes_given(draw):
    figure, axes = pyplot.subplots(1, 2, layout="constrained", figsize=(9, 3))
    assert draw(axes[1]) is axes[1]
    assert pyplot.get_fignums() == [figure.number]
    assert_fits(figure)
