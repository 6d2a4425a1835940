"""Penalties on large parameters."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from ..checks import check_amount
from ..kernels.compile import kernel
from .base import Names, Penalty

__all__ = ["L1", "L2"]


@dataclass(frozen=True)
class L1(Penalty):
    """rate·Σ|θ|: rate·sign(θ) joins the clipped gradient, and draws small parameters to zero.

    (The lasso: Tibshirani 1996.) At θ = 0 the slope is 0. In PyTorch it is added to the loss by
    hand, which puts it before clipping.

    Parameters
    ----------
    rate : λ, from 0 on.
    names : of the parameters, with or without the layer's number; None for all matrices.

    Raises
    ------
    ValueError : if ``rate`` is not a number from 0 on, or ``names`` no names.
    """

    rate: float
    names: Names = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_amount("rate", self.rate)

    def add_slope(self, params: NDArray, grads: NDArray) -> None:
        _add_signs(params, params.dtype.type(self.rate), grads)


@dataclass(frozen=True)
class L2(Penalty):
    """rate/2·Σθ²: rate·θ joins the clipped gradient, as ``weight_decay`` of `SGD` and `Adam` does.

    It goes with every optimizer, and lets the parameters be chosen. (Ridge regression: Hoerl &
    Kennard 1970; Krogh & Hertz 1992; PyTorch's ``weight_decay``.)

    Parameters
    ----------
    rate : λ, from 0 on.
    names : of the parameters, with or without the layer's number; None for all matrices.

    Raises
    ------
    ValueError : if ``rate`` is not a number from 0 on, or ``names`` no names.
    """

    rate: float
    names: Names = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_amount("rate", self.rate)

    def add_slope(self, params: NDArray, grads: NDArray) -> None:
        _add_values(params, params.dtype.type(self.rate), grads)


@kernel
def _add_signs(params, rate, grads):
    """params (N,) in; rate of the same dtype; grads (N,) in and out."""
    for i in range(params.size):
        if params[i] > 0:
            grads[i] += rate
        elif params[i] < 0:
            grads[i] -= rate


@kernel
def _add_values(params, rate, grads):
    """params (N,) in; rate of the same dtype; grads (N,) in and out."""
    for i in range(params.size):
        grads[i] += rate * params[i]
