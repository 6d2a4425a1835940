"""Train a character-level language model through time, let it write, and see its gradient flow.

    python examples/char_lm.py                      the Python documentation, about two minutes
    python examples/char_lm.py --text FILE          a text of your own, in UTF-8
    python examples/char_lm.py --load MODEL         let a saved model write
    python examples/char_lm.py --load MODEL --epochs 5 --text FILE       and train it further

A training run leaves five files in --out DIR: the model of the epoch with the lowest validation
loss, the characters it knows, and three pictures: losses and gradient norms; how far back the
gradient reaches in held-out text; and how that came about while the model learned.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

import bptt

EPOCHS = 20
HELD_OUT = 0.05
"""Share of the text, at its end, that is kept for validation."""
SHAPE = {"cell": "lstm", "embedding": 64, "hidden": 128, "layers": 2}
"""The model that is made unless options say otherwise."""
LOOKS = 20
"""Times at most that the gradient's flow is taken during training."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = command_line()
    options = parser.parse_args(arguments)
    try:
        run(options)
    except (OSError, ValueError, bptt.NonFiniteError) as error:
        parser.error(str(error))


def run(options: argparse.Namespace) -> None:
    if options.seed < 0:
        raise ValueError(f"--seed must not be negative, got {options.seed}")
    if options.load is None:
        text = read_text(options.text)
        vocabulary = bptt.Vocabulary.of(text)
        model = learn(new_model(options, len(vocabulary)), vocabulary, text, options)
    else:
        check_options(options)
        model, vocabulary = load(options.load)
        if options.epochs is not None:
            model = learn(model, vocabulary, read_text(options.text), options)
    print(f"\n{options.sample:,} characters at temperature {options.temperature:g}:\n")
    print(write(model, vocabulary, options.sample, options.temperature, options.seed))


def read_text(path: Path | None) -> str:
    """The text in a file, or the topics of Python's own documentation."""
    if path is None:
        return bptt.datasets.pydoc_text()
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error


def split(ids: NDArray, batch: int) -> tuple[bptt.Stream, bptt.Stream]:
    """The text without its end, and its end, each cut into ``batch`` lanes."""
    held_out = int(HELD_OUT * len(ids))
    if held_out <= batch:
        raise ValueError(
            f"the text has {len(ids):,} characters, but --batch {batch} needs "
            f"{math.ceil((batch + 1) / HELD_OUT):,}: the last {HELD_OUT:.0%} are held out, and "
            "every lane needs a pair of them"
        )
    return bptt.Stream(ids[:-held_out], batch), bptt.Stream(ids[-held_out:], batch)


def new_model(options: argparse.Namespace, characters: int) -> bptt.Model:
    shape = SHAPE | given(options)
    layer = {"rnn": bptt.RNN, "lstm": bptt.LSTM}[shape["cell"]]
    sizes = [shape["embedding"]] + [shape["hidden"]] * shape["layers"]
    recurrent = [layer(below, units) for below, units in pairwise(sizes)]
    embedding = bptt.Embedding(characters, shape["embedding"])
    output = bptt.Linear(shape["hidden"], characters)
    return bptt.Model([embedding, *recurrent, output], seed=options.seed)


