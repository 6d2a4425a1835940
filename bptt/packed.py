"""The packed weights of all layers of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from numpy.typing import NDArray

from .block import Block
from .layers import Layer

__all__ = ["ModelWeights", "parts", "together"]


def parts(block: Block, layers: Sequence[Layer]) -> list[dict[str, NDArray]]:
    """The views of a block layer by layer, named without the layer's number."""
    found: list[dict[str, NDArray]] = [{} for _ in layers]
    for full, view in block.items():
        i, name = full.split(".", 1)
        found[int(i)][name] = view
    return found


def together(params: Block, buffers: Block, layers: Sequence[Layer]) -> list[dict[str, NDArray]]:
    """The `parts` of parameters and buffers in one."""
    both = zip(parts(params, layers), parts(buffers, layers), strict=True)
    return [learned | kept for learned, kept in both]


class ModelWeights:
    """The packed weights of all layers: read by every worker, packed again after each update."""

    def __init__(self, layers: Sequence[Layer], params: Block, buffers: Block) -> None:
        self.layers = layers
        self.params = together(params, buffers, layers)
        self.packed = [layer.weights(params.dtype) for layer in layers]
        triples = list(zip(layers, self.params, self.packed, strict=True))
        self._forward = [partial(layer.pack, p, packed) for layer, p, packed in triples]
        self._back = [partial(layer.pack_back, p, packed) for layer, p, packed in triples]

    def packing(self, back: bool) -> list[Callable[[], None]]:
        """The pieces of work that pack all layers for going forward, and back if wanted."""
        return self._forward + self._back if back else self._forward

    def pack(self, back: bool) -> None:
        """Pack all layers for going forward, and back if wanted, on the caller's thread."""
        for work in self.packing(back):
            work()
