"""All that a model's layers compute along a sequence, by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_kind
from .model import Model
from .packed import ModelWeights
from .tapes import read_tapes
from .window import Window

__all__ = ["histories"]


def histories(
    model: Model, x: ArrayLike, state: Mapping[str, NDArray] | None = None
) -> dict[str, NDArray]:
    """States, gates and outputs of every layer at every step.

    Parameters
    ----------
    x : (T, B) integer ids, or (T, B, I) floats.
    state : to start from; zeros if None.

    Returns
    -------
    Name -> (T, B, units). Of a recurrent layer ``"1.h"``; of an LSTM also ``"1.c"`` and the gates
    ``"1.i"``, ``"1.f"``, ``"1.g"``, ``"1.o"`` after their activation; of a GRU also its gates
    ``"1.r"``, ``"1.z"``, ``"1.n"``; ``"0.y"`` of any other, and what else it carries.

    Raises
    ------
    DataError, ShapeError : if ``x`` or ``state`` does not fit.
    """
    check_kind("model", model, Model)
    x = model.check_input(x)
    steps, lanes = x.shape[:2]
    weights = ModelWeights(model.layers, model.params, model.buffers)
    weights.pack(back=False)
    window = Window(model.layers, lanes, steps, model.dtype, backward=False)
    window.begin(model.check_state(state, lanes))
    window.forward(weights, x)
    tapes = read_tapes([window], steps)
    found = {}
    for i, layer in enumerate(model.layers):
        if not layer.flowing and f"{i}.y" in tapes:
            found[f"{i}.y"] = tapes[f"{i}.y"]
        for name in layer.carried:
            found[f"{i}.{name}"] = tapes[f"{i}.{name}"][1:]
        if layer.gate_names:
            gates = np.split(tapes[f"{i}.z"], len(layer.gate_names), axis=2)
            found |= {
                f"{i}.{name}": gate for name, gate in zip(layer.gate_names, gates, strict=True)
            }
    return found
