"""Forecast a time series one step ahead, and see whether that beats saying what was last seen.

    python examples/forecast.py                                  a generated series, in seconds
    python examples/forecast.py --csv FILE --column NAME         a series of your own
    python examples/forecast.py --csv FILE --column NAME --season 12 --picture forecast.png

The last fifth is held out. A network reads the series value by value, its state carried from
beginning to end, and says by how much the next change differs from the mean change of the
training part. Four forecasts stand beside it: naive, that the next value is like the newest;
drift, naive and the mean change; seasonal naive, that it is like the one a season before; and
seasonal drift, that one and the mean change of a season. If no season is given, it is the lag at
which the changes of the training part are most alike.

Values that are missing in the file (empty, NA, NaN, null, ?) are filled with the newest before
them, for the network with the mean change since, and it reads with each value whether it was
missing. Missing values are no targets, neither in training nor in the test. Those before the first
value are left out.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

import bptt

HELD_OUT, VALIDATION = 0.2, 0.15
"""Shares: of the series for the test, and of the rest to choose the epoch by."""
SHORTEST = 50
"""Values that there must be, missing ones included."""
LONGEST_SEASON = 400
STEPS = 250
"""Of a lane in training, about; so long series have more lanes, up to LANES."""
LANES = 16
UPDATES = 25
"""Between two looks at the validation, at least."""
NOISE, MISSING_SHARE = 0.15, 0.05
"""Of the generated series."""
LARGEST, SMALLEST = 1e100, 1e-100
"""Sizes of the values of a file that can be squared."""
FURTHEST = 1e30
"""What the network reads is at most so many times what is usual in the training part."""
ROUNDING = 16 * np.finfo(np.float64).eps
"""Changes that differ by less, beside the largest value, are the same."""
MISSING_NAMES = {"", "na", "nan", "null", "none", "?"}
NO_TARGET = float(np.finfo(np.float32).max)
"""Stands where there is no target."""


@dataclass(frozen=True)
class KnownSquaredError(bptt.SquaredError):
    """The squared error of targets that there are."""

    def valid(self, targets: NDArray, mask: NDArray | None) -> NDArray[np.bool_]:
        known = np.ascontiguousarray(targets[..., 0] != NO_TARGET)
        return known if mask is None else known & mask


def main(arguments: Sequence[str] | None = None) -> None:
    parser = command_line()
    options = parser.parse_args(arguments)
    try:
        run(options)
    except (OSError, ValueError, csv.Error, bptt.NonFiniteError) as error:
        parser.error(str(error))


def run(options: argparse.Namespace) -> None:
    check(options)
    values = generated(options.seed) if options.csv is None else read(options.csv, options.column)
    trained = len(values) - int(HELD_OUT * len(values))
    season = options.season
    if season is None:
        season = likely_season(filled(values[:trained]))
    if not 1 < season < trained:
        raise ValueError(f"--season must be from 2 to {trained - 1}, got {season}")
    series = prepare(values, season, fitted=trained)
    missing = int(np.isnan(values).sum())
    print(f"series    {len(values):,} values, {missing:,} of them missing, season {season}")
    print(f"held out  the last {len(values) - trained:,}\n")
    said = learn(series, trained, options)
    report(series, said, trained)
    if options.csv is None:
        print(f"the noise has a deviation of {NOISE}; expect no less of any forecast")
    if options.picture is not None:
        draw(series, said, trained, options.picture)
        print(f"picture: {options.picture}")


def generated(seed: int) -> NDArray:
    """A day, a week and a trend, with noise, and gaps."""
    length, rng = 3000, np.random.default_rng(seed)
    waves = bptt.datasets.sine_mixture(
        length, [24, 168], amplitudes=[1, 0.5], noise=NOISE, seed=seed
    )
    values = waves.astype(np.float64) + 3 * np.arange(length) / length
    values[1:][rng.random(length - 1) < MISSING_SHARE] = np.nan
    return values


def read(path: Path, column: str) -> NDArray:
    """A column of a CSV file with a head, NaN where a value is missing."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            values = np.array(cells(path, csv.reader(file), column))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error
    known = np.flatnonzero(~np.isnan(values))
    values = values[known[0] if len(known) else 0 :]
    if len(values) < SHORTEST or len(known) < len(values) / 2:
        raise ValueError(
            f"{path} has {len(known)} values of {column!r} in {len(values)} rows, but {SHORTEST} "
            "rows are needed, and values in half of them"
        )
    if 0 < np.nanmax(np.abs(values)) < SMALLEST:
        raise ValueError(f"{path}: no value of {column!r} reaches {SMALLEST:g}; take another unit")
    return values


