"""Mean and variance of each feature over steps and lanes, of one worker or of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.compile import kernel

__all__ = ["Moments"]


class Moments(NamedTuple):
    """count : how many steps and lanes.
    mean, var : (n,) float64, var the mean square, biased; zero if there are none.
    """

    count: int
    mean: NDArray
    var: NDArray

    @classmethod
    def none(cls, n: int) -> Moments:
        """Of nothing."""
        return cls(0, *np.zeros((2, n)))

    @classmethod
    def of(cls, x: NDArray, skip: NDArray, n: int, first: int, last: int) -> Moments:
        """Of steps ``first`` to ``last`` of x (K, B, n or wider), but where ``skip`` (K, B)."""
        mean, var = np.zeros((2, n))
        return cls(_moments(x, skip, first, last, mean, var), mean, var)

    @classmethod
    def pooled(cls, parts: Sequence[Moments]) -> Moments:
        """Of all that ``parts`` are of (Chan, Golub & LeVeque 1983)."""
        count = sum(part.count for part in parts)
        some = max(1, count)
        mean = sum(part.count * part.mean for part in parts) / some
        var = sum(part.count * (part.var + (part.mean - mean) ** 2) for part in parts) / some
        return cls(count, mean, var)


@kernel
def _moments(x, skip, first, last, mean, var):
    """Over the steps and lanes that are not skipped: their number is returned.

    x : in, (K, B, n or wider).
    skip : in, (K, B).
    mean, var : in, zero; out, (n,) float64.
    """
    n, count = mean.size, 0
    for t in range(first, last):
        for b in range(skip.shape[1]):
            if not skip[t, b]:
                count += 1
                for j in range(n):
                    mean[j] += x[t, b, j]
    for j in range(n):
        mean[j] /= max(1, count)
    for t in range(first, last):
        for b in range(skip.shape[1]):
            if not skip[t, b]:
                for j in range(n):
                    away = x[t, b, j] - mean[j]
                    var[j] += away * away
    for j in range(n):
        var[j] /= max(1, count)
    return count
