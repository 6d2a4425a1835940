"""The Jacobians of a trajectory: what happens to small changes of the state.

The error that goes back from step t to step t - 1 is multiplied by the transposed Jacobian of the
states; so whether gradients vanish or explode is in its singular values, and on the long run in the
Lyapunov exponents (Pascanu, Mikolov & Bengio 2013; Engelken, Wolf & Abbott 2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_kind
from .errors import ShapeError
from .layers.tape import Span
from .layers.whole import check_whole
from .model import Model
from .packed import ModelWeights, gradient_parts
from .window import Window

__all__ = ["JacobianSpectrum", "jacobian_spectrum"]


@dataclass(frozen=True, eq=False)
class JacobianSpectrum:
    """What `jacobian_spectrum` found along a trajectory of T steps.

    singular_values : (T, n), row k - 1 those of ∂h_{t+k}/∂h_t, largest first, where t is the step
        before the first and h the states h of all recurrent layers side by side. What an LSTM's
        cell c carries does not show in them.
    state_values : (T, N), the same of the whole state, h and c. Values far below the largest, by
        more than float64 can tell apart, are rounding.
    lyapunov : (N,), exponents of the whole state, h and c: the mean logarithm by which small
        changes grow a step, largest first.
    """

    singular_values: NDArray
    state_values: NDArray
    lyapunov: NDArray


def jacobian_spectrum(
    model: Model, x: ArrayLike, state: Mapping[str, NDArray] | None = None
) -> JacobianSpectrum:
    """Singular values and Lyapunov exponents along the trajectory that ``x`` drives.

    The exponents are those of the QR method (Benettin et al. 1980): a basis goes forward, and is
    made orthonormal at every step.

    Parameters
    ----------
    x : (T, 1) integer ids, or (T, 1, I) floats: one lane.
    state : to start from; zeros if None.

    Raises
    ------
    DataError, ShapeError : if ``x`` or ``state`` does not fit, or has more than one lane.
    ValueError : if the model carries no state, or a layer reads whole sequences.
    """
    check_kind("model", model, Model)
    check_whole(model.layers, "the Jacobian is that of single steps; take layers that read forward")
    x = model.check_input(x)
    if x.shape[1] != 1:
        raise ShapeError(f"x must have one lane, got {x.shape[1]}")
    if not any(layer.flowing for layer in model.layers):
        raise ValueError(f"{model} has no recurrent layer, so no state whose Jacobian to take")
    outputs = _outputs(model)
    product = basis = np.eye(len(outputs))
    values, whole, growth = [], [], np.zeros(len(outputs))
    for jacobian in _jacobians(model, x, model.check_state(state, 1)):
        product = jacobian @ product
        values.append(np.linalg.svd(product[np.ix_(outputs, outputs)], compute_uv=False))
        whole.append(np.linalg.svd(product, compute_uv=False))
        basis, stretch = np.linalg.qr(jacobian @ basis)
        with np.errstate(divide="ignore"):
            growth += np.log(np.abs(np.diag(stretch)))
    exponents = np.sort(growth / len(x))[::-1]
    return JacobianSpectrum(np.array(values), np.array(whole), exponents)


def _outputs(model: Model) -> NDArray[np.bool_]:
    """(N,), which components of the whole state belong to the first state of a layer."""
    return np.concatenate(
        [
            np.full(layer.sizes[1], name == layer.flowing[0])
            for layer in model.layers
            for name in layer.flowing
        ]
    )


def _jacobians(model: Model, x: NDArray, state: Mapping[str, NDArray]) -> Iterator[NDArray]:
    """(N, N) float64 for each step: the whole state after it by the one before it.

    The rows are errors that go back one step: every component of the state has a lane of its own.
    Counters are left out.
    """
    names = [f"{i}.{name}" for i, layer in enumerate(model.layers) for name in layer.flowing]
    count = sum(state[name].size for name in names)
    layers = [layer.exact() for layer in model.layers]
    weights = ModelWeights(layers, model.params, model.buffers)
    weights.pack(back=True)
    window = Window(layers, count, 1, model.dtype, backward=True)
    grads = gradient_parts(model.params.like(), model.layers)
    window.begin(_in_lanes(model, state, count))
    unit, errors = _unit_errors(model, names, count), model.zero_state(count)
    for values in x:
        window.make_room(1, keep=0)
        window.forward(weights, np.repeat(values[np.newaxis], count, axis=1))
        window.dy[...] = 0
        window.go_back(weights, grads, Span(0, 1, 1), errors=unit)
        window.read_state_errors(weights, errors, row=0)
        yield np.concatenate([errors[name] for name in names], axis=1, dtype=np.float64)


def _in_lanes(model: Model, state: Mapping[str, NDArray], count: int) -> Mapping[str, NDArray]:
    """``state`` of one lane in every lane."""
    lanes = model.zero_state(count)
    for name, rows in lanes.items():
        rows[...] = state[name]
    return lanes


def _unit_errors(model: Model, names: list[str], count: int) -> Mapping[str, NDArray]:
    """In lane i, the unit vector of the i-th component of the states called ``names``."""
    errors, first = model.zero_state(count), 0
    for rows in (errors[name] for name in names):
        units = np.arange(rows.shape[1])
        rows[first + units, units] = 1
        first += len(units)
    return errors
