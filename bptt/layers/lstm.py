"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..checks import check_flag, check_lag
from ..initializers import chrono
from ..kernels.calls import Call
from ..kernels.crew import ALONE, Member
from . import lstm_norm, lstm_peepholes, lstm_plain
from .lookup import Lookup
from .lstm_step import step_norm, step_peepholes, step_plain
from .recurrent import Recurrent, measures
from .tape import Room, Span, Tape
from .weights import Scratch

__all__ = ["LSTM"]


@dataclass(frozen=True)
class LSTM(Recurrent):
    """Long short-term memory with a forget gate, PyTorch's `nn.LSTM` in one layer.

    ::

        [i f g o] = x_t Wx + h_{t-1} Wh + b,   then sigmoid of i, f, o and tanh of g
        c_t = f c_{t-1} + i g
        h_t = o tanh(c_t)

    (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000.)

    With ``layer_norm``, where LN(a; γ) = γ (a - mean) / sqrt(variance + 1e-5), each product's over
    its 4H numbers of a step and lane, that of c over its H::

        [i f g o] = LN(x_t Wx; gx) + LN(h_{t-1} Wh; gh) + b
        c_t = f c_{t-1} + i g
        h_t = o tanh(LN(c_t; gc) + bc)

    (Ba, Kiros & Hinton 2016, equations 20 to 22. They write a bias of each LN besides b; the two of
    the products are in b here. Nor do they add to the variance.)  Where a row is constant, as
    h_{t-1} Wh before the first step, it becomes zero.

    With ``peepholes`` the gates see the cell, unit by unit, p being [pi pf po]::

        i = sigmoid(... + pi c_{t-1})
        f = sigmoid(... + pf c_{t-1})
        o = sigmoid(... + po c_t)

    (Gers, Schraudolph & Schmidhuber 2002, who leave out the last tanh, and cut the error off where
    it leaves a cell through its gates. Here all of it flows, as in Graves & Schmidhuber 2005.)

    Parameters
    ----------
    n_in : input features, I.
    n : units, H.
    forget_bias : what the bias of the forget gate begins with (Jozefowicz et al. 2015).
    feedback : what errors go back through: "exact" for the transposed weights, "random" for fixed
        random matrices ``Bx`` and ``Bh`` in place of ``Wx`` and ``Wh`` (Lillicrap et al. 2016).
    layer_norm : whether the products and the cell are normalised.
    peepholes : whether the gates see the cell.
    chrono : T_max, above 2, for lags of up to so many steps: memories begin to last from 1 to T_max
        steps. The bias of the forget gate is log u, u uniform in [1, T_max - 1], in place of
        ``forget_bias``, and that of the input gate its negative (Tallec & Ollivier 2018).

    Parameters in the model: ``Wx`` (I, 4H), ``Wh`` (H, 4H), ``b`` (4H,), gates in the order
    i f g o; with ``layer_norm`` the gains ``gx`` (4H,), ``gh`` (4H,) and ``gc`` (H,), which begin
    at 1, and ``bc`` (H,), at 0; with ``peepholes`` ``p`` (3, H), rows i f o, at 0.
    State: ``h`` and ``c``, (B, H) each.

    Raises
    ------
    ValueError : if a size is not a positive integer, ``forget_bias`` not a finite number,
        ``feedback`` neither of the two, ``layer_norm`` or ``peepholes`` not a bool, or both are
        chosen; if ``chrono`` is not a finite number above 2, or given with a ``forget_bias``.
    """

    forget_bias: float = 1.0
    layer_norm: bool = False
    peepholes: bool = False
    chrono: float | None = field(default=None, kw_only=True)
    gates: ClassVar[int] = 4
    carried: ClassVar[tuple[str, ...]] = ("h", "c")
    gate_names: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
    gate_slopes: ClassVar[tuple[float, ...]] = (0.25, 0.25, 1.0, 0.25)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.forget_bias, Real) or not math.isfinite(self.forget_bias):
            raise ValueError(f"forget_bias must be a finite number, got {self.forget_bias!r}")
        if self.chrono is not None:
            check_lag("chrono", self.chrono)
            if self.forget_bias != LSTM.forget_bias:
                raise ValueError("an LSTM has forget_bias or chrono, but not both")
        for name in ("layer_norm", "peepholes"):
            check_flag(name, getattr(self, name))
        if self.layer_norm and self.peepholes:
            raise ValueError("an LSTM has layer_norm or peepholes, but not both")

    @property
    def divides(self) -> bool:
        return self._form is lstm_plain

    @property
    def _form(self) -> ModuleType:
        """Where the loops are; all three have the same functions."""
        if self.layer_norm:
            return lstm_norm
        return lstm_peepholes if self.peepholes else lstm_plain

    def shapes(self) -> dict[str, tuple[int, ...]]:
        own: dict[str, tuple[int, ...]] = {}
        if self.layer_norm:
            own = {"gx": (4 * self.n,), "gh": (4 * self.n,), "gc": (self.n,), "bc": (self.n,)}
        if self.peepholes:
            own = {"p": (3, self.n)}
        return super().shapes() | own

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        super().initialize(params, rng)
        if self.chrono is None:
            params["b"][self.n : 2 * self.n] = self.forget_bias
        else:
            params["b"][...] = chrono(self.n, self.chrono, rng)
        if self.layer_norm:
            for name in ("gx", "gh", "gc"):
                params[name][...] = 1

    def weights(self, dtype: DTypeLike) -> Any:
        return self._form.make_weights(super().weights(dtype))

    def packing(self, params: Mapping[str, NDArray], weights: Any) -> list[Call]:
        return self._form.packing(params, weights)

    def tape(self, x: NDArray | Lookup, room: Room) -> Tape:
        arrays = self._form.make_arrays(self.n, room)
        errors, states = {"h": arrays.dh, "c": arrays.dc}, {"h": arrays.h, "c": arrays.c}
        gates = {"z": (arrays.z, self.gates)}
        if self.layer_norm:
            gates |= lstm_norm.kept(arrays)
        seen = measures(arrays.norms), measures(arrays.slopes)
        own = {"crew": room.crew, "skip": room.skip}
        return Tape(x, arrays.h[1:], states, arrays, gates, errors, room.fresh, *seen, **own)

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        wx, wh, b = params["Wx"], params["Wh"], params["b"]
        if self.layer_norm:
            own = params["gx"], params["gh"], params["gc"], params["bc"]
            step_norm(x, wx, wh, b, *own, before, after, start)
        elif self.peepholes:
            step_peepholes(x, wx, wh, b, params["p"], before, after, start)
        else:
            step_plain(x, wx, wh, b, before, after, start)
        return after[start : start + len(x) * self.n].reshape(len(x), self.n)

    def _state_errors(self, weights: Any, tape: Tape, first: int) -> None:
        if self.layer_norm:
            lstm_norm.state_errors(weights, tape)
        else:
            super()._state_errors(weights, tape, first)

    def _run(self, arrays: Any, weights: Any, first: int, last: int, member: Member) -> list[Call]:
        return self._form.run(arrays, weights, self.n, first, last, member)

    def _run_back(
        self, arrays: Any, weights: Any, dy: NDArray, steps: Span, member: Member
    ) -> list[Call]:
        return self._form.run_back(arrays, weights, self.n, dy, steps, member)

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
        if self.layer_norm:
            own = weights, tape, arrays, steps, dx, grads, scratch
            return [partial(lstm_norm.gradients, *own)]
        calls = super()._gradients(weights, tape, arrays, steps, dx, grads, scratch, member)
        if self.peepholes:
            calls.append(partial(lstm_peepholes.gradients, arrays, steps, grads))
        return calls

    def __str__(self) -> str:
        options = [name for name in ("layer_norm", "peepholes") if getattr(self, name)]
        return ", ".join([super().__str__()[:-1], *(f"{name}=True" for name in options)]) + ")"
