"""See gradients vanish, explode and survive on their way back through time, in one figure.

    python examples/gradient_flow.py                the Python documentation, about a minute
    python examples/gradient_flow.py --text FILE    a text of your own, in UTF-8

Four character models read the text: vanilla networks whose recurrent weights are an orthogonal
matrix times 0.5, 1 and 2, and an LSTM. The flow of the gradient is measured on text that is held
out, before and after training. All are trained alike, by gradient descent with the norm clipped;
the network with the large weights is trained once more without.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

import bptt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAINS = {"RNN, small": 0.5, "RNN, orthogonal": 1.0, "RNN, large": 2.0, "LSTM": 1.0}
"""Model -> by what its orthogonal recurrent weights are multiplied."""
EXPLODING, HEALTHY = "RNN, large", "LSTM"
FREE = f"{EXPLODING}, not clipped"
EMBEDDING, LANES = 32, 32
HELD_OUT = 0.05
"""Share of the text, at its end, on which losses and flows are measured."""
SEEN_LANES = 8
"""Of the held-out text."""
CHARACTERS = 120
"""Losses in the map."""
BOUND = 2.0
"""clip_delta, for the error of a single loss."""
TAME, WILD, GREY = "#0b4f8a", "#c8553d", "#666666"
SIGNS = {"\n": "↵", " ": "·"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = command_line()
    options = parser.parse_args(arguments)
    try:
        run(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))


def run(options: argparse.Namespace) -> None:
    check(options)
    text = read_text(options.text)
    vocabulary = bptt.Vocabulary.of(text)
    data = Data.of(vocabulary.encode(text), options.window)
    print(f"text: {len(text):,} characters, {len(vocabulary)} distinct; {data.train}")
    models = {name: new_model(name, len(vocabulary), options) for name in GAINS}
    free = new_model(EXPLODING, len(vocabulary), options)
    before = look("before training", models, data)
    errors = {
        "not bounded": error_of_last(free, data),
        f"clip_delta = {BOUND:g}": error_of_last(free, data, BOUND),
    }
    runs = {name: train(model, data, options, options.clip) for name, model in models.items()}
    runs[FREE] = train(free, data, options, None)
    after = look(f"after {options.updates:,} updates", models | {FREE: free}, data)
    if runs[FREE].stopped:
        print(f"\n{FREE}: stopped at {runs[FREE].stopped}")

    before_and_after = {"a   At first": before, "b   After training": {n: after[n] for n in models}}
    page = draw(before_and_after, models[HEALTHY], data, vocabulary, errors, runs, options)
    print(f"\npicture: {page}")


def check(options: argparse.Namespace) -> None:
    """Refuse before a minute has passed."""
    if options.seed < 0:
        raise ValueError(f"--seed must not be negative, got {options.seed}")
    bptt.TBPTT(options.k1, options.window)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    if options.out.is_dir():
        raise IsADirectoryError(f"Is a directory: {options.out}")


def read_text(path: Path | None) -> str:
    """The text in a file, or the topics of Python's own documentation."""
    if path is None:
        return bptt.datasets.pydoc_text()
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error


def new_model(name: str, characters: int, options: argparse.Namespace) -> bptt.Model:
    layer = bptt.LSTM if name == "LSTM" else bptt.RNN
    recurrent = layer(EMBEDDING, options.hidden)
    output = bptt.Linear(options.hidden, characters)
    layers = [bptt.Embedding(characters, EMBEDDING), recurrent, output]
    model = bptt.Model(layers, seed=options.seed)
    model.params["1.Wh"] *= GAINS[name]
    return model


