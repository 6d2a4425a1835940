"""How parameters begin."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["glorot_uniform", "orthogonal"]


def glorot_uniform(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Uniform between ±sqrt(6 / (rows + columns)), which keeps variances alike both ways.

    (Glorot & Bengio 2010, equation 16.)
    """
    limit = math.sqrt(6.0 / sum(shape))
    return rng.uniform(-limit, limit, shape)


def orthogonal(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """A random matrix with orthonormal rows or columns, whichever are fewer.

    (Saxe, McClelland & Ganguli 2014; uniform over such matrices: Mezzadri 2007.)
    """
    rows, columns = shape
    q, r = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q if rows >= columns else q.T
