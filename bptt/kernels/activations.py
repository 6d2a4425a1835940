"""Activation functions, and their derivatives as functions of their values."""

from __future__ import annotations

from .arithmetic import maximum, where_positive
from .compile import kernel
from .exponential import sigmoid, tanh
from .vector import splat_like

__all__ = ["ACTIVATIONS", "activate", "slope"]

ACTIVATIONS = {"identity": 0, "tanh": 1, "sigmoid": 2, "relu": 3, "leaky_relu": 4}
"""Name -> number by which kernels know it."""

_LEAK = 0.01


@kernel
def activate(number, x):
    """The activation of the vector ``x``."""
    if number == 1:
        return tanh(x)
    if number == 2:
        return sigmoid(x)
    if number == 3:
        return maximum(x, splat_like(x, 0.0))
    if number == 4:
        return where_positive(x, x, x * _LEAK)
    return x


@kernel
def slope(number, y):
    """The derivative where the activation has the value ``y``; at 0, ReLU's is 0."""
    one = splat_like(y, 1.0)
    if number == 1:
        return one - y * y
    if number == 2:
        return y * (one - y)
    if number == 3:
        return where_positive(y, one, splat_like(y, 0.0))
    if number == 4:
        return where_positive(y, one, splat_like(y, _LEAK))
    return one
