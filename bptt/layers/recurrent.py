"""What all recurrent layers share: everything but the loop over time.

    z_t = x_t Wx + h_{t-1} Wh + b        (B, G·H), then the cell's own equations

Forward is one product for all x_t Wx + b, then the cell's loop. Backward is the cell's loop, which
leaves the error at every z_t, then one product each for dWx, dWh and dx.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..initializers import glorot_uniform, orthogonal
from ..kernels.calls import Call, perform
from ..kernels.crew import ALONE, Member
from ..kernels.target import empty
from .base import Layer, check_size
from .feedback import FedBack
from .resets import cleared, stretches
from .skips import edges, hold, over, put_aside, unchanged
from .tape import Span, Tape
from .weights import PackedWeights, Scratch

__all__ = ["Recurrent", "RecurrentWeights", "apart", "back_by_stretches", "measures"]


class RecurrentWeights(NamedTuple):
    """Wx with b, and Wh, packed."""

    wx: PackedWeights
    wh: PackedWeights


@dataclass(frozen=True)
class Recurrent(FedBack):
    """A layer whose state ``h`` is its output.

    Parameters
    ----------
    n_in : input features, I.
    n : units, H.
    feedback : as in `FedBack`.
    """

    n_in: int
    n: int
    reads_lookups: ClassVar[bool] = True
    gates: ClassVar[int]
    """G, the number of blocks of H columns in Wx, Wh and b."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(n_in=self.n_in, n=self.n)

    @property
    def sizes(self) -> tuple[int, int]:
        return self.n_in, self.n

    def shapes(self) -> dict[str, tuple[int, ...]]:
        columns = self.gates * self.n
        return {"Wx": (self.n_in, columns), "Wh": (self.n, columns), "b": (columns,)}

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = self.shapes()
        return {name: shapes[name] for name in ("Wx", "Wh")}

    def draw(self, params: Mapping[str, NDArray], rng: np.random.Generator) -> None:
        """Each gate's Wx is Glorot uniform and its Wh orthogonal."""
        for gate in range(self.gates):
            columns = slice(gate * self.n, (gate + 1) * self.n)
            params["Wx"][:, columns] = glorot_uniform((self.n_in, self.n), rng)
            params["Wh"][:, columns] = orthogonal((self.n, self.n), rng)

    def weights(self, dtype: DTypeLike) -> RecurrentWeights:
        return RecurrentWeights(
            PackedWeights(self.n_in, self.n, self.gates, dtype),
            PackedWeights(self.n, self.n, self.gates, dtype),
        )

    def packing(self, params: Mapping[str, NDArray], weights: RecurrentWeights) -> list[Call]:
        return weights.wx.packing(params["Wx"], params["b"]) + weights.wh.packing(params["Wh"])

    def packing_back(self, params: Mapping[str, NDArray], weights: RecurrentWeights) -> list[Call]:
        params = self.returning(params)
        inputs = weights.wx.packing_transposed(params["Wx"])
        return inputs + weights.wh.packing_transposed(params["Wh"])

    def scratch_sizes(self, dtype: DTypeLike) -> tuple[int, int, int]:
        return Scratch.sizes(self.n_in + self.n + 1, self.n, self.gates, dtype)

    def forward(self, weights: RecurrentWeights, tape: Tape, first: int, last: int) -> None:
        if not tape.stops:
            perform(self.forward_calls(weights, tape, first, last))
            return
        tape.crew.run(partial(weights.wx.products, tape.x, first, last, tape.arrays.z))
        for start, stop in stretches(tape, first, last, over):
            with cleared(tape, [start]):
                tape.crew.run(partial(self._run, tape.arrays, weights, start, stop))
            hold(tape, start, stop)

    def forward_calls(
        self, weights: RecurrentWeights, tape: Tape, first: int, last: int
    ) -> list[Call]:
        def whole(member: Member) -> list[Call]:
            products = weights.wx.products(tape.x, first, last, tape.arrays.z, member)
            return products + self._run(tape.arrays, weights, first, last, member)

        if tape.stops:
            return super().forward_calls(weights, tape, first, last)
        held = [partial(hold, tape, first, last)] if tape.skip.some else []
        return tape.crew.calls(whole) + held

    def backward_calls(
        self,
        weights: RecurrentWeights,
        tape: Tape,
        steps: Span,
        dy: NDArray,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
    ) -> tuple[list[Call], int]:
        def loop(part: Span, member: Member) -> list[Call]:
            return self._run_back(arrays, weights, dy, part, member)

        def gradients(member: Member) -> list[Call]:
            return self._gradients(weights, tape, arrays, steps, dx, grads, scratch, member)

        arrays = tape.arrays if steps.consume else apart(tape)
        if tape.stops:
            way = [partial(back_by_stretches, self, weights, tape, steps, loop, gradients)]
        else:
            way = tape.crew.calls(lambda member: loop(steps, member) + gradients(member))
        joining = [partial(_join, tape, arrays, steps)] if tape.crew.size > 1 else []
        return [partial(setattr, tape, "used", arrays), *way, *joining], steps.first

    def state_errors(self, weights: RecurrentWeights, tape: Tape, first: int) -> None:
        with unchanged(tape, first):
            self._state_errors(weights, tape, first)

    def _state_errors(self, weights: RecurrentWeights, tape: Tape, first: int) -> None:
        """`state_errors`, where no lane is skipped."""
        weights.wh.back_step(tape.used.dz, first, tape.errors["h"])

    @abstractmethod
    def _run(
        self, arrays: Any, weights: RecurrentWeights, first: int, last: int, member: Member
    ) -> list[Call]:
        """The loop forward: ``arrays.z`` holds x_t Wx + b.

        member : whose units are run; the only one unless the layer `divides`.
        """

    @abstractmethod
    def _run_back(
        self, arrays: Any, weights: RecurrentWeights, dy: NDArray, steps: Span,
        member: Member,
    ) -> list[Call]:  # fmt: skip
        """The loop back: leaves the error of z in ``arrays.dz``, which may be z."""

    def _gradients(
        self,
        weights: RecurrentWeights,
        tape: Tape,
        arrays: Any,
        steps: Span,
        dx: NDArray | None,
        grads: Mapping[str, NDArray],
        scratch: Scratch,
        member: Member = ALONE,
    ) -> list[Call]:
        """``dx`` and every gradient, from what the loop back left in ``arrays``."""
        first, last, h = steps.first, steps.last, tape.states["h"]
        out = (grads["Wx"], grads["Wh"], grads["b"])
        return weights.wx.gradients(scratch, first, last, tape.x, h, arrays.dz, out, dx, member)


