"""All that a model's layers compute along a sequence, by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import marks_of
from .checks import check_kind
from .layers import Layer
from .layers.marks import Marks
from .layers.tape import Direction, Tape
from .model import Model
from .packed import ModelWeights
from .tapes import natural
from .task import check_skip
from .window import Window

__all__ = ["histories"]


def histories(
    model: Model,
    x: ArrayLike,
    state: Mapping[str, NDArray] | None = None,
    *,
    resets: NDArray | None = None,
    ended: NDArray | None = None,
    skip: NDArray | None = None,
) -> dict[str, NDArray]:
    """States, gates and outputs of every layer at every step.

    Parameters
    ----------
    x : (T, B) integer ids, or (T, B, I) floats.
    state : to start from; zeros if None.
    resets : (T, B) bool, True where a new sequence begins, before which the state is zero.
    ended, skip : (T, B) bool, True where a lane has ended, and x is padding, or a step is passed
        over: nan in what comes back.

    Returns
    -------
    Name -> (T, B, units). Of a recurrent layer ``"1.h"``; of an LSTM also ``"1.c"`` and the gates
    ``"1.i"``, ``"1.f"``, ``"1.g"``, ``"1.o"`` after their activation; of a GRU also its gates
    ``"1.r"``, ``"1.z"``, ``"1.n"``; ``"0.y"`` of any other, and what else it carries. Of a
    `Residual` or `Bidirectional` around a recurrent layer both, ``"1.y"`` being their own output.
    Of the reverse direction the names end with ``_reverse``: ``"1.h_reverse"`` at step t is its
    state after it has read the sequence from its end down to step t.

    Raises
    ------
    DataError, ShapeError : if ``x``, ``state`` or a mark does not fit.
    """
    check_kind("model", model, Model)
    x = model.check_input(x)
    steps, lanes = x.shape[:2]
    resets = marks_of("resets", resets, x.shape[:2])
    skip = check_skip(ended, skip, x.shape[:2])
    weights = ModelWeights(model.layers, model.params, model.buffers)
    weights.pack(back=False)
    window = Window(model.layers, lanes, steps, model.dtype, backward=False)
    window.begin(model.check_state(state, lanes))
    window.forward(weights, x, Marks(resets, skip).or_nothing())
    found = {}
    for i, y in window.outputs(weights):
        layer, tape = model.layers[i], window.tapes[i]
        seen = {} if _is_state(y, tape) else {"y": y}
        for (ending, inside), read in zip(layer.directions, tape.directions(), strict=True):
            seen |= {f"{name}{ending}": rows for name, rows in _states(inside, read, steps).items()}
        found |= {f"{i}.{name}": np.array(rows) for name, rows in seen.items()}
    for rows in found.values() if skip is not None else ():
        rows[skip] = np.nan
    return found


def _is_state(y: NDArray, tape: Tape) -> bool:
    """Whether the output is the memory of a state."""
    states = (rows for read in tape.directions() for rows in read.tape.states.values())
    return any(np.may_share_memory(y, rows) for rows in states)


def _states(layer: Layer, read: Direction, steps: int) -> dict[str, NDArray]:
    """Name -> (T, B, units): states after each step, and gates."""
    units, gates = layer.sizes[1], len(layer.gate_names)
    found = {name: read.tape.states[name][1 : steps + 1, :, :units] for name in layer.carried}
    if gates:
        z = natural(read.tape.gates["z"][0][:steps], gates, units)
        found |= zip(layer.gate_names, np.split(z, gates, axis=2), strict=True)
    return {name: read.in_time(rows) for name, rows in found.items()}