@dataclass(frozen=True)
class Data:
    """The text without its end, its end, and the window; flows reach twice as far."""

    train: bptt.Stream
    held_out: bptt.Stream
    window: int

    @classmethod
    def of(cls, ids: NDArray, window: int) -> Data:
        held_out = int(HELD_OUT * len(ids))
        least = SEEN_LANES * (2 * window + max(2 * window, CHARACTERS)) + 1
        if held_out < least:
            raise ValueError(
                f"the text has {len(ids):,} characters, but a window of {window} needs "
                f"{math.ceil(least / HELD_OUT):,}, of which the last {HELD_OUT:.0%} are held out"
            )
        streams = bptt.Stream(ids[:-held_out], LANES), bptt.Stream(ids[-held_out:], SEEN_LANES)
        return cls(*streams, window)

    @property
    def lags(self) -> int:
        return 2 * self.window

    def flow(self, model: bptt.Model) -> bptt.GradientFlow:
        """Of as many losses as lags, all of which reach so far back."""
        steps = self.held_out.reader().take(2 * self.lags)
        return self.flow_of(model, steps.x, steps.targets[self.lags :])

    def flow_of(self, model: bptt.Model, x: NDArray, targets: NDArray) -> bptt.GradientFlow:
        options = {"lags": self.lags, "window": self.window}
        return bptt.gradient_flow(model, bptt.CrossEntropy(), x, targets, **options)

    def loss(self, model: bptt.Model) -> float:
        return trainer_of(model, 1.0, 1, 1, None).evaluate(self.held_out)


def error_of_last(model: bptt.Model, data: Data, bound: float | None = None) -> NDArray:
    """(lags,) norms of the error of the last step's loss, in one lane, newest last."""
    steps = data.held_out.reader().take(data.lags)
    x, targets = steps.x[:, :1], steps.targets[-1:, :1]
    found = bptt.gradients(model, bptt.CrossEntropy(), x, targets, clip_delta=bound)
    return found.flow["1.h"]


def trainer_of(
    model: bptt.Model, rate: float, k1: int, k2: int, clip: float | None
) -> bptt.Trainer:
    return bptt.Trainer(
        model,
        loss=bptt.CrossEntropy(),
        optimizer=bptt.SGD(rate),
        truncation=bptt.TBPTT(k1, k2),
        clip=None if clip is None else bptt.ClipNorm(clip),
    )


class Run(NamedTuple):
    """Of one training: loss and gradient norm of every update, and the error that ended it."""

    loss: NDArray
    norm: NDArray
    stopped: str


def train(model: bptt.Model, data: Data, options: argparse.Namespace, clip: float | None) -> Run:
    trainer = trainer_of(model, options.lr, options.k1, options.window, clip)
    found, stopped = [], ""
    try:
        while trainer.n < options.updates:
            for step in trainer.steps(data.train):
                found.append((step.loss, step.grad_norm))
                if trainer.n == options.updates:
                    break
    except bptt.NonFiniteError as error:
        stopped = str(error)
    losses, norms = np.array(found).reshape(-1, 2).T
    return Run(losses, norms, stopped)


def look(when: str, models: Mapping[str, bptt.Model], data: Data) -> dict[str, bptt.GradientFlow]:
    """Print what the held-out text says of each model; returns the flows."""
    print(f"\n{when:24}  nats  reach  half-life   rate")
    flows = {}
    for name, model in models.items():
        flows[name] = flow = data.flow(model)
        said = f"{name:24} {data.loss(model):5.3f}"
        for what in flow.norms:
            print(
                f"{said:30} {flow.reach(what):6} {flow.half_life(what):10.0f} "
                f"{flow.rate(what):6.3f}   {flow.verdict(what)}",
                flush=True,
            )
            said = "    by its cell, c"
    return flows


