"""Whether layers fit on each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .base import Layer
from .embedding import Embedding

__all__ = ["check_stack"]


def check_stack(layers: Sequence[Layer]) -> None:
    """Refuse what no model can be made of, from the input up.

    Raises
    ------
    TypeError : if something is not a layer.
    ValueError : if there is no layer, or one does not take what the one below gives, or ids in the
        middle, or borrows what the bottom one has not.
    """
    if not layers:
        raise ValueError("a model needs at least one layer, got none")
    for layer in layers:
        if not isinstance(layer, Layer):
            raise TypeError(f"layers must be bptt layers, got {layer!r}")
    for i, (below, layer) in enumerate(pairwise(layers), start=1):
        if layer.reads_ids:
            raise ValueError(f"layer {i} is {layer}, which reads ids, so it must be the first")
        if layer.sizes[0] != below.sizes[1]:
            raise ValueError(
                f"layer {i} is {layer}, but takes {layer.sizes[0]} features while layer {i - 1}, "
                f"{below}, gives {below.sizes[1]}"
            )
    for i, layer in enumerate(layers):
        for name, (n_in, n_out) in layer.borrows().items():
            if not layers[0].reads_ids or layers[0].shapes().get(name) != (n_out, n_in):
                raise ValueError(
                    f"layer {i} is {layer}, so layer 0 must be {Embedding(n_out, n_in)}, whose "
                    f"{name} it shares, but that is {layers[0]}"
                )
