"""The Jacobians of a trajectory: what happens to small changes of the state.

The error that goes back from step t to step t - 1 is multiplied by the transposed Jacobian of the
states; so whether gradients vanish or explode is in its singular values, and on the long run in the
Lyapunov exponents (Pascanu, Mikolov & Bengio 2013; Engelken, Wolf & Abbott 2023).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import marks_of
from .checks import check_kind, check_natural
from .errors import ShapeError
from .layers.tape import Span
from .layers.whole import check_whole
from .model import Model
from .packed import ModelWeights, gradient_parts
from .task import check_skip
from .window import Window

__all__ = ["JacobianSpectrum", "jacobian_spectrum"]


@dataclass(frozen=True, eq=False)
class JacobianSpectrum:
    """What `jacobian_spectrum` found along a trajectory of T steps.

    singular_values : (T, n), row k - 1 those of ∂h_{t+k}/∂h_t, largest first, where t is the step
        before the first and h the states h of all recurrent layers side by side. What an LSTM's
        cell c carries does not show in them. inf, or 0, where float64 ends.
    state_values : (T, N), the same of the whole state, h and c. Values far below the largest, by
        more than float64 can tell apart, are rounding.
    lyapunov : (N,), exponents of the whole state, h and c: the mean logarithm by which small
        changes grow a step, largest first.
    """

    singular_values: NDArray
    state_values: NDArray
    lyapunov: NDArray


def jacobian_spectrum(
    model: Model,
    x: ArrayLike,
    state: Mapping[str, NDArray] | None = None,
    *,
    resets: NDArray | None = None,
    ended: NDArray | None = None,
    skip: NDArray | None = None,
    burn_in: int | None = None,
) -> JacobianSpectrum:
    """Singular values and Lyapunov exponents along the trajectory that ``x`` drives.

    The exponents are those of the QR method (Benettin et al. 1980): a basis goes forward, and is
    made orthonormal at every step.

    Parameters
    ----------
    x : (T, 1) integer ids, or (T, 1, I) floats: one lane.
    state : to start from; zeros if None.
    resets : (T, 1) bool, True where a new sequence begins: no change of an earlier state comes that
        far. The singular values are from there on by the zero state that it begins with, and the
        exponents leave the step out.
    ended, skip : (T, 1) bool, True where the lane has ended, and x is padding, or a step is passed
        over: it is no step, and what comes back has no row for it.
    burn_in : the first steps, which the exponents leave out. The basis turns meanwhile towards the
        directions that grow most, across resets. A quarter of the steps if None. Of a linear
        network, exponents that differ by g from their neighbours are the logarithms of the
        eigenvalues' sizes but for the order of exp(-g · burn_in) / T, and equal ones, such as those
        of a complex pair, but for that of 1 / T.

    Raises
    ------
    DataError, ShapeError : if ``x``, ``state`` or a mark does not fit, or has more than one lane.
    ValueError : if the model carries no state, or a layer reads whole sequences; if ``burn_in`` is
        no integer from 0 on, or leaves no step to the exponents; or if the state overflows,
        unless the network is linear.
    """
    check_kind("model", model, Model)
    check_whole(model.layers, "the Jacobian is that of single steps; take layers that read forward")
    x = model.check_input(x)
    if x.shape[1] != 1:
        raise ShapeError(f"x must have one lane, got {x.shape[1]}")
    if not any(layer.flowing for layer in model.layers):
        raise ValueError(f"{model} has no recurrent layer, so no state whose Jacobian to take")
    steps, begins = _steps(
        len(x), marks_of("resets", resets, x.shape[:2]), check_skip(ended, skip, x.shape[:2])
    )
    counted = _counted(begins, burn_in)
    outputs = _outputs(model)
    product, power, basis = np.eye(len(outputs)), 0, np.eye(len(outputs))
    values, whole, growth = [], [], np.zeros(len(outputs))
    jacobians = _jacobians(model, x, steps, begins, model.check_state(state, 1))
    for begin, counts, (jacobian, own) in zip(begins, counted, jacobians, strict=True):
        if begin:
            product, power = np.eye(len(outputs)), 0
        product, more = _scaled(jacobian @ product)
        power += own + more
        values.append(_singular_values(product[np.ix_(outputs, outputs)], power))
        whole.append(_singular_values(product, power))
        basis, stretch = np.linalg.qr(jacobian @ basis)
        if counts:
            with np.errstate(divide="ignore"):
                growth += np.log(np.abs(np.diag(stretch))) + own * math.log(2)
    exponents = np.sort(growth / counted.sum())[::-1]
    return JacobianSpectrum(np.array(values), np.array(whole), exponents)


def _steps(count: int, resets: NDArray | None, skip: NDArray | None) -> tuple[NDArray, NDArray]:
    """Which of ``count`` steps are not skipped, and before which of these a sequence begins."""
    steps = np.arange(count) if skip is None else np.flatnonzero(~skip[:, 0])
    if not steps.size:
        raise ValueError(f"ended and skip must leave a step, but all {count} are skipped")
    begun = np.zeros(count, int) if resets is None else resets[:, 0].cumsum()
    return steps, np.diff(begun[steps], prepend=0) > 0


def _counted(begins: NDArray, burn_in: int | None) -> NDArray[np.bool_]:
    """(steps,), at which the exponents look."""
    steps = len(begins)
    burn_in = steps // 4 if burn_in is None else check_natural("burn_in", burn_in)
    counted = (np.arange(steps) >= burn_in) & ~begins
    if not counted.any():
        raise ValueError(
            f"burn_in={burn_in} leaves none of {steps} steps, {begins.sum()} of which begin a "
            "sequence, to the exponents"
        )
    return counted


def _scaled(matrix: NDArray) -> tuple[NDArray, int]:
    """``matrix`` and the power of two by which to multiply it, none of its numbers above 1."""
    power = int(np.frexp(np.abs(matrix).max())[1])
    return np.ldexp(matrix, -power), power


def _singular_values(matrix: NDArray, power: int) -> NDArray:
    """Those of ``matrix`` times two to the ``power``."""
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(np.linalg.svd(matrix, compute_uv=False), power)


def _outputs(model: Model) -> NDArray[np.bool_]:
    """(N,), which components of the whole state belong to the first state of a layer."""
    return np.concatenate(
        [
            np.full(layer.sizes[1], name == layer.flowing[0])
            for layer in model.layers
            for name in layer.flowing
        ]
    )


def _jacobians(
    model: Model, x: NDArray, steps: NDArray, begins: NDArray, state: Mapping[str, NDArray]
) -> Iterator[tuple[NDArray, int]]:
    """(N, N) float64 for each of ``steps``, as `_scaled` gives it: the whole state after it by the
    one before it, which is zero where a sequence begins.

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
    unit, found, newest = _unit_errors(model, names, count), model.zero_state(count), None
    for t, begin in zip(steps, begins, strict=True):
        if begin:
            window.begin()
        window.make_room(1)
        window.forward(weights, np.repeat(x[t : t + 1], count, axis=1))
        window.read_state(found)
        overflowed, before = not np.isfinite(found.flat).all(), newest
        window.dy[...] = 0
        window.go_back(weights, grads, Span(0, 1, 1), errors=unit)
        window.read_state_errors(weights, found, row=0)
        newest = np.concatenate([found[name] for name in names], axis=1, dtype=np.float64)
        # That of a linear network is the same at any state.
        if overflowed and not np.array_equal(newest, before):
            raise ValueError(f"the state after step {t} is not finite, so it has no Jacobian")
        yield _scaled(newest)


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
