"""Mixtures of sines, with noise if wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..checks import check_count, check_seed, is_number

__all__ = ["sine_mixture"]


def sine_mixture(
    length: int,
    periods: Sequence[float],
    *,
    amplitudes: Sequence[float] | None = None,
    noise: float = 0.0,
    seed: int = 0,
) -> NDArray[np.float32]:
    """A sum of sines whose phases are drawn, and normal noise::

        x_t = sum over k of amplitudes[k] sin(2π t / periods[k] + phase_k)  +  noise · normal

    Parameters
    ----------
    length : number of samples N.
    periods : of the K sines, in samples, at least one. A sine needs a period above 2 to be seen.
    amplitudes : as many; 1 each if None.
    noise : standard deviation of the noise.
    seed : of the phases, evenly from 0 to 2π, and of the noise. The phases are the same whatever
        the noise.

    Returns
    -------
    (N,) floats, with variance sum of amplitudes² / 2 + noise².

    No forecast has an expected squared error below noise², and without noise a linear
    autoregression of order 2 K is exact: a solved task comes near these. The baseline is
    persistence.

    Raises
    ------
    ValueError : if an argument is not as above, or not finite.
    """
    check_seed(seed)
    length = check_count("length", length)
    periods = _numbers("periods", periods)
    amplitudes = [1.0] * len(periods) if amplitudes is None else _numbers("amplitudes", amplitudes)
    if not min(periods) > 0:
        raise ValueError(f"periods must be positive, got {min(periods)}")
    if len(amplitudes) != len(periods):
        raise ValueError(f"got {len(amplitudes)} amplitudes for {len(periods)} periods")
    if not is_number(noise) or not 0 <= noise < math.inf:
        raise ValueError(f"noise must be a finite number from 0 on, got {noise!r}")
    rng = np.random.default_rng(seed)
    phases = rng.uniform(0, 2 * np.pi, len(periods))
    x = noise * rng.normal(size=length)
    for period, amplitude, phase in zip(periods, amplitudes, phases, strict=True):
        x += amplitude * np.sin(2 * np.pi / period * np.arange(length) + phase)
    return x.astype(np.float32)


def _numbers(name: str, given: Sequence[float]) -> list[float]:
    """``given`` as floats, refused if there are none or one is not a finite number."""
    values = list(given) if np.ndim(given) == 1 else []
    if not values or not all(is_number(value) and math.isfinite(value) for value in values):
        raise ValueError(f"{name} must be one or more finite numbers, got {given!r}")
    return [float(value) for value in values]
