"""Classify sequences of unequal lengths by what a recurrent network holds after the last step.

    python examples/classify_sequences.py                                generated tones, in seconds
    python examples/classify_sequences.py --ts TRAIN.ts --test TEST.ts   files of the UEA archive
    python examples/classify_sequences.py --ts FILE.ts                   a fifth of it is the test

The generated sequences are noisy tones: the pitch rises, falls, stays, or jumps between low and
high. Rising and falling ones have the same pitches, in another order. The accuracy stands beside
that of always saying the commonest class of the training data.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

import bptt

HELD_OUT = 0.2
KINDS = ("rising", "falling", "steady", "jumping")
SHARES = (0.4, 0.2, 0.2, 0.2)
"""Of the generated kinds."""
NOISE = 0.8
"""Its deviation in the generated tones, whose amplitude is 1."""
LOW, HIGH = 0.05, 0.25
"""Pitches, in periods a step."""
REFUSED = (["@timestamps", "true"], ["@classlabel", "false"], ["@targetlabel", "true"])
"""Tags of files with time stamps, without classes, and with numbers to be predicted."""
LARGEST = 1e30
"""Beside which float32 still holds what is usual."""
CONSTANT = 1e-6
"""A channel whose deviation is no larger share of its largest value is taken to be constant."""
LINES = 10
"""In which the training is told, about."""


class Labelled(NamedTuple):
    """Sequences (T_i, F), the number of each one's class, and the names of all classes."""

    sequences: list[NDArray]
    labels: NDArray[np.int64]
    kinds: Sequence[str]

    def part(self, places: NDArray) -> Labelled:
        return Labelled([self.sequences[i] for i in places], self.labels[places], self.kinds)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = command_line()
    options = parser.parse_args(arguments)
    try:
        run(options)
    except (OSError, ValueError, bptt.NonFiniteError) as error:
        parser.error(str(error))


def run(options: argparse.Namespace) -> None:
    train, test = scaled(*data(options))
    print(f"train     {describe(train)}")
    print(f"test      {describe(test)}\n")
    model = learn(train, options)
    said = bptt.predict(model, bptt.Padded(test.sequences, test.labels, options.batch))
    right = said.argmax(axis=1) == test.labels
    commonest = int(np.bincount(train.labels).argmax())
    print("\nclass          sequences   right")
    for label, kind in enumerate(test.kinds):
        if (of_kind := test.labels == label).any():
            print(f"{kind:14} {of_kind.sum():9,} {right[of_kind].mean():7.1%}")
    baseline = np.mean(test.labels == commonest)
    print(f"\ntest accuracy {right.mean():.4f}; always {train.kinds[commonest]!r}: {baseline:.4f}")


def data(options: argparse.Namespace) -> tuple[Labelled, Labelled]:
    """For training, and for the test."""
    if options.epochs < 1:
        raise ValueError(f"--epochs must be at least 1, got {options.epochs}")
    if options.seed < 0:
        raise ValueError(f"--seed must not be negative, got {options.seed}")
    if options.ts is None:
        if options.test is not None:
            raise ValueError("--test needs --ts: a file to train on")
        return generated(600, options.seed), generated(400, options.seed + 1)
    found = read_ts(options.ts)
    if options.test is not None:
        return together(found, read_ts(options.test))
    held_out = math.ceil(HELD_OUT * len(found.labels))
    if held_out == len(found.labels):
        raise ValueError(f"{options.ts} has one sequence; a part is needed for the test")
    order = np.random.default_rng(options.seed).permutation(len(found.labels))
    return found.part(order[held_out:]), found.part(order[:held_out])


