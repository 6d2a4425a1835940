"""Gradient flows as the pictures read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import numbers_of
from ..flow import GradientFlow

__all__ = ["as_flow", "chosen", "given_flow", "lane_mean", "symbol", "topmost", "vector"]


def vector(name: str, values: ArrayLike) -> NDArray:
    """(k2,) floats."""
    array = numbers_of(name, values).astype(float)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"{name} must be (k2,) norms, got shape {array.shape}")
    return array


def as_flow(flow: object, argument: str) -> GradientFlow:
    """``flow``, or one with a single loss from the norms of an update, the newest step last."""
    if isinstance(flow, GradientFlow):
        return flow
    norms = flow if isinstance(flow, Mapping) else {argument: flow}
    return GradientFlow({name: vector(name, of)[None, ::-1] for name, of in norms.items()})


def given_flow(flow: object) -> GradientFlow:
    if not isinstance(flow, GradientFlow):
        raise TypeError(f"flow must be a GradientFlow, got {type(flow).__name__}")
    return flow


def topmost(names: Iterable[str]) -> str:
    """The h of the highest layer."""

    def height(name: str) -> tuple[int, bool]:
        number, _, what = name.partition(".")
        return int(number) if number.isdecimal() else -1, what == "h"

    return max(names, key=height)


def chosen(flow: GradientFlow, name: str | None, argument: str = "flow") -> str:
    """``name`` if the flow has it; the topmost h if None."""
    if not flow.norms:
        raise ValueError(f"{argument} has no layer to draw")
    name = topmost(flow.norms) if name is None else name
    if name not in flow.norms:
        raise ValueError(f"name must be one of {', '.join(flow.norms)} of {argument}, got {name!r}")
    return name


def lane_mean(flow: GradientFlow, name: str) -> NDArray:
    """(T, lags), without nan where a lane has a number."""
    norms = numbers_of(name, flow.norms[name])
    if norms.ndim == 2:
        return norms
    there = ~np.isnan(norms)
    count = there.sum(axis=2)
    total = np.where(there, norms, 0.0).sum(axis=2)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def symbol(names: Iterable[str]) -> str:
    """What the norms are, as mathematics; s stands for the state where there are several."""
    states = {parts[1] for name in names if (parts := re.fullmatch(r"\d+\.(\w)", name))}
    state = states.pop() if len(states) == 1 else "s" if states else "h"
    return rf"$\|\partial\ell_t\,/\,\partial {state}_{{t-k}}\|$"
