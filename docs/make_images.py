"""Make the pictures of docs/gradient_flow.md: python docs/make_images.py, about two minutes.

They show tiny Shakespeare, which is fetched once: the same text wherever they are made.
"""

from __future__ import annotations

import io
import runpy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import bptt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
WINDOW, LANES, EPOCHS = 50, 32, 16
TRAIN, HELD_OUT = 100_000, 20_000
"""Characters."""
WIDEST = 1000
"""Pixels."""


def main() -> None:
    matplotlib.use("Agg")
    path = bptt.datasets.from_url(URL, SHA256)
    text = path.read_text(encoding="utf-8")[: TRAIN + HELD_OUT]
    vocabulary = bptt.Vocabulary.of(text)
    data = Data.of(vocabulary.encode(text))
    model = new_model(len(vocabulary))
    trainer = bptt.Trainer(
        model,
        loss=bptt.CrossEntropy(),
        optimizer=bptt.Adam(2e-3),
        truncation=bptt.TBPTT(WINDOW // 2, WINDOW),
        clip=bptt.ClipNorm(0.5),
    )
    flows = {0: data.flow(model, lanes=4)}
    for _ in range(EPOCHS):
        trainer.fit(data.train, 1, data.held_out, progress=False)
        flows[trainer.n] = data.flow(model, lanes=4)
        print(f"update {trainer.n}: {trainer.history.validation_loss[-1]:.3f} nats", flush=True)
    save("parameters", bptt.plot.parameters(trainer.watch()))
    updates = trainer.steps(data.train)
    step = [next(updates) for _ in range(4)][-1]
    draw(data, vocabulary, model, flows, trainer.history, step)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.png"
        example = runpy.run_path(str(ROOT / "examples" / "gradient_flow.py"))
        example["main"](["--text", str(path), "--out", str(page)])
        shrink(page.read_bytes(), IMAGES / "page.png")


class Data(NamedTuple):
    """The text, without its end and its end."""

    train: bptt.Stream
    held_out: bptt.Stream

    @classmethod
    def of(cls, ids: NDArray) -> Data:
        return cls(bptt.Stream(ids[:TRAIN], LANES), bptt.Stream(ids[TRAIN:], 8))

    def flow(self, model: bptt.Model, lanes: int) -> bptt.GradientFlow:
        """Of 100 losses, each 100 steps back."""
        steps = self.held_out.reader().take(4 * WINDOW)
        x, targets = steps.x[:, :lanes], steps.targets[2 * WINDOW :, :lanes]
        loss, options = bptt.CrossEntropy(), {"lags": 2 * WINDOW, "window": WINDOW}
        return bptt.gradient_flow(model, loss, x, targets, **options)


def new_model(characters: int) -> bptt.Model:
    layers = [bptt.Embedding(characters, 32), bptt.LSTM(32, 96), bptt.LSTM(96, 96)]
    return bptt.Model([*layers, bptt.Linear(96, characters)], seed=0)


def draw(
    data: Data,
    vocabulary: bptt.Vocabulary,
    model: bptt.Model,
    flows: Mapping[int, bptt.GradientFlow],
    history: bptt.History,
    step: bptt.Step,
) -> None:
    flow, one_lane = data.flow(model, lanes=8), data.flow(model, lanes=1)
    print(flow)
    save("flow", bptt.plot.gradient_flow(flow))
    save("update", bptt.plot.gradient_flow(step.flow))
    save("map", bptt.plot.gradient_map(one_lane))
    save("over_training", bptt.plot.flow_over_training(flows))
    save("training", bptt.plot.training(history))
    draw_inside(data, vocabulary, model)
    save("spectrum", bptt.plot.spectrum(model))
    x = data.held_out.reader().take(30).x[:, :1]
    save("lyapunov", bptt.plot.lyapunov(bptt.jacobian_spectrum(model, x)))
    bptt.plot.animate_flow(one_lane, IMAGES / "animation.gif")


def draw_inside(data: Data, vocabulary: bptt.Vocabulary, model: bptt.Model) -> None:
    """Units and gates; the text is coloured by the unit that best follows the length of a line."""
    x = data.held_out.reader().take(800).x[:, :1]
    text, found = vocabulary.decode(x[:, 0]), bptt.histories(model, x)
    shown = slice(300, 380)
    save("activations", bptt.plot.activations(found["2.h"][shown], text=text[shown]))
    save("saturation", bptt.plot.saturation(found))
    column, columns = 0, []
    for sign in text:
        columns.append(column)
        column = 0 if sign == "\n" else column + 1
    units = found["2.c"][:, 0]
    unit = np.abs(np.corrcoef(units.T, columns)[-1, :-1]).argmax()
    print(f"unit {unit}, correlation {np.corrcoef(units[:, unit], columns)[0, 1]:.2f}")
    save("characters", bptt.plot.characters(text[:700], units[:700, unit], width=80))


def save(name: str, ax: Axes) -> None:
    from matplotlib import pyplot

    file = io.BytesIO()
    ax.figure.savefig(file, dpi=90)
    pyplot.close(ax.figure)
    shrink(file.getvalue(), IMAGES / f"{name}.png")


def shrink(picture: bytes, path: Path) -> None:
    """Write it with 256 colours, at most WIDEST pixels wide."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    if image.width > WIDEST:
        size = (WIDEST, round(image.height * WIDEST / image.width))
        image = image.resize(size, Image.Resampling.LANCZOS)
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
