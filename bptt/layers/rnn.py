"""The vanilla recurrent layer (Elman 1990)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks import check_amount, check_word
from ..kernels.activations import ACTIVATIONS, activate, slope
from ..kernels.calls import Call
from ..kernels.compile import allocating_kernel, kernel
from ..kernels.crew import ALONE, Member, meet
from ..kernels.delta import gather
from ..kernels.product import part_back_product, part_product, whole_rows, zero_start
from ..kernels.step import add_products, put_rows
from ..kernels.target import empty, padded, zeros
from ..kernels.vector import ask, flat, lanes, load, store
from .lookup import Lookup
from .omega import OmegaTape
from .recurrent import Recurrent, RecurrentWeights, measures
from .tape import Room, Span, Tape
from .weights import Scratch

__all__ = ["RNN"]


@dataclass(frozen=True)
class RNN(Recurrent):
    """h_t = f(x_t Wx + h_{t-1} Wh + b), the simple recurrent network of Elman (1990).

    Parameters
    ----------
    n_in : input features, I.
    n : units, H.
    activation : f: "tanh", "sigmoid", "relu", "leaky_relu" (slope 0.01 below zero) or "identity".
    feedback : what errors go back through: "exact" for the transposed weights, "random" for fixed
        random matrices ``Bx`` and ``Bh`` in place of ``Wx`` and ``Wh`` (Lillicrap et al. 2016).
    omega : weight of the regulariser Ω of Pascanu, Mikolov & Bengio (2013), which keeps the error
        from vanishing. In training it adds omega · s · ∂Ω/∂Wh to the gradient of Wh, where s is
        what the losses are multiplied by, one over the number of targets, and

        Ω = Σ (‖δ_t f'(z_t) Whᵀ‖ / ‖δ_t‖ - 1)²    over the lanes and steps of the window

        with δ_t, as ``clip_delta`` bounded it, and f'(z_t) for constants. The first step of the
        window counts, whose error would go on to the constant state before it. Left out are steps
        at which ``resets`` begins a sequence, and those where δ_t is zero, or so small that its
        numbers have no digits left. Losses that are reported are those without Ω.

    Parameters in the model: ``Wx`` (I, H), ``Wh`` (H, H), ``b`` (H,).  State: ``h`` (B, H).

    Raises
    ------
    ValueError : if a size is not a positive integer, there is no such activation or feedback, or
        ``omega`` is not a finite number from 0 on.
    """

    activation: str = "tanh"
    omega: float = 0.0
    gates: ClassVar[int] = 1
    carried: ClassVar[tuple[str, ...]] = ("h",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_word("activation", self.activation, ACTIVATIONS)
        check_amount("omega", self.omega)

    @property
    def trains(self) -> bool:
        return self.omega > 0

    @property
    def divides(self) -> bool:
        return not self.omega

    def tape(self, x: NDArray | Lookup, room: Room) -> Tape:
        rows, lane_count, dtype = room.rows, room.lanes, room.dtype
        width = padded(self.n, dtype)
        h = zeros((rows + 1, lane_count, width), dtype)
        arrays = _Arrays(
            z=h[1:],
            h=h,
            dz=empty((rows, lane_count, width), dtype),
            dh=zeros((lane_count, width), dtype),
            back=room.back,
            zero=zeros((width,), dtype),
            norms=np.zeros((room.crew.size, rows, lane_count)),
        )
        kind, own = (OmegaTape, OmegaTape.own(room, width)) if self.omega else (Tape, {})
        own |= {"errors": {"h": arrays.dh}, "fresh": room.fresh, "skip": room.skip}
        own |= {"norms": measures(arrays.norms), "crew": room.crew}
        return kind(x, h[1:], {"h": h}, arrays, **own)

    def step(
        self,
        params: Mapping[str, NDArray],
        x: NDArray,
        before: NDArray,
        after: NDArray,
        start: int,
    ) -> NDArray:
        number = ACTIVATIONS[self.activation]
        _step(x, params["Wx"], params["Wh"], params["b"], before, after, start, number)
        return after[start : start + len(x) * self.n].reshape(len(x), self.n)

    def _run(
        self, arrays: _Arrays, weights: RecurrentWeights, first: int, last: int,
        member: Member,
    ) -> list[Call]:  # fmt: skip
        wh, number = weights.wh, ACTIVATIONS[self.activation]
        part = wh.part(member)
        return [wh.calls.bind(_forward, arrays.h, wh.packed, number, first, last, part)]

    def _run_back(
        self, arrays: _Arrays, weights: RecurrentWeights, dy: NDArray, steps: Span,
        member: Member,
    ) -> list[Call]:  # fmt: skip
        wh, number = weights.wh, ACTIVATIONS[self.activation]
        span, part = tuple(steps), wh.part(member)
        values = tuple(arrays)
        return [wh.calls.bind(_backward, values, wh.transposed, dy, number, span, part)]

    def _gradients(
        self,
        weights: RecurrentWeights,
        tape: Tape,
        arrays: _Arrays,
        steps: Span,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
        member: Member = ALONE,
    ) -> list[Call]:
        calls = super()._gradients(weights, tape, arrays, steps, dx, grads, scratch, member)
        if self.omega:
            own = self.omega * steps.scale, weights.wh, arrays.dz, steps, grads["Wh"], scratch
            calls.append(partial(tape.add_gradient, *own))
        return calls


class _Arrays(NamedTuple):
    """z, h : in, out, h (K+1, B, Hp); z is h[1:], which holds x_t Wx + b until step t has run.
    dz : out, (K, B, Hp), error of the argument of f.
    dh : scratch, (B, Hp), δ_t.
    back : in, (K, B), weight of what comes back to each step.
    zero : in, (Hp,).
    norms : out, (members, K, B) float64, ‖δ_t‖ of each member's units.
    """

    z: NDArray
    h: NDArray
    dz: NDArray
    dh: NDArray
    back: NDArray
    zero: NDArray
    norms: NDArray


@kernel
def _forward(h, wh, activation, first, last, part):
    """h (K+1, B, Hp) as in `_Arrays`; wh packed (H, Hp); part as in `crew`."""
    count, width = h.shape[1], h.shape[2]
    size, numbers = lanes(h), flat(h)
    number, members, told, unit, end, begin, stop = part
    for t in range(first, last):
        before, now = t * count * width, (t + 1) * count * width
        start, out = (numbers, now, width), (h, now, width)
        part_product(count, (h, before, width), wh, start, out, t, begin, stop)
        for row in range(now, now + count * width, width):
            for j in range(row + unit * size, row + end * size, size):
                store(h, j, activate(activation, load(h, j)))
                ask(h, j + count * width)
        meet(number, members, told)


@allocating_kernel
def _step(x, wx, wh, b, before, after, start, activation):
    """x (B, I) in; parameters in; before, after flat, in and out: h (B, H) from ``start`` on."""
    nothing, m, n, size = np.int64(0), len(x), b.size, lanes(b)
    z = np.zeros(m * n + size, b.dtype)
    put_rows(b, m, z, nothing)
    add_products(m, (x, nothing, x.shape[1]), wx, nothing, n, (z, nothing, n))
    add_products(m, (before, start, n), wh, nothing, n, (z, nothing, n))
    for j in range(0, m * n, size):
        store(z, j, activate(activation, load(z, j)))
    for j in range(m * n):
        after[start + j] = z[j]


@kernel
def _backward(values, wh_transposed, dy, activation, span, part):
    """δ down from step ``steps.last`` - 1; wh_transposed packed (Hp, H), dy (K, B, Hp) in.

    values, span : `_Arrays` and a `Span` as plain tuples.
    part : as in `crew`.
    """
    arrays, steps = _Arrays(*values), Span(*span)
    h, dz, dh, size = arrays.h, arrays.dz, arrays.dh, lanes(arrays.dh)
    count, width = dh.shape
    number, members, told, unit, end, begin, stop = part
    start, out = zero_start(arrays.zero), whole_rows(dh)
    for t in range(steps.last - 1, steps.first - 1, -1):
        at = t * count * width
        if t < steps.last - 1:
            after = (dz, at + count * width, width)
            part_back_product(count, after, wh_transposed, start, out, t, begin, stop)
        gather(dh, arrays.back, dy, t, steps, arrays.norms, part)
        for row in range(0, count * width, width):
            for j in range(row + unit * size, row + end * size, size):
                y = load(h, at + count * width + j)
                store(dz, at + j, load(dh, j) * slope(activation, y))
                # Of the step before, so that they are near when their turn comes.
                ask(h, at + j)
                ask(dz, at + j - count * width)
        meet(number, members, told)
