"""Random numbers that depend on where they are used alone: on seed, step, lane, layer and unit.

So a step that is run again draws the same, a run that is resumed goes on as it would have, and
lanes draw the same whatever the number of workers. Each number is a 64-bit counter, mixed
(SplitMix64: Steele, Lea & Flood 2014).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..kernels.compile import JIT, kernel

__all__ = ["keys", "uniform"]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def keys(seed: int, first: int, steps: int, lanes: int) -> NDArray[np.uint64]:
    """(steps, lanes), one for each step from number ``first`` on and each lane; none is zero."""
    of_seed = _mixed(np.array([seed], np.uint64))
    of_steps = _mixed(of_seed ^ np.arange(first, first + steps, dtype=np.uint64))
    of_lanes = np.arange(1, lanes + 1, dtype=np.uint64) * _STEP
    return _mixed(of_steps[:, np.newaxis] + of_lanes) | np.uint64(1)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


@kernel
def uniform(key, salt, unit):
    """From [0, 1), for one of `keys`, a layer's salt and a unit."""
    bits = np.uint64(key) + (np.uint64(salt) << np.uint64(32) | np.uint64(unit)) * _STEP
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    bits = bits ^ (bits >> np.uint64(31))
    return np.float64(bits >> np.uint64(11)) * (1.0 / 9007199254740992.0)


if not JIT:  # NumPy warns where scalars wrap around; of arrays, and in compiled code, nobody does.
    uniform = np.errstate(over="ignore")(uniform)
