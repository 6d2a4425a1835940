"""The packed weights of all layers of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .block import Block
from .kernels.calls import Call, perform
from .layers import Layer

__all__ = ["ModelWeights", "gradient_parts", "layer_number", "parts", "together"]


def layer_number(name: str) -> int:
    """Of the layer that an array of a model's belongs to: 1 for ``"1.Wh"``."""
    return int(name.split(".")[0])


def parts(block: Block, layers: Sequence[Layer]) -> list[dict[str, NDArray]]:
    """The views of a block layer by layer, named without the layer's number."""
    found: list[dict[str, NDArray]] = [{} for _ in layers]
    for full, view in block.items():
        i, name = full.split(".", 1)
        found[int(i)][name] = view
    return found


def together(params: Block, buffers: Block, layers: Sequence[Layer]) -> list[dict[str, NDArray]]:
    """The `parts` of parameters and buffers in one, and views of what layers borrow."""
    three = zip(layers, parts(params, layers), parts(buffers, layers), strict=True)
    return [
        learned | kept | {name: params[f"0.{name}"].T for name in layer.borrows()}
        for layer, learned, kept in three
    ]


def gradient_parts(gradient: Block, layers: Sequence[Layer]) -> list[dict[str, NDArray]]:
    """The `parts` of ``gradient``, and room for the gradients of what layers borrow."""
    return [
        own | {name: np.zeros(shape, gradient.dtype) for name, shape in layer.borrows().items()}
        for layer, own in zip(layers, parts(gradient, layers), strict=True)
    ]


class ModelWeights:
    """The packed weights of all layers: read by every worker, packed again after each update."""

    def __init__(self, layers: Sequence[Layer], params: Block, buffers: Block) -> None:
        self.layers = layers
        self.params = together(params, buffers, layers)
        self.packed = [layer.weights(params.dtype) for layer in layers]

    @cached_property
    def _forward(self) -> list[Call]:
        return [call for layer, *given in self._given() for call in layer.packing(*given)]

    @cached_property
    def _both(self) -> list[Call]:
        back = [call for layer, *given in self._given() for call in layer.packing_back(*given)]
        # Two who take turns then have the largest layer half each.
        return self._forward + back[::-1]

    def _given(self) -> Iterator[tuple[Layer, dict[str, NDArray], Any]]:
        """Each layer, and what it packs from and to."""
        return zip(self.layers, self.params, self.packed, strict=True)

    def packing(self, back: bool) -> list[Call]:
        """What packs all layers for going forward, and back if wanted, in any order."""
        return self._both if back else self._forward

    def pack(self, back: bool) -> None:
        """Pack all layers for going forward, and back if wanted, on the caller's thread."""
        perform(self.packing(back))
