"""Forecasts without a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["autoregression", "rmse"]


def autoregression(series: NDArray, trained: int, order: int) -> NDArray:
    """Each value as a linear function of the ``order`` before it and 1, by least squares.

    Returns
    -------
    (N,) forecasts, fitted to the first ``trained`` values; nan for the first ``order``.
    """
    lags = np.lib.stride_tricks.sliding_window_view(series[:-1], order)
    x = np.column_stack([np.ones(len(lags)), lags])
    weights = np.linalg.lstsq(x[: trained - order], series[order:trained], rcond=None)[0]
    return np.concatenate([np.full(order, np.nan), x @ weights])


def rmse(said: NDArray, truth: NDArray) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean((said - truth) ** 2)))
