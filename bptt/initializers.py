"""How parameters begin: arrays to be written into a model's parameters.

``model.params["1.Wh"] = orthogonal((64, 64), rng)``. Weights are (inputs, outputs); the generator
decides.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .checks import check_bound, check_count, check_lag, is_number

__all__ = [
    "chrono",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "orthogonal",
    "uniform",
]


def uniform(
    shape: int | tuple[int, ...], limit: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Uniform between ±``limit``.

    ``limit=1 / math.sqrt(units)`` is how PyTorch's recurrent layers begin.

    Raises
    ------
    ValueError : if ``limit`` is not a positive number.
    """
    check_bound("limit", limit)
    return rng.uniform(-limit, limit, shape)


def glorot_uniform(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Uniform between ±sqrt(6 / (rows + columns)), which keeps variances alike both ways.

    (Glorot & Bengio 2010, equation 16.)
    """
    limit = math.sqrt(6.0 / sum(shape))
    return rng.uniform(-limit, limit, shape)


def he_uniform(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Uniform between ±sqrt(6 / rows), which keeps variances alike through ReLUs.

    (He et al. 2015, equation 10; PyTorch's ``kaiming_uniform_`` with ``nonlinearity="relu"``.)
    """
    limit = math.sqrt(6.0 / shape[0])
    return rng.uniform(-limit, limit, shape)


def he_normal(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Normal with variance 2 / rows, which keeps variances alike through ReLUs.

    (He et al. 2015, equation 10; PyTorch's ``kaiming_normal_`` with ``nonlinearity="relu"``.)
    """
    return rng.normal(scale=math.sqrt(2.0 / shape[0]), size=shape)


def identity(units: int, scale: float = 1.0) -> NDArray[np.float64]:
    """``scale`` times the identity, (units, units): the IRNN's Wh, with ReLU and no bias.

    (Le, Jaitly & Hinton 2015, who also take a scale of 0.01 where long memory does not help.)

    Raises
    ------
    ValueError : if ``units`` is not a positive integer, or ``scale`` not a finite number.
    """
    if not is_number(scale) or not math.isfinite(scale):
        raise ValueError(f"scale must be a finite number, got {scale!r}")
    return scale * np.eye(check_count("units", units))


def orthogonal(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """A random matrix with orthonormal rows or columns, whichever are fewer.

    (Saxe, McClelland & Ganguli 2014; uniform over such matrices: Mezzadri 2007.)
    """
    rows, columns = shape
    q, r = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q if rows >= columns else q.T


def chrono(units: int, t_max: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(4·units,), a bias ``b`` for an `LSTM` whose memories are to last from 1 to ``t_max`` steps.

    b_f = log u with u uniform in [1, t_max - 1], b_i = -b_f, and zero for g and o, in the order
    i f g o of the gates.  (Tallec & Ollivier 2018.)  ``LSTM(n_in, units, chrono=t_max)`` begins so.

    Raises
    ------
    ValueError : if ``units`` is not a positive integer, or ``t_max`` not a finite number above 2.
    """
    check_lag("t_max", t_max)
    forget = np.log(rng.uniform(1.0, t_max - 1.0, check_count("units", units)))
    return np.concatenate([-forget, forget, np.zeros(2 * units)])
