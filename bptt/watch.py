"""What the newest update of a trainer left to be looked at.

Nothing here is computed unless it is asked for, so an update that nobody looks at costs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .kernels.target import padded
from .kernels.vectors import norm
from .model import Model
from .workers import Workers

__all__ = ["ParameterNorms", "Watch", "flow", "watch"]


class ParameterNorms(NamedTuple):
    """Of one parameter, root mean squares over its numbers unless said otherwise.

    value : after the update.
    gradient : before clipping.
    update : what was added to it; nan if the optimizer does not say.
    mean, max : of the absolute gradient.
    """

    value: float
    gradient: float
    update: float
    mean: float
    max: float


@dataclass(frozen=True, eq=False)
class Watch:
    """The newest update.

    n : its number.
    flow : ``"1.h"`` -> (k2,), norms of δ_t over all lanes, newest last; nan before the first step.
        Of a `Bidirectional` also ``"1.h_reverse"``, as in `Step`.
    clipped : ``"1.h"`` -> (k2,), the share of lanes in which ``clip_delta`` bounded δ_t.
    saturation : ``"1.f"`` -> (k2,), for each gate, from 0, where its activation is as steep as it
        can be, to 1, where it is flat: one minus the mean slope over the largest.
    parameters : ``"1.Wh"`` -> `ParameterNorms`.
    """

    n: int
    flow: dict[str, NDArray]
    clipped: dict[str, NDArray]
    saturation: dict[str, NDArray]
    parameters: dict[str, ParameterNorms]


def watch(
    n: int, model: Model, team: Workers, k2: int, clip_delta: float, update: NDArray | None
) -> Watch:
    """Look at update ``n``, of a window of ``k2`` steps.

    update : (N,), what it added to the parameters; None if that is not known.
    """
    unknown = np.full(model.params.flat.size, np.nan)
    changes = model.params.like(unknown if update is None else update)
    return Watch(
        n,
        flow=flow(team, k2, clip_delta),
        clipped={
            name: _newest((team.norms(i, way, k2) > clip_delta).mean(axis=1), k2)
            for i, way, name in team.flowing
        },
        saturation=_saturation(team, k2),
        parameters={
            name: _parameter(value, team.gradient[name], changes[name])
            for name, value in model.params.items()
        },
    )


def flow(team: Workers, k2: int, clip_delta: float = math.inf) -> dict[str, NDArray]:
    """``"1.h"`` -> (k2,) norms of δ_t over all lanes, newest last; nan where no step is."""
    return {name: _newest(team.flow(i, way, k2, clip_delta), k2) for i, way, name in team.flowing}


def _newest(values: NDArray, k2: int) -> NDArray:
    """(k2,), ``values`` of the newest steps after nan for those that are not there."""
    if len(values) == k2:
        return values
    whole = np.full(k2, np.nan)
    whole[k2 - len(values) :] = values
    return whole


def _saturation(team: Workers, k2: int) -> dict[str, NDArray]:
    found = {}
    for i, layer in enumerate(team.model.layers):
        if layer.gate_names:
            slopes, units = team.slopes(i, k2), layer.sizes[1]
            filling = padded(units, team.model.dtype) - units
            for gate, (name, steepest) in enumerate(
                zip(layer.gate_names, layer.gate_slopes, strict=True)
            ):
                mean = slopes[:, gate] / (team.lanes * steepest) - filling
                found[f"{i}.{name}"] = _newest(1 - mean / units, k2)
    return found


def _parameter(value: NDArray, gradient: NDArray, update: NDArray) -> ParameterNorms:
    size = np.abs(gradient)
    return ParameterNorms(
        *map(_rms, (value, gradient, update)), float(size.mean()), float(size.max())
    )


def _rms(values: NDArray) -> float:
    return norm(values.reshape(-1)) / math.sqrt(values.size)
