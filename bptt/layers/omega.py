"""The regulariser Ω of Pascanu, Mikolov & Bengio (2013): the error keeps its norm on its way back.

In their convention x_t = W_rec σ(x_{t-1}) + W_in u_t + b, and (their equation 9, δ being ∂E/∂x)

    Ω = Σ_t (‖δ_{t+1} ∂x_{t+1}/∂x_t‖ / ‖δ_{t+1}‖ - 1)²

In ours h_t = f(z_t), z_t = x_t Wx + h_{t-1} Wh + b, so that with δ_t = ∂E/∂h_t

    Ω = Σ_t (ρ_t - 1)²     ρ_t = ‖u_t Whᵀ‖     u_t = δ_t f'(z_t) / ‖δ_t‖

and with their immediate derivative (equation 10), which takes δ_t and z_t for constants,

    ∂Ω/∂Wh = Σ_t 2 (ρ_t - 1) / ρ_t · (u_t Whᵀ)ᵀ u_t
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.calls import perform
from ..kernels.compile import kernel
from ..kernels.target import empty
from .marks import Marked
from .tape import Room, Span, Tape
from .weights import PackedWeights, Scratch

__all__ = ["OmegaTape"]


@dataclass(eq=False)
class OmegaTape(Tape):
    """The tape of an `RNN` with Ω.

    keys : as in `Room`; while they are zero there is no Ω.
    units : scratch, (K, B, Hp), u_t; zero where it is left out.
    backs : scratch, (K, B, Hp), u_t Whᵀ, and then that times 2 (ρ_t - 1) / ρ_t.
    """

    keys: Marked | None = None
    units: NDArray | None = None
    backs: NDArray | None = None

    @staticmethod
    def own(room: Room, width: int) -> dict[str, Marked | NDArray]:
        """What it has beyond other tapes, by name."""
        units, backs = (empty((room.rows, room.lanes, width), room.dtype) for _ in range(2))
        return {"keys": room.keys, "units": units, "backs": backs}

    def arrays_in_all(self) -> list[NDArray]:
        return [*super().arrays_in_all(), self.units, self.backs]

    def add_gradient(
        self, factor: float, wh: PackedWeights, dz: NDArray, steps: Span, dwh: NDArray,
        scratch: Scratch,
    ) -> None:  # fmt: skip
        """Add ``factor`` times ∂Ω/∂Wh over ``steps`` to ``dwh`` (H, H).

        dz : in, (K, B, Hp), δ_t f'(z_t).
        """
        first, last = steps.first, steps.last
        if not self.keys.rows[first:last].any():
            return
        limits = _least(dz.dtype), steps.clip_delta
        _find_units(dz, self.norms, limits, self.fresh.rows, first, last, self.units)
        wh.error_products(self.units, first, last, self.backs)()
        _weigh(self.backs, first, last)
        own, bias = np.empty_like(dwh), np.empty_like(dwh[0])
        out = own, own[:0], bias
        perform(wh.gradients(scratch, first, last, self.backs, self.backs, self.units, out, None))
        dwh += dwh.dtype.type(factor) * own


def _least(dtype: DTypeLike) -> float:
    """The norm of an error below which its numbers have lost their digits."""
    of = np.finfo(dtype)
    return float(of.tiny) / float(of.eps)


@kernel
def _find_units(dz, norms, limits, fresh, first, last, units):
    """dz (K, B, Hp) in; norms (K, B) in, ‖δ_t‖ before it is bounded; fresh (K, B) in; units out.

    limits : the least norm that counts, and the bound.
    """
    least, bound = limits
    for t in range(first, last):
        for b in range(dz.shape[1]):
            norm = min(norms[t, b], bound)
            kept = norm >= least and not fresh[t, b]
            for j in range(dz.shape[2]):
                units[t, b, j] = dz[t, b, j] / norm if kept else 0.0


@kernel
def _weigh(backs, first, last):
    """backs (K, B, Hp) in and out, as in `OmegaTape`."""
    for t in range(first, last):
        for b in range(backs.shape[1]):
            squares = 0.0
            for value in backs[t, b]:
                squares += np.float64(value) * np.float64(value)
            length = np.sqrt(squares)
            for j in range(backs.shape[2]):
                if length > 0.0:
                    backs[t, b, j] *= 2.0 * (length - 1.0) / length