def cells(path: Path, rows: Iterator[list[str]], column: str) -> list[float]:
    """The numbers in a column. The head is the first row that is not blank."""
    names = next(([name.strip() for name in row] for row in rows if any(map(str.strip, row))), [])
    places = [place for place, name in enumerate(names) if name == column.strip()]
    if not places:
        raise ValueError(f"{path} has no column {column!r}, but {', '.join(names) or 'none'}")
    if len(places) > 1:
        counted = " and ".join(str(place + 1) for place in places)
        raise ValueError(f"{path} has {len(places)} columns {column!r}: columns {counted}")
    values = []
    for row in filter(None, rows):
        where = f"{path}, line {rows.line_num}"
        if any(map(str.strip, row[len(names) :])):
            raise ValueError(f"{where} has {len(row)} cells, but the head {len(names)}")
        values.append(number(row[places[0]] if places[0] < len(row) else "", where))
    return values


def number(given: str, where: str) -> float:
    text = given.strip()
    if text.lower() in MISSING_NAMES:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise ValueError(f"{where}: {text!r} is neither a number nor a missing value")
    if abs(value) > LARGEST:
        raise ValueError(f"{where}: {text} is beyond {LARGEST:g}; take another unit")
    return value


def filled(values: NDArray) -> NDArray:
    """Missing values replaced by the newest before them; the first is there."""
    newest = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(values))))
    return values[newest]


