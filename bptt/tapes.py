"""The tapes of all workers as arrays by name, so that a file can hold them.

In a file the lanes of all workers lie side by side, and features have neither the padding nor the
interleaving of this machine's kernels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .kernels.target import lanes_of
from .layers.lookup import Lookup
from .window import Window

__all__ = ["read_tapes", "write_tapes"]


def read_tapes(windows: Sequence[Window], keep: int) -> dict[str, NDArray]:
    """The newest ``keep`` rows of the tapes, and the state after the newest step.

    Returns
    -------
    ``"x"`` -> (keep, B, ...); ``"1.h"`` -> (keep + 1, B, H); ``"1.z"`` -> (keep, B, G·H).
    """
    shards = [_views(window) for window in windows]
    found = {}
    for name in shards[0]:
        parts = []
        for window, views in zip(windows, shards, strict=True):
            view, gates, units, extra = views[name]
            rows = view[max(window.start, window.stop - keep) : window.stop + extra]
            parts.append(rows if units is None else _natural(rows, gates, units))
        found[name] = np.concatenate(parts, axis=1)
    return found


def write_tapes(
    windows: Sequence[Window], bounds: Sequence[int], arrays: Mapping[str, NDArray]
) -> None:
    """Put what `read_tapes` gave back, for workers whose lanes begin at ``bounds``.

    Raises
    ------
    KeyError, ValueError : if an array is missing or does not fit.
    """
    for window, lane in zip(windows, bounds, strict=False):
        window.start, window.stop = 0, len(arrays["x"])
        for name, (view, gates, units, extra) in _views(window).items():
            if arrays[name].shape[1] != bounds[-1]:
                raise ValueError(f"{name} has {arrays[name].shape[1]} lanes, not {bounds[-1]}")
            rows = arrays[name][:, lane : lane + window.lanes]
            to = view[: window.stop + extra]
            to[...] = rows if units is None else _interleaved(rows, gates, units, to.shape[2])


def _views(window: Window) -> dict[str, tuple[NDArray, int, int | None, int]]:
    """Name -> array, its gates and units (None where it is not padded), and rows beyond steps."""
    views: dict[str, tuple[NDArray, int, int | None, int]] = {"x": (window.x, 1, None, 0)}
    for i, (layer, tape) in enumerate(zip(window.layers, window.tapes, strict=True)):
        units = layer.sizes[1]
        for name, rows in tape.states.items():
            views[f"{i}.{name}"] = (rows, 1, units, 1)
        for name, (rows, gates) in tape.gates.items():
            views[f"{i}.{name}"] = (rows, gates, units, 0)
        if not tape.states and not isinstance(tape.y, Lookup):
            views[f"{i}.y"] = (tape.y, 1, units, 0)
    return views


def _natural(rows: NDArray, gates: int, units: int) -> NDArray:
    """(K, B, G·Hp) interleaved as (K, B, G·H)."""
    steps, lanes, width = rows.shape
    size = lanes_of(rows.dtype)
    split = rows.reshape(steps, lanes, width // (gates * size), gates, size)
    whole = split.swapaxes(2, 3).reshape(steps, lanes, gates, width // gates)
    return whole[..., :units].reshape(steps, lanes, gates * units)


def _interleaved(rows: NDArray, gates: int, units: int, width: int) -> NDArray:
    """(K, B, G·H) as (K, B, G·Hp) interleaved, with zeros in the padding."""
    steps, lanes, _ = rows.shape
    size = lanes_of(rows.dtype)
    whole = np.zeros((steps, lanes, gates, width // gates), rows.dtype)
    whole[..., :units] = rows.reshape(steps, lanes, gates, units)
    split = whole.reshape(steps, lanes, gates, width // (gates * size), size)
    return split.swapaxes(2, 3).reshape(steps, lanes, width)
