"""The error of single losses, step by step on its way back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .layers.marks import NOTHING, Marks
from .layers.tape import Span
from .losses import Loss
from .model import Model
from .packed import ModelWeights, gradient_parts
from .task import Batch
from .window import Window

__all__ = ["last_loss_errors", "loss_errors"]


def last_loss_errors(
    model: Model,
    loss: Loss,
    x: NDArray,
    targets: NDArray,
    valid: NDArray,
    state: Mapping[str, NDArray],
    marks: Marks = NOTHING,
    lags: int | None = None,
) -> NDArray:
    """∂ℓ_s/∂h_{s-k} of the losses at the last step s, for the lags k = 0, 1, ...

    Parameters
    ----------
    x : (T, B) ids or (T, B, I), checked.
    targets, valid : (1, B, ...) and (1, B), of the last step, as the loss reads them.
    state : to start from.
    marks : of the T steps.
    lags : how many; T if None.

    Returns
    -------
    (lags, valid lanes, ΣH) float64: lag on axis 0, the units of all recurrent layers side by side.

    Raises
    ------
    ValueError : if the model carries no state through which an error could flow.
    """
    if not any(layer.flowing for layer in model.layers):
        raise ValueError(f"{model} has no recurrent layer, so no error flows back through time")
    steps, lanes = x.shape[:2]
    window = Window(model.layers, lanes, steps, model.dtype, backward=True)
    weights = ModelWeights(model.layers, model.params, model.buffers)
    weights.pack(back=True)
    window.begin(state)
    window.forward(weights, x, marks)
    window.weigh(None)
    window.add_losses(loss, Batch(x, targets, valid, int(valid.sum())))
    grads = gradient_parts(model.params.like(), model.layers)
    errors, carried = [], model.zero_state(lanes)
    for t in reversed(range(0 if lags is None else steps - lags, steps)):
        errors_from = t if t == steps - 1 else t + 1
        window.go_back(weights, grads, Span(t, t + 1, errors_from), errors=carried)
        errors.append(_of_all_layers(window))
        window.read_state_errors(weights, carried, row=t)
    return np.stack(errors)[:, valid[0]]


def loss_errors(
    model: Model, loss: Loss, batch: Batch, state: Mapping[str, NDArray], lags: int
) -> NDArray | None:
    """`last_loss_errors` of the first losses of ``batch`` that have ``lags`` steps before them.

    None if there is none.
    """
    targets_from = len(batch.x) - len(batch.targets)
    steps = targets_from + np.flatnonzero(batch.valid.any(axis=1))
    steps = steps[steps >= lags - 1]
    if not steps.size:
        return None
    last = int(steps[0])
    newest = slice(last - targets_from, last - targets_from + 1)
    x, targets, valid = batch.x[: last + 1], batch.targets[newest], batch.valid[newest]
    return last_loss_errors(
        model, loss, x, targets, valid, state, batch.marks.steps(0, last + 1), lags
    )


def _of_all_layers(window: Window) -> NDArray:
    """(B, ΣH) float64, δ of the step that `Window.go_back` came to."""
    found = [
        tape.errors[layer.flowing[0]][:, : layer.sizes[1]]
        for layer, tape in zip(window.layers, window.tapes, strict=True)
        if layer.flowing
    ]
    return np.concatenate(found, axis=1, dtype=np.float64)
