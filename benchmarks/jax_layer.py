"""One layer in JAX, as one writes it by hand: a compiled scan, and its vector-Jacobian product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from .adapter import Problem

__all__ = ["JaxLayer"]

_Cell = Callable[[Any, Any, Any], tuple[Any, Any]]
"""Parameters, state, x_t Wx + b -> the next state, whose first part is h; h."""


def _lstm(params: Any, state: Any, z: Any) -> tuple[Any, Any]:
    h, c = state
    i, f, g, o = jnp.split(z + h @ params["Wh"], 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def _rnn(params: Any, state: Any, z: Any) -> tuple[Any, Any]:
    h = jnp.tanh(z + state[0] @ params["Wh"])
    return (h,), h


def _gru(params: Any, state: Any, z: Any) -> tuple[Any, Any]:
    (h,) = state
    r, u, n = jnp.split(z, 3, axis=1)
    r_h, u_h, n_h = jnp.split(h @ params["Wh"], 3, axis=1)
    r, u = jax.nn.sigmoid(r + r_h), jax.nn.sigmoid(u + u_h)
    h = (1 - u) * jnp.tanh(n + r * (n_h + params["bh"])) + u * h
    return (h,), h


_CELLS: dict[str, tuple[_Cell, int]] = {"lstm": (_lstm, 2), "rnn": (_rnn, 1), "gru": (_gru, 1)}
"""Cell -> its step, and the parts of its state."""


def _layer(cell: _Cell, parts: int, x: Any, params: Any) -> Any:
    """(T, B, H), from a state of zeros; all x_t Wx + b are one product."""
    zero = jnp.zeros((x.shape[1], params["Wh"].shape[0]), x.dtype)
    inputs = x @ params["Wx"] + params["b"]
    _, y = jax.lax.scan(lambda state, z: cell(params, state, z), (zero,) * parts, inputs)
    return y


class JaxLayer:
    """A compiled function of dy, x and the parameters that gives y and all gradients."""

    def __init__(self, problem: Problem) -> None:
        cell, parts = _CELLS[problem.cell]

        @jax.jit
        def value_and_gradients(dy: Any, x: Any, params: Any) -> tuple[Any, Any]:
            y, pull_back = jax.vjp(lambda *given: _layer(cell, parts, *given), x, params)
            return y, pull_back(dy)

        @jax.jit
        def value(x: Any, params: Any) -> Any:
            return _layer(cell, parts, x, params)

        params = {name: jnp.asarray(array) for name, array in problem.params.items()}
        self._arrays = [jnp.asarray(problem.dy), jnp.asarray(problem.x), params]
        self._function, self._forward = value_and_gradients, value

    def run(self) -> Any:
        """y and the gradients, finished."""
        return jax.block_until_ready(self._function(*self._arrays))

    def forward(self) -> NDArray:
        """y, finished."""
        return np.asarray(self._forward(*self._arrays[1:]))

    def results(self) -> dict[str, NDArray]:
        """As bptt names and lays them out."""
        y, (dx, gradients) = self.run()
        found = {"y": y, "x": dx, **gradients}
        return {name: np.array(value) for name, value in found.items()}