def draw(
    flows: Mapping[str, Mapping[str, bptt.GradientFlow]],
    healthy: bptt.Model,
    data: Data,
    vocabulary: bptt.Vocabulary,
    errors: Mapping[str, NDArray],
    runs: Mapping[str, Run],
    options: argparse.Namespace,
) -> Path:
    """The page; returns where it is."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(11, 13), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08)
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(4.4, 4.2, 4.0))
    for ax, (title, of_models) in zip(top.subplots(1, 2), flows.items(), strict=True):
        bptt.plot.gradient_flow(of_models, ax)
        ax.set_title(title, loc="left")
        ax.get_legend().remove()
    lines, labels = ax.get_legend_handles_labels()
    labels = [label.partition(", half")[0] for label in labels]
    top.legend(lines, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    draw_map(middle.subplots(), healthy, vocabulary, data)
    one_loss, norms, losses = bottom.subplots(1, 3)
    draw_errors(one_loss, errors, data)
    draw_runs(norms, losses, runs, options.clip, len(vocabulary))
    figure.savefig(options.out, dpi=130, format="png")
    pyplot.close(figure)
    return options.out


def draw_map(ax: Axes, model: bptt.Model, vocabulary: bptt.Vocabulary, data: Data) -> None:
    """One lane of held-out text, each character beneath the loss that follows it."""
    steps = data.held_out.reader().take(data.lags + CHARACTERS)
    words = [sum(sign.isalpha() for sign in vocabulary.decode(lane)) for lane in steps.x.T]
    lane = slice(np.argmax(words), np.argmax(words) + 1)
    flow = data.flow_of(model, steps.x[:, lane], steps.targets[data.lags :, lane])
    bptt.plot.gradient_map(flow, ax=ax)
    read = [SIGNS.get(sign, sign) for sign in vocabulary.decode(steps.x[data.lags :, lane][:, 0])]
    style = {"family": "monospace", "fontsize": 8, "parse_math": False}
    ax.xaxis.remove_overlapping_locs = False
    ax.set_xticks(np.arange(len(read)) + data.lags, read, minor=True, **style)
    ax.tick_params(axis="x", which="minor", length=0, pad=2)
    ax.tick_params(axis="x", which="major", length=0, pad=14)
    ax.set_xlabel("step of the loss, t, and the character read there")
    ax.set_title(f"c   The {HEALTHY} after training, loss by loss", loc="left")


def draw_errors(ax: Axes, errors: Mapping[str, NDArray], data: Data) -> None:
    bptt.plot.gradient_flow(errors, ax, window=data.window)
    for line, colour in zip(ax.lines, (WILD, TAME), strict=False):
        line.set(color=colour, marker="")
    ax.set_title(f"d   {EXPLODING}, at first: one loss", loc="left")
    ax.legend(edgecolor="none", fontsize="small", loc="upper left")


def draw_runs(
    norms: Axes, losses: Axes, runs: Mapping[str, Run], clip: float, characters: int
) -> None:
    """The network that explodes, trained without and with its gradient clipped."""
    for name, colour, label in ((FREE, WILD, "not clipped"), (EXPLODING, TAME, "clipped")):
        run = runs[name]
        updates = np.arange(1, len(run.loss) + 1)
        for ax, values in ((norms, run.norm), (losses, run.loss)):
            ax.plot(updates, values, color=colour, linewidth=0.8, label=label)
            if run.stopped:
                ax.plot(updates[-1:], values[-1:], "x", color=colour)
    norms.set(xscale="log", yscale="log")
    norms.axhline(clip, color=GREY, linestyle="--", linewidth=1.2, label=f"clipped at {clip:g}")
    uniform = {"linestyle": ":", "label": f"uniform, ln {characters}"}
    losses.axhline(math.log(characters), color=GREY, **uniform)
    losses.set_ylim(bottom=0)
    norms.set_title(f"e   {EXPLODING}: gradient", loc="left")
    losses.set_title(f"f   {EXPLODING}: loss", loc="left")
    for ax, label in ((norms, "gradient norm, before clipping"), (losses, "nats per character")):
        ax.set(xlabel="update", ylabel=label)
        ax.grid(color="#dddddd", linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    norms.legend(frameon=False, fontsize="small", loc="upper right")
    losses.legend(frameon=False, fontsize="small", loc="lower left")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def command_line() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--text", type=Path, metavar="FILE", help="UTF-8 text; Python's documentation if left out")
    add("--hidden", type=positive(int), default=128, metavar="N", help="units (128)")
    add("--updates", type=positive(int), default=2250, metavar="N", help="of each model (2250)")
    add("--k1", type=positive(int), default=25, help="new steps between two updates (25)")
    add("--window", type=positive(int), default=50, metavar="K2", help="steps (50)")
    add("--lr", type=positive(float), default=1.0, help="learning rate (1)")
    add("--clip", type=positive(float), default=1.0, help="largest norm of the gradient (1)")
    add("--seed", type=int, default=0, help="of the first parameters (0)")
    name = "gradient_flow.png"
    add("--out", type=Path, metavar="PNG", default=Path(name), help=f"the picture ({name})")
    return parser


def positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(given: str) -> float:
        try:
            value = kind(given)
        except ValueError:
            value = 0
        if not 0 < value < math.inf:
            word = "integer" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"must be a positive {word}, got {given!r}")
        return value

    return parse


if __name__ == "__main__":
    # A terminal that lacks a character shows another, rather than an error at the end.
    sys.stdout.reconfigure(errors="replace")
    main()
