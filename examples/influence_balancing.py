"""Train one number where a window that is too short has the gradient's sign wrong.

    python examples/influence_balancing.py          a few seconds; leaves a picture

The influence-balancing problem of Tallec & Ollivier 2017 ("Unbiasing truncated backpropagation
through time"): 23 linear units, s ← A s + θ v, where A is 0.5 on its diagonal and superdiagonal and
v is +1 for the first 10 units and -1 for the other 13; all units begin at 1, and the loss of every
step is ½ (s[0] - 1)². The 10 nearest units push s[0] up with θ, and soon. The 13 others pull it
down, later and by more: at rest s[0] = -6 θ. Short windows see the push alone.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

import bptt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNITS, PUSHING = 23, 10
A = 0.5 * (np.eye(UNITS) + np.eye(UNITS, k=1))
V = np.where(np.arange(UNITS) < PUSHING, 1.0, -1.0)
START, BEST = 0.5, -1 / 6
"""θ at first, and where the loss at rest is 0."""
READ = math.sqrt(0.5)
"""The model gives s[0] times this, so that its squared error is ½ (s[0] - 1)²."""

WINDOWS = (1, 2, 5, 10, 20, 30, 40, 50, 75, 100)
LONGEST = 200
"""Longest window in the picture of sensitivities."""
SLOWED = 1000
"""Steps after which the learning rate has fallen to 1/√2."""
GIVEN_UP = 1e6
"""Loss at which a run is stopped."""

INK, GREY, WRONG, SHADE = "#222222", "#666666", "#a63603", "#fbeae6"
COLOURS = {
    "TBPTT(10, 10)": WRONG,
    "TBPTT(100, 100)": "#e6842a",
    "TBPTT(200, 200)": "#74a9cf",
    "TBPTT(10, 100)": "#0b4f8a",
    "ARTBP(16)": "#1b9e77",
}
"""Warm for windows whose mean gradient has the wrong sign."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = command_line()
    options = parser.parse_args(arguments)
    try:
        run(options)
    except (OSError, ValueError, bptt.NonFiniteError) as error:
        parser.error(str(error))


def run(options: argparse.Namespace) -> None:
    if options.steps < 1 or not 0 < options.rate < math.inf:
        given = f"--steps {options.steps} and --rate {options.rate:g}"
        raise ValueError(f"{given} must be positive and finite")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    if options.out.is_dir():
        raise IsADirectoryError(f"Is a directory: {options.out}")
    chosen = policies(options.seed)
    sensitivities = np.array([sensitivity(k) for k in range(1, LONGEST + 1)])
    print_sensitivities(sensitivities)
    print(
        f"\nFrom θ = {START:g}, where the loss at rest is {0.5 * (-6 * START - 1) ** 2:g}, "
        f"towards θ = {BEST:.4f}, where it is 0;\n"
        f"{options.steps:,} steps of data, learning rate {options.rate:g}/√(1 + t/{SLOWED}) "
        "at step t\n"
    )
    print("truncation          θ at the end       last loss")
    runs = {}
    for name, policy in chosen.items():
        runs[name] = found = train(*policy, options.rate, options.steps)
        print(f"{name:15} {found.theta:16.6f} {found.loss[-1]:15.3g}   {found.verdict()}")
    draw(sensitivities, runs, options.out)
    print(f"\npicture: {options.out}")


def network(theta: float) -> bptt.Model:
    """Reads (1, 0) at every step but one: (0, 1), from a state of zeros, makes all units 1."""
    layers = [bptt.RNN(2, UNITS, activation="identity"), bptt.Linear(UNITS, 1)]
    model = bptt.Model(layers, dtype="float64")
    model.params.flat[:] = 0
    model.params["0.Wx"] = np.stack([theta * V, np.ones(UNITS)])
    model.params["0.Wh"] = A.T
    model.params["1.W"][0] = READ
    return model


def stream(steps: int) -> bptt.Stream:
    """(0, 1), and then ``steps`` times (1, 0)."""
    x = np.tile([1.0, 0.0], (steps + 1, 1))
    x[0] = 0, 1
    return bptt.Stream(x, batch=1, targets=np.full((steps + 1, 1), READ))


def sensitivity(steps: int) -> float:
    """∂s[0]/∂θ through so many steps from a constant state."""
    model, state = network(START), {"0.h": np.ones((1, UNITS))}
    x = np.tile([1.0, 0.0], (steps, 1, 1))
    y, _ = model(x, state)
    # So far from its target, the loss has the slope 1 in s[0].
    found = bptt.gradients(model, bptt.SquaredError(), x, y[-1:] - READ, state)
    return float(found.params["0.Wx"][0] @ V)


def mean_to(sensitivities: NDArray) -> NDArray:
    """Of TBPTT(K, K), whose losses reach back 1 to K steps, for every K."""
    return np.cumsum(sensitivities) / np.arange(1, len(sensitivities) + 1)


def print_sensitivities(sensitivities: NDArray) -> None:
    means = mean_to(sensitivities)
    print("  K   ∂s[0]/∂θ, K steps back   mean of TBPTT(K, K)")
    for k in WINDOWS:
        print(f"{k:3} {signed(sensitivities[k - 1]):>25} {signed(means[k - 1]):>21}")


def signed(value: float) -> str:
    return f"{value:.4f} {'wrong' if value > 0 else 'right'}"


@dataclass(frozen=True)
class Falling(bptt.Schedule):
    """``initial`` · ``steps`` / √(1 + t / SLOWED), t being the steps of data so far.

    The gradient of an update is a mean over ``steps`` steps. Times ``steps`` it is their sum; so
    all truncations, however often they update, have the same learning rate per step of data.
    """

    initial: float
    steps: float

    def rate(self, updates: int, epochs: int, memo: Mapping[str, float] | None = None) -> float:
        return self.initial * self.steps / math.sqrt(1 + updates * self.steps / SLOWED)


