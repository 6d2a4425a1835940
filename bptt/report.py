"""What truncation costs and what it misses: windows of several lengths beside the full gradient."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .block import Block
from .checks import check_kind, check_workers, is_number
from .data import Stream
from .decay import Decay, fit_decay
from .layers.whole import check_whole
from .losses import Loss
from .model import Model
from .passes import check_fit
from .probe import loss_errors
from .task import Batch, Reach
from .truncation import TBPTT
from .workers import Workers

__all__ = ["TruncationReport", "truncation_report"]

_STEPS = 2000
_SAMPLES = 64
"""Losses that are followed back one by one."""


@dataclass(frozen=True, eq=False)
class TruncationReport:
    """What `truncation_report` found, window by window.

    windows : (k1, k2) of each.
    steps, lanes : of the probe.
    loss : mean over its targets.
    cosine, error : ``"all"``, and layers that have parameters, ``"1"`` -> (windows,): the cosine of
        the truncated gradient and the full one, and the norm of their difference over that of the
        full one.
    bound : (windows,), of the relative bias, from the decay of the error; inf where there is none.
    milliseconds, megabytes : (windows,), the median time of an update without the optimizer's step,
        and what its tapes take.
    decay : how the error of single losses dies out.
    tolerance : relative error that is good enough.
    recommended : (k1, k2); None if no window is good enough.
    reason : why, in one sentence.
    """

    windows: tuple[tuple[int, int], ...]
    steps: int
    lanes: int
    loss: float
    cosine: dict[str, NDArray]
    error: dict[str, NDArray]
    bound: NDArray
    milliseconds: NDArray
    megabytes: NDArray
    decay: Decay
    tolerance: float
    recommended: tuple[int, int] | None
    reason: str

    def __str__(self) -> str:
        lines = ["   k1    k2   cosine   error   bound       ms       MB"]
        for i, (k1, k2) in enumerate(self.windows):
            lines.append(
                f"{k1:5d} {k2:5d}  {self.cosine['all'][i]:7.4f} {self.error['all'][i]:7.2%} "
                f"{self.bound[i]:7.2%} {self.milliseconds[i]:8.2f} {self.megabytes[i]:8.2f}"
            )
        return "\n".join([*lines, self.reason])


def truncation_report(
    model: Model,
    loss: Loss,
    stream: Stream,
    windows: Sequence[int | tuple[int, int]],
    *,
    steps: int | None = None,
    tolerance: float = 0.1,
    workers: int | None = None,
) -> TruncationReport:
    """Hold the gradients of truncated windows against the full one, at the parameters of today.

    Over the same steps, the gradients of all updates of ``TBPTT(k1, k2)`` are added up, with
    parameters that do not move, and compared with backpropagation through all these steps at once.
    For that, states are run again instead of stored, so the memory grows with the square root of
    the steps (and with the input itself).

    Parameters
    ----------
    model, loss : as they are; nothing is changed.
    stream : probed from its beginning.
    windows : each k for TBPTT(k, k), or (k1, k2).
    steps : time steps of the probe; 2000, or four times the longest window if that is more, if
        None; no more than the stream has.
    tolerance : relative error of the gradient that is good enough, in (0, 1).
    workers : threads to use; None for what is best.

    Raises
    ------
    DataError, ShapeError : if the stream does not fit the model or the loss.
    ValueError : if a window is not a positive integer or a pair with k1 <= k2, there is none, the
        probe is shorter than the longest, ``tolerance`` is out of its range, or a layer reads whole
        sequences.
    """
    check_kind("model", model, Model)
    check_whole(model.layers, "truncation cuts them; FullBPTT() is the only choice")
    pairs = _pairs(windows)
    check_fit(stream, model, loss)
    check_workers(workers)
    if not is_number(tolerance) or not 0 < tolerance < 1:
        raise ValueError(f"tolerance must be in (0, 1), got {tolerance!r}")
    longest = max(k2 for _, k2 in pairs)
    probe = _Probe(model, loss, stream, _length(steps, stream, longest), workers)
    full, total, _, _ = probe.run(probe.steps, probe.steps, "sqrt")
    runs = [probe.run(k1, k2, None) for k1, k2 in pairs]
    decay = fit_decay(probe.single_losses(min(2 * longest, probe.steps)))
    cosine, error = _compare(model, full, [run[0] for run in runs])
    recommended, reason = _recommend(pairs, error["all"], cosine["all"], decay, tolerance)
    return TruncationReport(
        windows=pairs,
        steps=probe.steps,
        lanes=stream.batch,
        loss=total / probe.count,
        cosine=cosine,
        error=error,
        bound=np.array([_bound(decay, k1, k2) for k1, k2 in pairs]),
        milliseconds=np.array([run[2] for run in runs]),
        megabytes=np.array([run[3] for run in runs]),
        decay=decay,
        tolerance=float(tolerance),
        recommended=recommended,
        reason=reason,
    )


def _pairs(windows: Sequence[int | tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    pairs = [window if isinstance(window, tuple) else (window, window) for window in windows]
    if not pairs:
        raise ValueError("windows must hold at least one window, got none")
    for pair in pairs:
        if len(pair) != 2:
            raise ValueError(f"a window must be k2 or (k1, k2), got {pair!r}")
        TBPTT(*pair)
    return tuple((int(k1), int(k2)) for k1, k2 in pairs)


def _length(steps: int | None, stream: Stream, longest: int) -> int:
    wanted = max(_STEPS, 4 * longest) if steps is None else steps
    if isinstance(wanted, bool) or not isinstance(wanted, int | np.integer) or wanted < 1:
        raise ValueError(f"steps must be a positive integer or None, got {steps!r}")
    found = min(int(wanted), stream.steps)
    if found < longest:
        raise ValueError(
            f"windows go up to {longest} steps, but the probe has {found}: {stream}, steps={steps}"
        )
    return found


class _Probe:
    """The first steps of a stream, run with one window after the other."""

    def __init__(
        self, model: Model, loss: Loss, stream: Stream, steps: int, workers: int | None
    ) -> None:
        self.model, self.loss, self.stream, self.steps = model, loss, stream, steps
        self.workers = workers
        self.count = sum(batch.count for batch in self._batches(steps))
        if not self.count:
            raise ValueError(f"the first {steps} steps of {stream} have no valid target")

    def _batches(self, k1: int) -> Iterator[Batch]:
        """The steps of the probe, ``k1`` at a time."""
        reader = self.stream.reader()
        while reader.position < self.steps:
            chunk = reader.take(min(k1, self.steps - reader.position))
            yield Batch.of_chunk(self.model, self.loss, chunk)

    def run(self, k1: int, k2: int, memory: str | None) -> tuple[NDArray, float, float, float]:
        """The gradient of the mean loss in float64, the sum of the losses, ms an update, and MB."""
        lanes = self.stream.batch
        team = Workers(self.model, lanes, self.workers, k2, memory)
        team.reserve(k2, sliding=k1 < k2)
        team.begin()
        gradient, total, times = np.zeros(self.model.params.flat.size), 0.0, []
        left = self.steps
        for batch in self._batches(k1):
            began = time.perf_counter()
            left -= len(batch.x)
            reach = Reach(k2, keep=k2 - min(k1, left) if left else 0)
            total += team.forward_and_back(batch, self.loss, reach, 1 / self.count)
            times.append(time.perf_counter() - began)
            gradient += team.gradient.flat
        taken = sum(window.nbytes() for window in team.windows) / 1e6
        return gradient, total, 1e3 * float(np.median(times)), taken

    def single_losses(self, lags: int) -> NDArray:
        """The errors of losses spread over the probe, (lags, samples, ΣH)."""
        state, found, samples = self.model.zero_state(self.stream.batch), [], 0
        for batch in self._batches(2 * lags):
            errors = loss_errors(self.model, self.loss, batch, state, lags)
            if errors is not None:
                found.append(errors)
                samples += errors.shape[1]
            if samples >= _SAMPLES:
                break
            _, state = self.model(batch.x, state, batch.marks.resets, skip=batch.marks.skip)
        if not found:
            raise ValueError(f"no target of the probe has {lags} steps before it")
        return np.concatenate(found, axis=1)


def _compare(
    model: Model, full: NDArray, gradients: list[NDArray]
) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Cosine and relative error of each gradient, in all and layer by layer."""
    names = {"all": np.ones(full.size, bool)}
    marks = Block(model.params.shapes, np.float64)
    for i, layer in enumerate(model.layers):
        if layer.shapes():
            marks.flat[:] = 0
            for name in layer.shapes():
                marks[f"{i}.{name}"][...] = 1
            names[str(i)] = marks.flat > 0
    cosine, error = {}, {}
    for name, of_it in names.items():
        whole, norm = full[of_it], np.linalg.norm(full[of_it])
        parts = [gradient[of_it] for gradient in gradients]
        with np.errstate(invalid="ignore", divide="ignore"):
            cosine[name] = np.array([p @ whole / (np.linalg.norm(p) * norm) for p in parts])
            error[name] = np.array([np.linalg.norm(p - whole) / norm for p in parts])
    return cosine, error


