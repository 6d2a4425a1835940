"""Gated recurrent units (Cho et al. 2014), in both of their forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..checks import check_flag, check_lag
from ..initializers import chrono
from ..kernels.calls import Call
from ..kernels.crew import ALONE, Member
from . import gru_after, gru_before
from .gru_step import step_after, step_before
from .lookup import Lookup
from .recurrent import Recurrent, measures
from .tape import Room, Span, Tape
from .weights import Scratch

__all__ = ["GRU"]


@dataclass(frozen=True)
class GRU(Recurrent):
    """Gated recurrent units; PyTorch's `nn.GRU` in one layer, unless ``reset_after`` is False.

    ::

        r = sigmoid(x_t Wxr + h_{t-1} Whr + br)
        z = sigmoid(x_t Wxz + h_{t-1} Whz + bz)
        n = tanh(x_t Wxn + bn + r (h_{t-1} Whn + bh))      reset_after=True
        n = tanh(x_t Wxn + bn + (r h_{t-1}) Whn)           reset_after=False
        h_t = (1 - z) n + z h_{t-1}

    (Cho et al. 2014, who reset before the product. After it, h_{t-1} Wh is one product.)

    Parameters
    ----------
    n_in : input features, I.
    n : units, H.
    reset_after : whether r multiplies h_{t-1} after its product with Whn, or before.
    feedback : what errors go back through: "exact" for the transposed weights, "random" for fixed
        random matrices ``Bx`` and ``Bh`` in place of ``Wx`` and ``Wh`` (Lillicrap et al. 2016).
    chrono : T_max, above 2, for lags of up to so many steps: memories begin to last from 1 to T_max
        steps. The bias of z, which says what is kept, is log u, u uniform in [1, T_max - 1]
        (Tallec & Ollivier 2018); if None, it is 0.

    Parameters in the model: ``Wx`` (I, 3H), ``Wh`` (H, 3H), ``b`` (3H,), gates in the order r z n;
    and ``bh`` (H,) if ``reset_after``.  State: ``h`` (B, H). Of PyTorch's biases, ``b`` is the sum
    for r and z and bias_ih for n; ``bh`` is bias_hh for n.

    Raises
    ------
    ValueError : if a size is not a positive integer, ``reset_after`` not a bool, ``feedback``
        neither of the two, or ``chrono`` not a finite number above 2.
    """

    reset_after: bool = True
    chrono: float | None = field(default=None, kw_only=True)
    gates: ClassVar[int] = 3
    carried: ClassVar[tuple[str, ...]] = ("h",)
    gate_names: ClassVar[tuple[str, ...]] = ("r", "z", "n")
    gate_slopes: ClassVar[tuple[float, ...]] = (0.25, 0.25, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag("reset_after", self.reset_after)
        if self.chrono is not None:
            check_lag("chrono", self.chrono)

    @property
    def divides(self) -> bool:
        return self.reset_after

    @property
    def _form(self) -> ModuleType:
        """Where the loops are; `gru_after` and `gru_before` have the same functions."""
        return gru_after if self.reset_after else gru_before

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return super().shapes() | ({"bh": (self.n,)} if self.reset_after else {})

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        super().initialize(params, rng)
        if self.chrono is not None:
            kept = slice(self.n, 2 * self.n)
            params["b"][kept] = chrono(self.n, self.chrono, rng)[kept]

    def weights(self, dtype: DTypeLike) -> Any:
        return self._form.make_weights(self.n_in, self.n, dtype)

    def packing(self, params: Mapping[str, NDArray], weights: Any) -> list[Call]:
        inputs = weights.wx.packing(params["Wx"], params["b"])
        return inputs + self._form.packing(params, weights)

    def packing_back(self, params: Mapping[str, NDArray], weights: Any) -> list[Call]:
        params = self.returning(params)
        inputs = weights.wx.packing_transposed(params["Wx"])
        return inputs + self._form.packing_back(params, weights)

    def tape(self, x: NDArray | Lookup, room: Room) -> Tape:
        arrays = self._form.make_arrays(self.n, room)
        h, inner = arrays.h, arrays._fields[1]
        gates = {"z": (arrays.z, self.gates), inner: (arrays[1], 1)}
        errors = {"h": arrays.dh}
        seen = measures(arrays.norms), measures(arrays.slopes)
        own = {"crew": room.crew, "skip": room.skip}
        return Tape(x, h[1:], {"h": h}, arrays, gates, errors, room.fresh, *seen, **own)

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        wx, wh, b = params["Wx"], params["Wh"], params["b"]
        if self.reset_after:
            step_after(x, wx, wh, b, params["bh"], before, after, start)
        else:
            step_before(x, wx, wh, b, before, after, start)
        return after[start : start + len(x) * self.n].reshape(len(x), self.n)

    def scratch_sizes(self, dtype: DTypeLike) -> tuple[int, int, int]:
        """With room for two sums at once; each has a bias."""
        return Scratch.sizes(self.n_in + self.n + 2, self.n, self.gates, dtype)

    def _state_errors(self, weights: Any, tape: Tape, first: int) -> None:
        self._form.state_errors(weights, tape, first)

    def _run(self, arrays: Any, weights: Any, first: int, last: int, member: Member) -> list[Call]:
        return self._form.run(arrays, weights, first, last, member)

    def _run_back(
        self, arrays: Any, weights: Any, dy: NDArray, steps: Span, member: Member
    ) -> list[Call]:
        return self._form.run_back(arrays, weights, dy, steps, member)

    def _gradients(
        self,
        weights: Any,
        tape: Tape,
        arrays: Any,
        steps: Span,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
        member: Member = ALONE,
    ) -> list[Call]:
        return self._form.gradients(weights, tape, arrays, steps, dx, grads, scratch, member)