def likely_season(values: NDArray) -> int:
    """The lag from 2 on at which the changes are most alike."""
    changes = np.diff(values) - np.diff(values).mean()
    lags = range(2, min(LONGEST_SEASON, len(changes) // 3) + 1)
    alike = [changes[lag:] @ changes[:-lag] / (len(changes) - lag) for lag in lags]
    return lags[int(np.argmax(alike))]


class Prepared(NamedTuple):
    """What the network reads and what it should say, step by step; n = N - 1.

    x : (n, 3), the value without the drift, whether it was missing, and the next change, without
        the drift too, if the next value is as a season ago.
    targets : (n, 1), the next change without the drift, NO_TARGET where the next value is missing.
    truth : (n,), the next value, NaN where it is missing.
    simple : name -> (n,), what a simple forecast says of it.
    unit : of changes.
    """

    x: NDArray
    targets: NDArray
    truth: NDArray
    simple: dict[str, NDArray]
    unit: float


def prepare(values: NDArray, season: int, fitted: int) -> Prepared:
    """All scaled by what the first ``fitted`` values show."""
    steps, drift = np.arange(len(values)), mean_change(values[:fitted])
    rest, missing = values - drift * steps, np.isnan(values)
    full, truth, trend = filled(rest), rest[1:], drift * steps[1:]
    newest, before = full[:-1], season_before(full, season)
    unit, spread = np.nanstd((truth - newest)[: fitted - 1]), full[:fitted].std()
    check_changes(unit, drift, values[:fitted])
    level = (newest - full[:fitted].mean()) / spread
    x = np.column_stack([level, missing[:-1], (before - newest) / unit])
    targets = np.where(missing[1:], 0, (truth - newest) / unit)
    far = np.maximum(np.abs(x).max(axis=1), np.abs(targets)) > FURTHEST
    if far.any():
        value = filled(values)[1:][far.argmax()]
        raise ValueError(f"{value:g} is too far from the first {fitted} values, those for training")
    targets[missing[1:]] = NO_TARGET
    naive = filled(values)
    simple = {
        "naive": naive[:-1],
        "drift": newest + trend,
        "seasonal naive": season_before(naive, season),
        "seasonal drift": before + trend,
    }
    as_read = x.astype(np.float32), targets[:, np.newaxis].astype(np.float32)
    return Prepared(*as_read, values[1:], simple, float(unit))


def mean_change(values: NDArray) -> float:
    """Of a step, from the first value, which is there, to the last that is."""
    last = np.flatnonzero(~np.isnan(values))[-1]
    return float((values[last] - values[0]) / last)


def season_before(full: NDArray, season: int) -> NDArray:
    """(n,), a season before each next value; in the first season the newest value."""
    return np.concatenate([full[: season - 1], full[:-season]])


def check_changes(unit: float, drift: float, values: NDArray) -> None:
    """Refuse values that say nothing but how large each change is."""
    same = ROUNDING * np.nanmax(np.abs(values))
    if unit > same:
        return
    how = f"change by {drift:g} at every step" if abs(drift) > same else "never change"
    raise ValueError(f"the first {len(values)} values, those for training, {how}: nothing to learn")


def learn(series: Prepared, trained: int, options: argparse.Namespace) -> NDArray:
    """Train, and keep the epoch whose forecasts of the end of the training part are best.

    Returns what the network forecasts, (n,).
    """
    inner = trained - int(VALIDATION * trained)
    lanes = min(LANES, max(1, inner // STEPS))
    train = bptt.Stream(series.x[: inner - 1], lanes, series.targets[: inner - 1])
    whole = bptt.Stream(series.x, 1, series.targets)
    layers = [bptt.GRU(3, options.units), bptt.Linear(options.units, 1)]
    model = bptt.Model(layers, seed=options.seed)
    # At first the network says what the drift forecast says.
    model.params["1.W"][...] = 0
    truncation = bptt.TBPTT(50, 100)
    trainer = bptt.Trainer(
        model,
        loss=KnownSquaredError(),
        optimizer=bptt.Adam(options.rate),
        truncation=truncation,
        clip=bptt.ClipNorm(1.0),
    )
    passes = math.ceil(UPDATES / math.ceil(train.steps / truncation.k1))
    best, kept, seen = math.inf, None, slice(inner - 1, trained - 1)
    for epoch in range(0, options.epochs, passes):
        said = series.simple["drift"] + series.unit * bptt.predict(model, whole)[:, 0].astype(float)
        error = rmse(said[seen], series.truth[seen])
        print(
            f"{epoch:4} epochs, {trainer.seconds:5.1f} s, validation RMSE {error:.4g}", flush=True
        )
        if error < best:
            best, kept, waited = error, said, 0
        elif (waited := waited + 1) == options.patience:
            break
        trainer.fit(train, passes, progress=False)
    return kept


def rmse(said: NDArray, truth: NDArray) -> float:
    """Root of the mean squared error where there is a truth."""
    known = ~np.isnan(truth)
    if not known.any():
        raise ValueError("all values are missing at the end of the training part, or after it")
    return float(np.sqrt(np.mean((said[known] - truth[known]) ** 2)))


def report(series: Prepared, said: NDArray, trained: int) -> None:
    """The errors of all forecasts of the part that was held out."""
    test = slice(trained - 1, None)
    forecasts = {"network": said, **series.simple}
    errors = {name: rmse(one[test], series.truth[test]) for name, one in forecasts.items()}
    print("\nforecast           RMSE   of naive's")
    for name, error in errors.items():
        share = f"{error / errors['naive']:.0%}" if errors["naive"] else "-"
        print(f"{name:14} {error:8.4g} {share:>11}")
    best = min(series.simple, key=errors.get)
    said = verdict(errors["network"], errors[best])
    print(f"\nthe network is {said} the best of the others, {best}")


def verdict(error: float, other: float) -> str:
    if error < 0.99 * other:
        return "better than"
    return "worse than" if error > 1.01 * other else "about as good as"


def draw(series: Prepared, said: NDArray, trained: int, path: Path) -> None:
    """The end of the series, and what the network said."""
    from matplotlib import pyplot

    shown = slice(max(trained - 1, len(said) - 200), None)
    steps = np.arange(1, len(said) + 1)[shown]
    figure, ax = pyplot.subplots(figsize=(9, 3.6), layout="constrained")
    ax.plot(steps, series.truth[shown], color="#222222", linewidth=1.2, label="series")
    ax.plot(steps, said[shown], color="#e6842a", linewidth=1.2, label="one step ahead")
    ax.set(xlabel="step", ylabel="value")
    ax.set_title("The end of what was held out", loc="left")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    figure.savefig(path, dpi=120, format="png")
    pyplot.close(figure)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def check(options: argparse.Namespace) -> None:
    """Refuse options that do not go together, or are no positive numbers."""
    if (options.csv is None) != (options.column is None):
        raise ValueError("--csv and --column go together: a file, and the column to forecast")
    for name in ("epochs", "patience"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name} must be at least 1, got {getattr(options, name)}")
    if options.picture is not None:
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        if options.picture.is_dir():
            raise IsADirectoryError(f"Is a directory: {options.picture}")


def command_line() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--csv", type=Path, metavar="FILE", help="with a head; a generated series if left out")
    add("--column", metavar="NAME", help="the column of the file to forecast")
    add("--season", type=int, metavar="N", help="steps of a season; found if left out")
    add("--units", type=int, default=32, metavar="N", help="of the recurrent layer (32)")
    add("--epochs", type=int, default=400, metavar="N", help="at most (400)")
    add("--patience", type=int, default=8, metavar="N", help="looks without a better one (8)")
    add("--rate", type=float, default=3e-3, help="Adam's learning rate (0.003)")
    add("--seed", type=int, default=0, help="of parameters and the generated series (0)")
    add("--picture", type=Path, metavar="PNG", help="draw the end of the series")
    return parser


if __name__ == "__main__":
    # A terminal that lacks a character shows another, rather than an error at the end.
    sys.stdout.reconfigure(errors="replace")
    main()