def back_by_stretches(
    layer: Layer,
    weights: Any,
    tape: Tape,
    steps: Span,
    loop: Callable[[Span, Member], list[Call]],
    gradients: Callable[[Member], list[Call]],
) -> None:
    """The way back where sequences may begin on the tape, or steps may be skipped: first the loop,
    the newest stretch first.

    loop : lists a member's loop back through a part of ``steps``.
    gradients : lists its gradients, of all steps.
    """
    parts = stretches(tape, steps.first, steps.last, edges)
    for start, stop in reversed(parts):
        with cleared(tape, [start]), put_aside(tape, start, stop):
            tape.crew.run(partial(loop, steps._replace(first=start, last=stop)))
        if start > steps.first:
            layer.state_errors(weights, tape, start)
    with cleared(tape, [start for start, _ in parts]):
        tape.crew.run(gradients)


def measures(parts: NDArray) -> NDArray:
    """Room for what the members of a crew measure, ``parts`` (members, K, ...), of all of them: for
    a lone member the same."""
    return parts[0] if len(parts) == 1 else np.zeros(parts.shape[1:])


def _join(tape: Tape, arrays: Any, steps: Span) -> None:
    """The norms and slopes of all units, from those of the members of a crew."""
    here = slice(steps.first, steps.last)
    tape.norms[here] = np.hypot.reduce(arrays.norms[:, here])
    if tape.slopes is not None:
        tape.slopes[here] = arrays.slopes[:, here].sum(axis=0)


def apart(tape: Tape) -> Any:
    """The arrays of ``tape``, but no errors written over what they are the errors of."""
    if tape.apart is None:
        arrays = tape.arrays._asdict()
        over = {f"d{name}": a for name, a in arrays.items() if arrays.get(f"d{name}") is a}
        own = {name: empty(a.shape, a.dtype) for name, a in over.items()}
        tape.apart = tape.arrays._replace(**own)
    return tape.apart