@dataclass(frozen=True, eq=False)
class Along(bptt.Optimizer):
    """Gradient descent for one number θ, on which all parameters depend.

    Parameters
    ----------
    learning_rate : a number, or a `Schedule`.
    direction : (N,), the derivative of all parameters by θ.
    """

    direction: NDArray

    def update(
        self,
        params: NDArray,
        grads: NDArray,
        moments: Mapping[str, NDArray],
        n: int,
        rate: float,
        clipping: bptt.Clipping,
    ) -> None:
        clipped = np.clip(grads * clipping.factor, -clipping.limit, clipping.limit)
        params -= rate * (clipped @ self.direction) * self.direction


class Run(NamedTuple):
    """Of one training: after each update the steps of data so far and the mean loss of its new
    ones; and θ at the end."""

    step: NDArray
    loss: NDArray
    theta: float

    def verdict(self) -> str:
        away, first = abs(self.theta - BEST), abs(START - BEST)
        if self.loss[-1] > GIVEN_UP:
            return f"diverges, stopped at step {self.step[-1]:,}"
        if away > first:
            return "diverges"
        return "converges" if away < 0.01 * first else "has not settled"


def policies(seed: int) -> dict[str, tuple[bptt.Truncation, int]]:
    """Name -> truncation, and the new steps of an update, on average."""
    return {
        "TBPTT(10, 10)": (bptt.TBPTT(10, 10), 10),
        "TBPTT(100, 100)": (bptt.TBPTT(100, 100), 100),
        "TBPTT(200, 200)": (bptt.TBPTT(200, 200), 200),
        "TBPTT(10, 100)": (bptt.TBPTT(10, 100), 10),
        "ARTBP(16)": (bptt.ARTBP(16, alpha=4.0, seed=seed), 16),
    }


def train(truncation: bptt.Truncation, per_update: int, rate: float, steps: int) -> Run:
    """Train θ from START over so many steps, or until the loss is beyond all bounds."""
    model = network(START)
    direction = bptt.Block(model.params.shapes, model.dtype)
    direction["0.Wx"][0] = V
    trainer = bptt.Trainer(
        model,
        loss=bptt.SquaredError(),
        optimizer=Along(Falling(rate, per_update), direction.flat),
        truncation=truncation,
    )
    new, losses = [], []
    for step in trainer.steps(stream(steps)):
        new.append(step.k1)
        losses.append(step.loss)
        if step.loss > GIVEN_UP:
            break
    return Run(np.cumsum(new), np.array(losses), float(model.params["0.Wx"][0, 0]))


def draw(sensitivities: NDArray, runs: Mapping[str, Run], path: Path) -> None:
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11.5, 4.4), layout="constrained")
    draw_sensitivities(left, sensitivities)
    draw_runs(right, runs)
    for ax in (left, right):
        ax.grid(color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150, format="png")
    pyplot.close(figure)


def draw_sensitivities(ax: Axes, sensitivities: NDArray) -> None:
    windows, means = np.arange(1, len(sensitivities) + 1), mean_to(sensitivities)
    ax.set(xlim=(0, len(windows)), ylim=(-8, 18.5))
    ax.set(xlabel="window K, in steps", ylabel="∂s[0] / ∂θ")
    ax.set_title("What a window sees of the gradient", loc="left")
    ax.axhspan(0, 18.5, color=SHADE, zorder=0)
    ax.text(len(windows) - 2, 0.4, "wrong sign", color=WRONG, ha="right")
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.axhline(-6, color=GREY, linestyle=":", linewidth=1.2)
    ax.text(len(windows) - 2, -6.4, "full gradient: −6", color=GREY, ha="right", va="top")
    lines = {"of a loss, K steps back": (sensitivities, "-"), "mean of TBPTT(K, K)": (means, "--")}
    for name, (values, style) in lines.items():
        ax.plot(windows, values, style, color=INK, label=name)
        turn = windows[values < 0][0]
        ax.plot(turn, values[turn - 1], "o", color=INK, markersize=4)
        ax.text(turn + 3, 0.4, f"K = {turn}", color=INK)
    ax.legend(frameon=False, loc="upper right")


def draw_runs(ax: Axes, runs: Mapping[str, Run]) -> None:
    """The legend's order is that of the last losses."""
    for name in sorted(runs, key=lambda name: -runs[name].loss[-1]):
        step, loss, _ = runs[name]
        ax.plot(step, loss, color=COLOURS[name], label=name, linewidth=1.4)
        if loss[-1] > GIVEN_UP:
            ax.plot(step[-1], loss[-1], "x", color=COLOURS[name])
            ax.text(step[-1], loss[-1], "  stopped", color=COLOURS[name], va="center")
    ax.set_yscale("log", nonpositive="mask")
    ax.set_xlim(left=0)
    ax.set(xlabel="steps of data", ylabel="loss, ½ (s[0] − 1)²")
    ax.set_title(f"Learning θ, from {START:g}", loc="left")
    ax.locator_params(axis="x", nbins=5)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def command_line() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--steps", type=int, default=20_000, metavar="N", help="of data (20000)")
    add("--rate", type=float, default=5e-5, help="first learning rate (5e-05)")
    add("--seed", type=int, default=0, help="of the cuts of ARTBP (0)")
    name = "influence_balancing.png"
    add("--out", type=Path, metavar="PNG", default=Path(name), help=f"the picture ({name})")
    return parser


if __name__ == "__main__":
    # A terminal that lacks a character shows another, rather than an error at the end.
    sys.stdout.reconfigure(errors="replace")
    main()