def generated(count: int, seed: int) -> Labelled:
    """Tones of 40 to 80 steps."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(KINDS), count, p=SHARES)
    return Labelled([tone(KINDS[label], rng) for label in labels], labels, KINDS)


def tone(kind: str, rng: np.random.Generator) -> NDArray:
    """One tone, (T, 1)."""
    steps = rng.integers(40, 80, endpoint=True)
    slide = np.linspace(LOW, HIGH, steps)
    pitch = {
        "rising": slide,
        "falling": slide[::-1],
        "steady": np.full(steps, rng.choice(slide)),
        "jumping": np.where(np.arange(steps) // 8 % 2, HIGH, LOW),
    }[kind]
    wave = np.sin(2 * np.pi * (np.cumsum(pitch) + rng.random()))
    return (wave + NOISE * rng.normal(size=steps)).astype(np.float32)[:, np.newaxis]


def read_ts(path: Path) -> Labelled:
    """A file of the UEA archive: tags, ``@data``, and a sequence in each line.

    A line has the channels and then the class, with ``:`` between; a channel its values, with
    ``,`` between. Channels of a sequence are equally long, and none has time stamps.
    """
    try:
        lines = enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error
    check_tags(path, lines)
    sequences, names = [], []
    for at, line in lines:
        if not line.strip() or line.startswith(("#", "@")):
            continue
        *channels, name = line.strip().split(":")
        try:
            values = [[float(value) for value in channel.split(",")] for channel in channels]
            sequence = usable(np.array(values).T)
        except ValueError as error:
            raise ValueError(f"{path}, line {at}: {error}") from error
        if sequence.ndim != 2 or sequence.shape[1] != np.shape(sequences[:1] or [sequence])[2]:
            raise ValueError(f"{path}, line {at} has {len(channels)} channels, unlike the first")
        if name.strip() in ("", "?"):
            raise ValueError(f"{path}, line {at} has no class")
        sequences.append(sequence)
        names.append(name.strip())
    if not sequences:
        raise ValueError(f"{path} has no sequence after @data")
    kinds = sorted(set(names))
    return Labelled(sequences, np.array([kinds.index(name) for name in names]), kinds)


def usable(sequence: NDArray) -> NDArray:
    """``sequence``; a value that is not finite or too large is refused by its place."""
    wrong = ~(np.abs(sequence) <= LARGEST)
    if wrong.any():
        step, channel = np.argwhere(wrong)[0]
        value = f"value {step + 1} of channel {channel + 1} is {sequence[step, channel]}"
        raise ValueError(f"{value}, but must be a finite number up to {LARGEST:g}")
    return sequence


def check_tags(path: Path, lines: Iterator[tuple[int, str]]) -> None:
    """Read up to ``@data``, and refuse what `read_ts` does not know."""
    classes = False
    for at, line in lines:
        words = line.lower().split()
        if words[:1] == ["@data"] and not classes:
            raise ValueError(f"{path}, line {at}: no '@classLabel true' before it, so no classes")
        if words[:1] == ["@data"]:
            return
        if words[:2] in REFUSED:
            raise ValueError(f"{path}, line {at}: cannot read files with {line.strip()!r}")
        classes = classes or words[:2] == ["@classlabel", "true"]
    raise ValueError(f"{path} has no @data")


def together(train: Labelled, test: Labelled) -> tuple[Labelled, Labelled]:
    """Both with the same numbers for the same classes."""
    if unknown := set(test.kinds) - set(train.kinds):
        raise ValueError(f"the test has classes that the training has not: {sorted(unknown)}")
    numbers = np.array([train.kinds.index(kind) for kind in test.kinds])
    return train, Labelled(test.sequences, numbers[test.labels], train.kinds)


def scaled(train: Labelled, test: Labelled) -> tuple[Labelled, Labelled]:
    """Both with the mean and the deviation of each channel of the training data taken out, as
    float32; of a channel that is nearly constant, the mean alone."""
    steps = np.concatenate(train.sequences).astype(np.float64)
    mean, spread = steps.mean(axis=0), steps.std(axis=0)
    spread[spread <= CONSTANT * np.abs(steps).max(axis=0)] = 1
    if test.sequences[0].shape[1] != len(mean):
        raise ValueError(
            f"the test has {test.sequences[0].shape[1]} channels, but the training {len(mean)}"
        )
    return tuple(
        part._replace(
            sequences=[((one - mean) / spread).astype(np.float32) for one in part.sequences]
        )
        for part in (train, test)
    )


def describe(part: Labelled) -> str:
    lengths = [len(sequence) for sequence in part.sequences]
    return (
        f"{len(lengths):,} sequences of {min(lengths)} to {max(lengths)} steps, "
        f"{part.sequences[0].shape[1]} channels, {len(part.kinds)} classes"
    )


def learn(train: Labelled, options: argparse.Namespace) -> bptt.Model:
    """Train, an update for each mini-batch of whole sequences."""
    n_in, n_out = train.sequences[0].shape[1], len(train.kinds)
    layers = [bptt.GRU(n_in, options.units), bptt.Linear(options.units, n_out)]
    model = bptt.Model(layers, seed=options.seed)
    rate = bptt.Exponential(options.rate, factor=0.95, after=options.epochs // 2 + 1)
    trainer = bptt.Trainer(
        model,
        loss=bptt.CrossEntropy(),
        optimizer=bptt.Adam(rate),
        truncation=bptt.FullBPTT(),
        clip=bptt.ClipNorm(1.0),
    )
    padded = bptt.Padded(train.sequences, train.labels, options.batch, seed=options.seed)
    for epoch in range(1, options.epochs + 1):
        loss = trainer.fit(padded, epochs=1, progress=False).train_loss[-1]
        if epoch % math.ceil(options.epochs / LINES) == 0:
            print(f"epoch {epoch:3}, {trainer.seconds:5.1f} s, loss {loss:.4f}", flush=True)
    return model


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def command_line() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--ts", type=Path, metavar="FILE", help="to train on; generated tones if left out")
    add("--test", type=Path, metavar="FILE", help="to test on; a part of --ts if left out")
    add("--units", type=int, default=64, metavar="N", help="of the recurrent layer (64)")
    add("--batch", type=int, default=20, metavar="B", help="sequences of an update (20)")
    add("--epochs", type=int, default=30, metavar="N", help="passes over the training data (30)")
    add("--rate", type=float, default=5e-3, help="Adam's first learning rate (0.005)")
    add("--seed", type=int, default=0, help="of parameters, order and what is drawn (0)")
    return parser


if __name__ == "__main__":
    # A terminal that lacks a character shows another, rather than an error at the end.
    sys.stdout.reconfigure(errors="replace")
    main()
