"""The tapes of all workers as arrays by name, so that a file can hold them.

In a file the lanes of all workers lie side by side, and features have neither the padding nor the
interleaving of this machine's kernels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .kernels.target import lanes_of
from .packed import layer_number
from .recompute import AnyWindow

__all__ = ["natural", "read_tapes", "write_tapes"]


def read_tapes(windows: Sequence[AnyWindow], keep: int) -> dict[str, NDArray]:
    """The newest ``keep`` rows of the tapes, and the state after the newest step.

    Returns
    -------
    ``"x"`` -> (keep, B, ...); ``"1.h"`` -> (keep + 1, B, H); ``"1.z"`` -> (keep, B, G·H).
    """
    shards = [window.views(keep) for window in windows]
    found = {}
    for name, (_, gates, _) in shards[0].items():
        parts = [views[name].rows for views in shards]
        if gates:
            units = _units(windows[0], name)
            parts = [natural(part, gates, units) for part in parts]
        found[name] = np.concatenate(parts, axis=1)
    return found


def write_tapes(
    windows: Sequence[AnyWindow], bounds: Sequence[int], arrays: Mapping[str, NDArray]
) -> None:
    """Put what `read_tapes` gave back, for workers whose lanes begin at ``bounds``.

    Raises
    ------
    KeyError, ValueError : if an array is missing or does not fit.
    """
    steps = len(arrays["x"])
    for window, lane in zip(windows, bounds, strict=False):
        window.resume(steps)
        for name, (to, gates, _) in window.views(steps).items():
            if arrays[name].shape[1] != bounds[-1]:
                raise ValueError(f"{name} has {arrays[name].shape[1]} lanes, not {bounds[-1]}")
            rows = arrays[name][:, lane : lane + window.lanes]
            if gates:
                rows = _interleaved(rows, gates, _units(window, name), to.shape[2])
            to[...] = rows


def _units(window: AnyWindow, name: str) -> int:
    """Features of what ``name``, such as "1.h", names."""
    return window.layers[layer_number(name)].sizes[1]


def natural(rows: NDArray, gates: int, units: int) -> NDArray:
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
