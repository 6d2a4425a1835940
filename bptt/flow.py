"""How far back each loss reaches: the error of every loss at every step before it, exactly.

(Hochreiter 1991; Bengio, Simard & Frasconi 1994; Pascanu, Mikolov & Bengio 2013.)

All losses share one tape. They go back side by side, as if each were a lane of its own: at lag k
the loss of step t is at step t - k, so a block of losses always lies on neighbouring rows::

    loss of step      t0      t0+1     ...      t1-1
    is at step        t0-k    t0+1-k   ...      t1-1-k         one step of a window with (t1 - t0)·B
                      `----- rows of the tape -----´           lanes, and then lag k + 1
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import numbers_of
from .checks import check_count, check_flag, check_kind
from .decay import decay_rate
from .layers.marks import Marks
from .layers.tape import Span
from .layers.whole import check_whole
from .losses import Loss
from .model import Model
from .packed import ModelWeights, gradient_parts
from .task import Batch, check_skip
from .window import Window

__all__ = ["GradientFlow", "gradient_flow"]

_ROWS = 2048
"""Losses times lanes that go back at a time."""
_FEW = 5
"""Steps; a gradient that reaches no further is said to vanish."""
_GROWS = 1 + 1e-6
"""Rate above which a gradient is said to explode, if it is also largest far back."""
_SHORT = 0.75
"""Share of the lags within which all gradients must end for a hint of how to reach further."""
_TINY = 1e-30
"""Of the largest norm: what is smaller has lost its digits in float32."""


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """‖∂ℓ_t/∂h_{t-k}‖ for losses at steps t and lags k.

    norms : ``"1.h"`` -> (T, lags), or (T, lags, B) lane by lane; also ``"1.c"`` for an LSTM. nan
        where step t has no loss, t - k is before the first step of its sequence, or either is
        skipped. h_t and c_t are the state after step t: ∂h is the error through the output and
        through the next step's gates, ∂c that through the next step's cell.
    window : k2, the window that the verdicts speak of; None for none.
    """

    norms: dict[str, NDArray]
    window: int | None = None

    def curve(self, name: str) -> NDArray:
        """(lags,), the mean over all losses (and lanes) that reach so far back."""
        return _mean(self._flat(name))

    def quantiles(self, name: str, shares: ArrayLike = (0.1, 0.5, 0.9)) -> NDArray:
        """(shares, lags) over losses (and lanes)."""
        flat, shares = self._flat(name), numbers_of("shares", shares)
        found = np.full((np.size(shares), flat.shape[1]), np.nan)
        for k, column in enumerate(flat.T):
            valid = column[~np.isnan(column)]
            if valid.size:
                found[:, k] = np.quantile(valid, np.ravel(shares))
        return found

    def rate(self, name: str) -> float:
        """β, by which the curve falls or grows a step, fitted to the later half of the lags where
        anything is left."""
        curve = self._seen(name)
        curve = curve[curve > _TINY * np.nanmax(curve, initial=0)]
        return decay_rate(curve, len(curve) // 2)

    def half_life(self, name: str) -> float:
        """Steps from the peak of the curve, back to where it is half as high; inf if it is not."""
        curve = self._seen(name)
        if not curve.size:
            return math.nan
        after = curve[np.nanargmax(curve) :]
        below = np.flatnonzero(after <= after[0] / 2)
        return float(below[0]) if below.size else math.inf

    def reach(self, name: str, share: float = 0.99) -> int:
        """The fewest newest steps that hold ``share`` of the summed flow.

        Raises
        ------
        ValueError : if ``share`` is not in (0, 1].
        """
        if not 0 < share <= 1:
            raise ValueError(f"share must be in (0, 1], got {share!r}")
        held = self._held(name)
        if not held.size:
            return 0
        return int(np.argmax(held >= share * (1 - 1e-12))) + 1

    def held_by(self, name: str, window: int) -> float:
        """The share of the summed flow within the newest ``window`` steps."""
        check_count("window", window)
        held = self._held(name)
        return float(held[min(window, len(held)) - 1]) if held.size else math.nan

    def verdict(self, name: str) -> str:
        """In one sentence, what becomes of the gradient on its way back."""
        return _verdict(self, name)

    def _flat(self, name: str) -> NDArray:
        """(losses, lags)."""
        norms = self.norms[name]
        return norms if norms.ndim == 2 else norms.swapaxes(1, 2).reshape(-1, norms.shape[1])

    def _seen(self, name: str) -> NDArray:
        """The curve, as far back as some loss reaches; nan at lags where all is padding."""
        curve = self.curve(name)
        return curve[: np.flatnonzero(np.isfinite(curve)).max(initial=-1) + 1]

    def _held(self, name: str) -> NDArray:
        curve = np.nan_to_num(self._seen(name))
        total = curve.sum()
        return curve.cumsum() / total if total > 0 else np.ones(len(curve))

    def __str__(self) -> str:
        return "\n".join([*(self.verdict(name) for name in self.norms), *self._hint()])

    def _hint(self) -> list[str]:
        """How to reach further, where no layer reaches nearly as far as was looked."""
        lags = max((len(self._seen(name)) for name in self.norms), default=0)
        if max((self.reach(name) for name in self.norms), default=0) >= _SHORT * lags:
            return []
        return [
            "To learn from further back: an LSTM or GRU with "
            f"chrono={lags} begins with memories of up to {lags} steps."
        ]


def gradient_flow(
    model: Model,
    loss: Loss,
    x: ArrayLike,
    targets: ArrayLike,
    state: Mapping[str, NDArray] | None = None,
    *,
    mask: NDArray | None = None,
    resets: NDArray | None = None,
    ended: NDArray | None = None,
    skip: NDArray | None = None,
    lags: int | None = None,
    per_lane: bool = False,
    window: int | None = None,
) -> GradientFlow:
    """The error of the loss of every step, at every step before it.

    Parameters
    ----------
    x : (T, B) integer ids, or (T, B, I) floats.
    targets : (n, B) integers or (n, B, O) floats, for the last n <= T steps.
    state : to start from; zeros if None.
    mask : (n, B) bool, False where a target does not count.
    resets : (T, B) bool, True where a new sequence begins: the state is zero there, and a loss
        reaches back no further.
    ended, skip : (T, B) bool, True where a lane has ended, and x is padding, or a step is passed
        over: it has no loss, and errors go through it as they are. A lag counts it like any other.
    lags : how far back; T if None.
    per_lane : whether to keep lanes apart instead of their mean; T · lags · B numbers a layer.
    window : k2, for the verdicts to speak of.

    Raises
    ------
    DataError, ShapeError : as for `bptt.gradients`.
    ValueError : if ``lags`` or ``window`` is not a positive integer, or a layer reads whole
        sequences.
    """
    check_kind("model", model, Model)
    check_kind("loss", loss, Loss)
    check_flag("per_lane", per_lane)
    for name, value in (("lags", lags), ("window", window)):
        if value is not None:
            check_count(name, value)
    check_whole(model.layers, "gradient_flow follows errors back in time; gradients gives them all")
    x = model.check_input(x)
    steps, lanes = x.shape[:2]
    marks = Marks(resets, check_skip(ended, skip, (steps, lanes)))
    batch = Batch.of(model, loss, x, targets, mask, marks)
    state = model.check_state(state, lanes)
    lags = steps if lags is None else min(int(lags), steps)
    run = _Run(model, loss, batch, state)
    shape = (steps, lags, lanes) if per_lane else (steps, lags)
    norms = {
        f"{i}.{name}": np.full(shape, np.nan)
        for i, layer in enumerate(model.layers)
        for name in layer.flowing
    }
    size = max(1, _ROWS // lanes)
    for first in range(steps - len(batch.targets), steps, size):
        for lag, rows, found in run.back(first, min(first + size, steps), lags):
            for name, values in found.items():
                norms[name][rows, lag] = values if per_lane else _mean(values.T)
    return GradientFlow(norms, None if window is None else int(window))


class _Run:
    """One forward pass, from which blocks of losses go back."""

    def __init__(
        self, model: Model, loss: Loss, batch: Batch, state: Mapping[str, NDArray]
    ) -> None:
        self.model, self.valid = model, batch.valid
        self.steps, self.lanes = batch.x.shape[:2]
        marks = batch.marks.filled(self.steps, self.lanes)
        numbers = np.arange(self.steps)[:, np.newaxis]
        self.begun = np.maximum.accumulate(np.where(marks.resets, numbers, 0))
        self.there = ~marks.skip
        self.weights = ModelWeights(model.layers, model.params, model.buffers)
        self.weights.pack(back=True)
        self.window = Window(model.layers, self.lanes, self.steps, model.dtype, backward=True)
        self.window.begin(state)
        self.window.forward(self.weights, batch.x, batch.marks)
        self.window.add_losses(loss, batch)
        self.grads = gradient_parts(model.params.like(), model.layers)

    def back(
        self, first: int, last: int, lags: int
    ) -> Iterator[tuple[int, slice, dict[str, NDArray]]]:
        """Each lag, the rows of losses that are still going, and name -> their norms (rows, B)."""
        count = last - first
        window = Window(self.model.layers, count * self.lanes, 1, self.model.dtype, backward=True)
        window.resume(1)
        window.dy[0] = self.window.dy[first:last].reshape(window.dy[0].shape)
        errors = self.model.zero_state(count * self.lanes)
        for lag in range(min(lags, last)):
            gone = max(0, lag - first)
            self._fill(window, first - lag, gone, count)
            window.go_back(self.weights, self.grads, Span(0, 1, int(lag > 0)), errors=errors)
            rows = slice(first + gone, last)
            seen = self._seen(rows, lag)
            yield (
                lag,
                rows,
                {
                    name: np.where(seen, norms[gone:], np.nan)
                    for name, norms in self._norms(window, errors).items()
                },
            )
            window.read_state_errors(self.weights, errors, row=0)

    def _seen(self, rows: slice, lag: int) -> NDArray[np.bool_]:
        """(rows, B), whether the loss of a step counts, and the step ``lag`` before belongs to its
        sequence."""
        losses = np.arange(rows.start, rows.stop)
        valid = self.valid[losses - (self.steps - len(self.valid))]
        within = losses[:, np.newaxis] - lag >= self.begun[rows]
        return valid & within & self.there[rows] & self.there[losses - lag]

    def _fill(self, window: Window, first: int, gone: int, count: int) -> None:
        """Put the rows from ``first`` on side by side into the one row of ``window``.

        gone : how many of these rows lie before the first step; they are zero.
        """
        ours, theirs = self.window.kept(), window.kept()
        for name, (rows, _, beyond) in ours.items():
            to = theirs[name].rows
            for row in range(1 + beyond):
                lanes = to[row].reshape(count, self.lanes, *rows.shape[2:])
                lanes[:gone] = 0
                lanes[gone:] = rows[first + gone + row : first + count + row]

    def _norms(self, window: Window, arrived: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Name -> (losses, B): δ, and the error that arrived at the other states."""
        found = {}
        for i, layer in enumerate(self.model.layers):
            for name in layer.flowing:
                if name == layer.flowing[0]:
                    norms = window.norms(i)[0]
                else:
                    norms = _lengths(arrived[f"{i}.{name}"].astype(np.float64))
                found[f"{i}.{name}"] = norms.reshape(-1, self.lanes).copy()
        return found


