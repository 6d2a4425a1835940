"""Zoneout: units of a recurrent layer that keep their value at random (Krueger et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..checks import check_fraction
from ..kernels.calls import Call, perform
from ..kernels.crew import Member
from . import zoneout_gru, zoneout_lstm, zoneout_rnn
from .base import Layer
from .gru import GRU
from .lookup import Lookup
from .lstm import LSTM
from .marks import Marked
from .recurrent import Recurrent, apart, back_by_stretches
from .resets import cleared, stretches
from .rnn import RNN
from .skips import hold, over
from .tape import Room, Span, Tape
from .weights import Scratch
from .zone import Zone, draw

__all__ = ["Zoneout"]

_LOOPS: Mapping[type, ModuleType] = {RNN: zoneout_rnn, LSTM: zoneout_lstm, GRU: zoneout_gru}
_OPTIONS = ("n_in", "n", "activation", "forget_bias", "reset_after", "chrono")
"""Those of the layers that the loops know."""


@dataclass(frozen=True)
class Zoneout(Layer):
    """A recurrent layer, each unit of which keeps its value at random while training.

    ::

        h_t = m h_{t-1} + (1 - m) h~_t        c_t = m' c_{t-1} + (1 - m') c~_t

    with h~_t and c~_t what the layer makes of h_{t-1} and c_{t-1}; an LSTM's h~_t = o tanh(c~_t),
    of the cell before zoneout. While training m and m' are drawn anew for each unit of each step
    of each lane, 1 with probability ``h`` and ``c``, else 0; outside training they are ``h`` and
    ``c`` themselves, the expectation. (Krueger et al. 2017.)

    Parameters
    ----------
    layer : an `RNN`, `LSTM` or `GRU`.
    h, c : share of the units of h, and of an LSTM's c, that are kept, in [0, 1).

    Parameters and state in the model are those of ``layer``, under its names. δ_t is the error of
    h_t as it leaves the zoneout.

    Raises
    ------
    TypeError : if ``layer`` is none of the three.
    ValueError : if ``h`` or ``c`` is not in [0, 1), ``c`` is not 0 for a layer without c, or
        ``layer`` has an option that zoneout does not know.
    """

    layer: Recurrent
    h: float = 0.0
    c: float = 0.0
    trains: ClassVar[bool] = True
    reads_lookups: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if type(self.layer) not in _LOOPS:
            raise TypeError(f"Zoneout takes an RNN, LSTM or GRU, got {self.layer!r}")
        check_fraction("h", self.h)
        check_fraction("c", self.c)
        if self.c and "c" not in self.carried:
            raise ValueError(f"{self.layer} has no c to keep, so c must be 0, got {self.c!r}")
        for field in fields(self.layer):
            if field.name not in _OPTIONS and getattr(self.layer, field.name) != field.default:
                raise ValueError(f"Zoneout does not know {field.name}, which {self.layer!r} has")

    @property
    def carried(self) -> tuple[str, ...]:
        return self.layer.carried

    @property
    def gate_names(self) -> tuple[str, ...]:
        return self.layer.gate_names

    @property
    def gate_slopes(self) -> tuple[float, ...]:
        return self.layer.gate_slopes

    @property
    def sizes(self) -> tuple[int, int]:
        return self.layer.sizes

    @property
    def _shares(self) -> dict[str, float]:
        """State -> the share that is kept."""
        return {name: getattr(self, name) for name in self.carried}

    @property
    def _loops(self) -> ModuleType:
        return _LOOPS[type(self.layer)]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self.layer.shapes()

    def initialize(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        self.layer.initialize(params, rng)

    def weights(self, dtype: DTypeLike) -> Any:
        return self.layer.weights(dtype)

    def packing(self, params: Mapping[str, NDArray], weights: Any) -> list[Call]:
        return self.layer.packing(params, weights)

    def packing_back(self, params: Mapping[str, NDArray], weights: Any) -> list[Call]:
        return self.layer.packing_back(params, weights)

    def scratch_sizes(self, dtype: DTypeLike) -> tuple[int, int, int]:
        return self.layer.scratch_sizes(dtype)

    def tape(self, x: NDArray | Lookup, room: Room) -> Tape:
        inner = self.layer.tape(x, room)
        has_c, is_gru = "c" in self.carried, isinstance(self.layer, GRU)
        zone = Zone.of(self.layer.n, room, c=has_c, inner=not is_gru)
        kept = {"zone_h": zone.h, "zone_c": zone.c, "zone_inner": zone.inner}
        gates = inner.gates | {name: (rows, 1) for name, rows in kept.items() if len(rows)}
        errors = {"h": zone.dh, "c": zone.dc} if has_c else {"h": zone.dh}
        return _Tape(
            x, inner.y, inner.states, inner.arrays, gates, errors, inner.fresh, inner.norms,
            inner.slopes, skip=room.skip, zone=zone, keys=room.keys, salt=room.salt,
        )  # fmt: skip

    def forward(self, weights: Any, tape: _Tape, first: int, last: int) -> None:
        self._draw(tape, first, last)
        perform(weights.wx.products(tape.x, first, last, tape.arrays.z))
        for start, stop in stretches(tape, first, last, over):
            with cleared(tape, [start]):
                self._loops.run(self.layer, tape.arrays, tape.zone, weights, start, stop)
            hold(tape, start, stop)

    def _draw(self, tape: _Tape, first: int, last: int) -> None:
        for i, (name, share) in enumerate(self._shares.items()):
            if share:
                rows, n = getattr(tape.zone, name), self.layer.n
                draw(rows, tape.keys.rows, tape.salt, float(share), i * n, n, first, last)

    def backward(
        self,
        weights: Any,
        tape: _Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> int:
        arrays = tape.used = tape.arrays if steps.consume else apart(tape)

        def loop(part: Span, member: Member) -> list[Call]:
            own = self.layer, arrays, tape.zone, weights, dy, part
            return [partial(self._loops.run_back, *own)]

        given = weights, tape, arrays, steps, dx, grads, scratch
        gradients = partial(self.layer._gradients, *given)
        back_by_stretches(self, weights, tape, steps, loop, gradients)
        return steps.first

    def state_errors(self, weights: Any, tape: _Tape, first: int) -> None:
        self.layer.state_errors(weights, tape, first)
        tape.errors["h"] += tape.zone.held

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        self.layer.step(params, x, before, after, start)
        size = len(x) * self.layer.n
        for i, share in enumerate(self._shares.values()):
            here = slice(start + i * size, start + (i + 1) * size)
            after[here] = share * before[here] + (1 - share) * after[here]
        return after[start : start + size].reshape(len(x), self.layer.n)

    def __str__(self) -> str:
        shares = ", ".join(f"{name}={share}" for name, share in self._shares.items())
        return f"Zoneout({self.layer}, {shares})"


@dataclass(eq=False)
class _Tape(Tape):
    """The tape of the layer inside, with what is kept of its states."""

    zone: Zone | None = None
    keys: Marked | None = None
    salt: int = 0

    def arrays_in_all(self) -> list[NDArray]:
        return super().arrays_in_all() + list(self.zone)
