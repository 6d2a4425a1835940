"""Real-time recurrent learning: the exact gradient, carried forward instead of back.

::

    M_t = J_t M_{t-1} + F_t            J_t = ∂s_t/∂s_{t-1}    F_t = ∂s_t/∂θ, s_{t-1} held fixed
    ∂ℓ_t/∂θ = e_t M_{t-1} + g_t        e_t = ∂ℓ_t/∂s_{t-1}    g_t = ∂ℓ_t/∂θ, s_{t-1} held fixed

s_t is the state of all layers after step t, S numbers a lane; θ the P parameters; M_t = ∂s_t/∂θ is
the influence (Williams & Zipser 1989). The others come from windows of one step: the error of the
loss, or of one component of s_t, goes back through it to s_{t-1} and to θ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .block import Block
from .checks import check_kind
from .layers.marks import Marks
from .layers.tape import Span
from .layers.whole import check_whole
from .losses import Loss
from .model import Model
from .packed import ModelWeights, gradient_parts
from .task import Batch
from .window import Window

__all__ = ["OnlineStep", "rtrl", "rtrl_steps"]

_MOST = 20_000_000
"""Numbers in the influences of all lanes: 160 MB."""


class OnlineStep(NamedTuple):
    """One step of `rtrl_steps`.

    loss : mean over the lanes with a valid target; nan if there is none.
    targets : how many lanes have one.
    grads : Block like ``model.params``, the gradient of ``loss``; zero if there is no target.
    state : Block, after the step.
    """

    loss: float
    targets: int
    grads: Block
    state: Block


def rtrl(
    model: Model,
    loss: Loss,
    x: ArrayLike,
    targets: ArrayLike,
    state: Mapping[str, NDArray] | None = None,
    *,
    mask: NDArray | None = None,
    resets: NDArray | None = None,
) -> tuple[float, Block, Block]:
    """The loss over ``x``, its gradient by real-time recurrent learning, and the state after it.

    What `value_and_grad` gives by going back through all steps, to rounding. A model of any layers
    that read forward will do; one with ``feedback="random"`` has its exact gradient here. Layers
    that are random in training do what they do outside it.

    A step takes time O(S²·P) and memory O(S·P) for each lane, whatever the number of steps: a
    reference for small models.

    Parameters
    ----------
    x : (T, B) integer ids, or (T, B, I) floats.
    targets : (n, B) integers or (n, B, O) floats, for the last n <= T steps.
    state : to start from, a constant; zeros if None.
    mask : (n, B) bool, False where a target does not count.
    resets : (T, B) bool, True where a new sequence begins, before which the state is zero.

    Returns
    -------
    loss : mean over the valid targets.
    grads : Block like ``model.params``.
    state : Block, to go on from.

    Raises
    ------
    DataError, ShapeError : as for `value_and_grad`.
    ValueError : if the influences of all lanes have more than 20,000,000 numbers, or a layer reads
        whole sequences.
    """
    check_kind("model", model, Model)
    grads, total, count = model.params.like(), 0.0, 0
    for step in rtrl_steps(model, loss, x, targets, state, mask=mask, resets=resets):
        state = step.state
        if step.targets:
            total += step.targets * step.loss
            count += step.targets
            grads.flat += step.targets * step.grads.flat
    grads.flat /= max(1, count)
    return total / max(1, count), grads, state


def rtrl_steps(
    model: Model,
    loss: Loss,
    x: ArrayLike,
    targets: ArrayLike,
    state: Mapping[str, NDArray] | None = None,
    *,
    mask: NDArray | None = None,
    resets: NDArray | None = None,
) -> Iterator[OnlineStep]:
    """Step by step, the gradient of the loss of that step alone, through all steps before it.

    Parameters may change between steps, as in learning online::

        for step in bptt.rtrl_steps(model, loss, x, targets):
            model.params.flat[:] -= 0.1 * step.grads.flat

    Then the influence is, as Williams & Zipser have it, that of the parameters as they were at each
    step. Parameters and errors are those of `rtrl`; errors are raised before the first step.
    """
    check_kind("model", model, Model)
    check_kind("loss", loss, Loss)
    check_whole(model.layers, "real-time recurrent learning goes forward step by step")
    x = model.check_input(x)
    batch = Batch.of(model, loss, x, targets, mask, Marks(resets=resets))
    state = model.check_state(state, x.shape[1])
    return _steps(model, loss, batch, _Lanes(model, state, x.shape[1]))


def _steps(model: Model, loss: Loss, batch: Batch, lanes: _Lanes) -> Iterator[OnlineStep]:
    targets_from = len(batch.x) - len(batch.targets)
    for t in range(len(batch.x)):
        newest = slice(max(0, t - targets_from), max(0, t + 1 - targets_from))
        valid = batch.valid[newest]
        count = int(np.count_nonzero(valid))
        marks = batch.marks.steps(t, t + 1)
        here = Batch(batch.x[t : t + 1], batch.targets[newest], valid, count, marks)
        total, grads = lanes.step(loss, here)
        yield OnlineStep(total / count if count else math.nan, count, grads, lanes.state())


class _Lanes:
    """All lanes, each with a window of one step and an influence of its own."""

    def __init__(self, model: Model, state: Block, lanes: int) -> None:
        self.model = model
        layers = [layer.exact() for layer in model.layers]
        self.names = [f"{i}.{name}" for i, layer in enumerate(layers) for name in layer.flowing]
        self.units = model.zero_state(1)
        size = sum(self.units[name].size for name in self.names)
        parameters = model.params.flat.size
        if lanes * size * parameters > _MOST:
            raise ValueError(
                f"real-time recurrent learning carries the derivative of {size:,} states by "
                f"{parameters:,} parameters for {lanes} lanes, {lanes * size * parameters:,} "
                f"numbers; {_MOST:,} are the most that it takes"
            )
        self.weights = ModelWeights(layers, model.params, model.buffers)
        self.influences = np.zeros((lanes, size, parameters))
        self.fresh = np.empty((size, parameters))
        self.jacobian = np.empty((size, size))
        self.gradient, self.errors = model.params.like(), model.zero_state(1)
        self.parts = gradient_parts(self.gradient, layers)
        self.windows = [Window(layers, 1, 1, model.dtype, backward=True) for _ in range(lanes)]
        for lane, window in enumerate(self.windows):
            window.begin(state, lane)

    def step(self, loss: Loss, batch: Batch) -> tuple[float, Block]:
        """The sum of the losses of ``batch``, one step of all lanes, and the gradient."""
        self.weights.pack(back=True)
        total, gradient = 0.0, np.zeros(self.gradient.flat.size)
        scale = 1.0 / max(1, batch.count)
        for lane, (window, influence) in enumerate(zip(self.windows, self.influences, strict=True)):
            own = batch.part(lane, lane + 1)
            window.make_room(1)
            window.forward(self.weights, own.x, own.marks)
            if own.valid.any():
                total += window.add_losses(loss, own, scale)
                gradient += self._back(window, 0) @ influence + self.gradient.flat
            self._influence(window)
            influence[...] = self.jacobian @ influence + self.fresh
        return total, self.model.params.like(gradient.astype(self.model.dtype))

    def _influence(self, window: Window) -> None:
        """Fill ``jacobian`` and ``fresh``, the errors of each component of the state gone back."""
        row = 0
        for name in self.names:
            units = self.units[name][0]
            for j in range(units.size):
                units[j] = 1
                self.jacobian[row] = self._back(window, 1, self.units)
                self.fresh[row] = self.gradient.flat
                units[j] = 0
                row += 1

    def _back(self, window: Window, errors_from: int, errors: Block | None = None) -> NDArray:
        """(S,), the error of the state before the step; that of parameters is in ``gradient``."""
        span = Span(0, 1, errors_from, consume=False)
        window.go_back(self.weights, self.parts, span, errors=errors)
        window.read_state_errors(self.weights, self.errors)
        return np.concatenate([self.errors[name][0] for name in self.names] or [np.empty(0)])

    def state(self) -> Block:
        """After the newest step."""
        state = self.model.zero_state(len(self.windows))
        for lane, window in enumerate(self.windows):
            window.read_state(state, lane)
        return state