def _lengths(rows: NDArray) -> NDArray:
    """(n,), the norms of rows (n, H) float64, whatever the sizes of their numbers."""
    with np.errstate(over="ignore", under="ignore"):
        norms = np.linalg.norm(rows, axis=1)
    rest = ~((norms > 1e-135) & (norms < math.inf))
    norms[rest] = np.hypot.reduce(rows[rest], axis=1)
    return norms


def _mean(values: NDArray) -> NDArray:
    """Over axis 0, without nan; nan where there is nothing else."""
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.where(there, values, 0.0).sum(axis=0) / np.where(count, count, np.nan)


def _verdict(flow: GradientFlow, name: str) -> str:
    layer, _, what = name.partition(".")
    subject = f"gradient of layer {layer}" + ("" if what == "h" else f" by {what}")
    rate, reach = flow.rate(name), flow.reach(name)
    lags = int(np.isfinite(flow.curve(name)).sum())
    if not lags:
        return f"There is no loss whose {subject} could be seen."
    last = "last step" if reach == 1 else f"last {reach} steps"
    curve = np.nan_to_num(flow.curve(name))
    if rate > _GROWS and curve.argmax() >= lags // 2:
        return f"The {subject} explodes: it grows by {rate - 1:.2%} a step."
    if reach > 0.95 * lags and (lags > _FEW or flow.half_life(name) == math.inf):
        return f"The {subject} does not die out within the {lags} steps seen."
    if reach <= _FEW:
        return f"The {subject} vanishes: 99 % of it comes from the {last}."
    tail = f"99 % of the {subject} comes from the {last}"
    if flow.window is None:
        return f"{tail}."
    if flow.window >= reach:
        return f"{tail}; a window of {flow.window} is long enough."
    held = flow.held_by(name, flow.window)
    return f"{tail}; a window of {flow.window} cuts it off: it holds {held:.1%}."