def learn(
    model: bptt.Model, vocabulary: bptt.Vocabulary, text: str, options: argparse.Namespace
) -> bptt.Model:
    """Train, say how it goes, leave the files, and return the best model."""
    epochs = options.epochs or EPOCHS
    trainer = bptt.Trainer(
        model,
        loss=bptt.CrossEntropy(),
        optimizer=bptt.Adam(bptt.Exponential(options.lr, factor=0.9, after=epochs // 2 + 1)),
        truncation=bptt.TBPTT(options.k1, options.k2),
        clip=bptt.ClipNorm(options.clip),
    )
    train, valid = split(vocabulary.encode(text), options.batch)
    print(f"text        {len(text):,} characters, {len(vocabulary)} of them distinct")
    print(f"train       {train}")
    print(f"validation  {valid}")
    print(f"model       {model}\n")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "model.safetensors"
    best, flows = train_epochs(trainer, train, valid, epochs, lambda: save(model, vocabulary, path))
    model = bptt.Model.load(path)
    print(f"\nbest validation loss: {in_words(best)}")
    flow = reach(model, valid, options.k2, lanes=options.batch)
    print(flow)
    for file in (path, vocabulary_path(path), *draw(trainer.history, flow, flows, options.out)):
        print(f"wrote {file}")
    return model


def train_epochs(
    trainer: bptt.Trainer,
    train: bptt.Stream,
    valid: bptt.Stream,
    epochs: int,
    keep: Callable[[], None],
) -> tuple[float, dict[int, bptt.GradientFlow]]:
    """Train, one line an epoch; ``keep`` is called whenever the model is the best so far.

    Returns the lowest validation loss, and number of an update -> the gradient's flow then.
    """
    best, k2 = trainer.evaluate(valid), trainer.truncation.k2
    flows = {trainer.n: reach(trainer.model, valid, k2)}
    keep()
    print(f"epoch  0  validation {in_words(best)}")
    for epoch in range(1, epochs + 1):
        began, rate = trainer.seconds, trainer.rate
        history = trainer.fit(train, epochs=1, validation=valid, progress=False)
        loss = history.validation_loss[-1]
        if loss < best:
            best = loss
            keep()
        if epoch % math.ceil(epochs / LOOKS) == 0:
            flows[trainer.n] = reach(trainer.model, valid, k2)
        print(
            f"epoch {epoch:2}  train {history.train_loss[-1]:.3f}  validation {in_words(loss)}, "
            f"{train.pairs / (history.seconds[-1] - began):,.0f} characters/s, "
            f"learning rate {rate:.2g}",
            flush=True,
        )
    return best, flows


def in_words(loss: float) -> str:
    return f"{loss:.3f} nats = {loss / math.log(2):.3f} bits per character"


def reach(model: bptt.Model, stream: bptt.Stream, k2: int, lanes: int = 4) -> bptt.GradientFlow:
    """How the errors of k2 losses flow back, twice as far as the window, in the first ``lanes``."""
    steps = stream.reader().take(3 * k2)
    x, targets = steps.x[:, :lanes], steps.targets[:, :lanes]
    newest = targets[-max(1, len(x) // 3) :]
    return bptt.gradient_flow(model, bptt.CrossEntropy(), x, newest, lags=2 * k2, window=k2)


def draw(
    history: bptt.History,
    flow: bptt.GradientFlow,
    flows: Mapping[int, bptt.GradientFlow],
    out: Path,
) -> list[Path]:
    """The three pictures; returns where they are."""
    pictures = {
        "training.png": bptt.plot.training(history),
        "gradient_flow.png": bptt.plot.gradient_flow(flow),
        "flow_over_training.png": bptt.plot.flow_over_training(flows),
    }
    for name, ax in pictures.items():
        ax.figure.savefig(out / name, dpi=120)
    return [out / name for name in pictures]


def write(
    model: bptt.Model, vocabulary: bptt.Vocabulary, length: int, temperature: float, seed: int
) -> str:
    """Text by the model, which reads every character that is drawn before it says the next."""
    rng = np.random.default_rng(seed)
    start = "\n\n" if "\n" in vocabulary else vocabulary.characters[0]
    logits, state = model(vocabulary.encode(start)[:, np.newaxis])
    ids = []
    for _ in range(length):
        ids.append(rng.choice(len(vocabulary), p=softmax(logits[-1, 0], temperature)))
        logits, state = model([ids[-1:]], state)
    return vocabulary.decode(ids)


def softmax(logits: NDArray, temperature: float) -> NDArray:
    """Probabilities; a temperature below 1 makes the likely likelier."""
    with np.errstate(over="ignore"):
        powers = np.exp((logits.astype(np.float64) - logits.max()) / temperature)
    return powers / powers.sum()


def vocabulary_path(model_path: Path) -> Path:
    return model_path.with_suffix(".vocabulary.json")


def save(model: bptt.Model, vocabulary: bptt.Vocabulary, path: Path) -> None:
    """Write the model, and beside it the characters that its ids stand for."""
    vocabulary_path(path).write_text(json.dumps({"characters": vocabulary.characters}))
    model.save(path)


def load(path: Path) -> tuple[bptt.Model, bptt.Vocabulary]:
    """What `save` wrote."""
    model, beside = bptt.Model.load(path), vocabulary_path(path)
    try:
        vocabulary = bptt.Vocabulary(json.loads(beside.read_text())["characters"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{beside} does not hold a vocabulary: {error}") from error
    if not model.reads_ids or {model.n_in, model.n_out} != {len(vocabulary)}:
        raise ValueError(f"{model} does not go with the {len(vocabulary)} characters in {beside}")
    return model, vocabulary


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def command_line() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--text", type=Path, metavar="FILE", help="UTF-8 text; Python's documentation if left out")
    add("--cell", choices=("rnn", "lstm"), help=f"({SHAPE['cell']})")
    for name in ("hidden", "layers", "embedding"):
        add(f"--{name}", type=positive(int), metavar="N", help=f"({SHAPE[name]})")
    add("--k1", type=positive(int), default=50, help="new steps between two updates (50)")
    add("--k2", type=positive(int), default=50, help="steps that the error flows back (50)")
    add("--batch", type=positive(int), default=50, metavar="B", help="lanes side by side (50)")
    add("--epochs", type=positive(int), metavar="N", help=f"({EPOCHS})")
    add("--lr", type=positive(float), default=2e-3, help="Adam's learning rate (0.002)")
    add("--clip", type=positive(float), default=5.0, help="largest norm of the gradient (5)")
    add("--seed", type=int, default=0, help="of the first parameters and of the writing (0)")
    add("--sample", type=positive(int), default=600, metavar="N", help="characters to write (600)")
    add("--temperature", type=positive(float), default=0.5, help="of the writing (0.5)")
    add("--load", type=Path, metavar="MODEL", help="saved model; trained on only with --epochs")
    add("--out", type=Path, metavar="DIR", default=Path("char_lm_out"), help="(char_lm_out)")
    return parser


def positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(given: str) -> float:
        try:
            value = kind(given)
        except ValueError:
            value = 0
        if not value > 0:
            word = "integer" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"must be a positive {word}, got {given!r}")
        return value

    return parse


def given(options: argparse.Namespace) -> dict:
    """The options about the model's shape that were given."""
    return {name: value for name in SHAPE if (value := getattr(options, name)) is not None}


def check_options(options: argparse.Namespace) -> None:
    """Refuse what a loaded model would ignore."""
    for name in given(options):
        raise ValueError(f"--{name} does not go with --load: the file says what the model is")
    if options.text is not None and options.epochs is None:
        raise ValueError("--text with --load is for training: say for how many --epochs")


if __name__ == "__main__":
    # A terminal that lacks a character shows another, rather than an error at the end.
    sys.stdout.reconfigure(errors="replace")
    main()
