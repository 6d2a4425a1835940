"""An activation function as a layer of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks import check_word
from ..kernels.activations import ACTIVATIONS, activate, slope
from ..kernels.compile import kernel
from ..kernels.target import padded, zeros
from ..kernels.vector import lanes, load, store
from .parameterless import Parameterless
from .tape import Room, Span, Tape
from .weights import Scratch

__all__ = ["Activation"]


@dataclass(frozen=True)
class Activation(Parameterless):
    """y_t = f(x_t), number by number: between `Linear` layers it makes a multilayer perceptron.

    (Rumelhart, Hinton & Williams 1986. ReLU: Nair & Hinton 2010, its slope at 0 is 0; Leaky ReLU:
    Maas, Hannun & Ng 2013.)

    Parameters
    ----------
    n : features.
    activation : f: "tanh", "sigmoid", "relu", "leaky_relu" (slope 0.01 below zero) or "identity".

    Raises
    ------
    ValueError : if ``n`` is not a positive integer, or there is no such activation.
    """

    activation: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_word("activation", self.activation, ACTIVATIONS)

    def tape(self, x: NDArray, room: Room) -> Tape:
        y = zeros((room.rows, room.lanes, padded(self.n, room.dtype)), room.dtype)
        return Tape(x, y, {}, None)

    def forward(self, weights: None, tape: Tape, first: int, last: int) -> None:
        _forward(tape.x, ACTIVATIONS[self.activation], self.n, first, last, tape.y)

    def backward(
        self,
        weights: None,
        tape: Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> int:
        if dx is not None:
            first, last = steps.errors_from, steps.last
            _backward(tape.y, dy, ACTIVATIONS[self.activation], first, last, dx)
        return steps.errors_from

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        y = zeros((1, len(x), padded(self.n, x.dtype)), x.dtype)
        _forward(x[np.newaxis], ACTIVATIONS[self.activation], self.n, 0, 1, y)
        return np.ascontiguousarray(y[0, :, : self.n])

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.n}, {self.activation!r})"


@kernel
def _forward(x, activation, n, first, last, y):
    """x (K, B, n or wider) in; y (K, B, np) out, zero in the padding."""
    count, width = y.shape[1], y.shape[2]
    for t in range(first, last):
        for b in range(count):
            for j in range(n):
                y[t, b, j] = x[t, b, j]
            at = (t * count + b) * width
            for j in range(at, at + width, lanes(y)):
                store(y, j, activate(activation, load(y, j)))
            y[t, b, n:] = 0.0


@kernel
def _backward(y, dy, activation, first, last, dx):
    """y, dy (K, B, np) in; dx (K, B, np) out."""
    size = y.shape[1] * y.shape[2]
    for j in range(first * size, last * size, lanes(y)):
        store(dx, j, load(dy, j) * slope(activation, load(y, j)))
