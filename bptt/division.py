"""How many threads run windows, and what they divide: the lanes, or where those are few the units.

Costs are in multiplications that a core does in the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from numpy.typing import DTypeLike

from .kernels.packing import FULL
from .kernels.target import lanes_of, padded
from .layers import Layer
from .model import Model
from .packed import parts
from .pool import cpu_count

__all__ = ["Division", "best_division"]

_START, _MEETING = 1_700_000, 600_000
"""What one more thread costs in each layer, and what two cost there that are in each other's way:
only one of them interprets at a time."""
_LISTED = 0.7
"""How much of that it costs that the members of a crew begin, who only make calls that are listed.
"""
_READING = 1
"""Lanes whose products take as long as to read the weights, which each shard does at every step."""
_STEP = 12_000
"""What a member of a crew costs at each meeting."""
_UNEVEN = 1.15
"""How much longer products take that a crew divides, by smaller tiles and waiting."""


class Division(NamedTuple):
    """How threads divide a window: into shards of the lanes, or into the units of one shard."""

    shards: int
    members: int


def best_division(model: Model, lanes: int, steps: int, workers: int | None = None) -> Division:
    """How windows of ``steps`` steps and ``lanes`` lanes are run the fastest.

    The shard with the most lanes is the last to be done: five need as long for 8 lanes as four. But
    a shard reads all weights at every step, a member of a crew those of its units alone.

    workers : how many threads; as many as pay if None. Fewer are taken if there are fewer lanes, or
        if it is the units that are divided and more do not pay.
    """
    most = cpu_count() if workers is None else workers
    panels = max(_panels(layer, model.dtype) for layer in model.layers)
    shards = [Division(count, 1) for count in range(1, min(most, lanes) + 1)]
    crews = [Division(1, count) for count in range(2, min(most, panels) + 1)]
    best = min([*shards, *crews], key=_Costs.of(model, lanes, steps).total)
    return shards[-1] if workers is not None and best.members == 1 else best


class _Costs(NamedTuple):
    """layers : of the model, with the products at a step and lane, forward and back, of each.
    lanes, steps : of a window.
    dtype : of its arrays.
    """

    layers: Sequence[tuple[Layer, int]]
    lanes: int
    steps: int
    dtype: DTypeLike

    @classmethod
    def of(cls, model: Model, lanes: int, steps: int) -> _Costs:
        own = parts(model.params, model.layers)
        sizes = [3 * sum(p.size for p in params.values()) for params in own]
        return cls(list(zip(model.layers, sizes, strict=True)), lanes, steps, model.dtype)

    def total(self, division: Division) -> float:
        return (
            self._crew(division.members) if division.members > 1 else self._shards(division.shards)
        )

    def _shards(self, count: int) -> float:
        lanes = -(-self.lanes // count) + _READING
        products = self.steps * lanes * sum(products for _, products in self.layers)
        return products + len(self.layers) * _together(count)

    def _crew(self, members: int) -> float:
        """Of a crew, whose members begin twice in each layer, and meet at each step forward and
        back."""
        lanes, total = self.lanes + _READING, 0.0
        for layer, products in self.layers:
            share = self._share(layer, members)
            total += self.steps * lanes * products * (share * _UNEVEN if share < 1 else 1.0)
            meetings = 2 * self.steps if layer.divides and layer.carried else 0
            starts = (1 + layer.divides) * _LISTED
            total += starts * _together(members) + meetings * members * _STEP
        return total

    def _share(self, layer: Layer, members: int) -> float:
        """Of the units, that of the member with the most."""
        if not layer.divides:
            return 1.0
        panels = _panels(layer, self.dtype)
        return -(-panels // members) / panels


def _panels(layer: Layer, dtype: DTypeLike) -> int:
    """Of a layer's units, as a crew divides them."""
    return -(-padded(layer.sizes[1], dtype) // (FULL * lanes_of(dtype)))


def _together(count: int) -> int:
    """What it costs in a layer that so many threads begin there."""
    return _START * (count - 1) + _MEETING * count**2