def _bound(decay: Decay, k1: int, k2: int) -> float:
    """Of the relative bias, as the mean over the losses of an update, by how far each reaches."""
    return float(np.mean(decay.bias[k2 - k1 : k2]))


def _recommend(
    pairs: tuple[tuple[int, int], ...],
    error: NDArray,
    cosine: NDArray,
    decay: Decay,
    tolerance: float,
) -> tuple[tuple[int, int] | None, str]:
    """The shortest window that is good enough, of these the cheapest; and why."""
    order = sorted(range(len(pairs)), key=lambda i: (pairs[i][1], -pairs[i][0]))
    for i in order:
        if error[i] <= tolerance:
            return pairs[i], (
                f"{TBPTT.__name__}{pairs[i]} is the shortest window tried whose gradient is within "
                f"{tolerance:.0%} of the full one: its error is {error[i]:.1%}, the cosine "
                f"{cosine[i]:.4f}."
            )
    best = int(np.nanargmin(error))
    beyond = (
        f"the error of a loss falls by a factor of {decay.rate:.4f} a step, so a longer one may do"
        if decay.rate < 1
        else f"the error of a loss does not decay over the {len(decay.norms)} steps seen"
    )
    return None, (
        f"No window tried is within {tolerance:.0%} of the full gradient: the best, "
        f"{TBPTT.__name__}{pairs[best]}, is off by {error[best]:.1%}; {beyond}."
    )
