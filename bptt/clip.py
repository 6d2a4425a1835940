"""Clipping of the gradient before it is used, against explosion (Pascanu et al. 2013)."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .block import Block
from .checks import check_bound
from .kernels.compile import kernel
from .kernels.vectors import root
from .layers import Layer
from .options import Options
from .packed import layer_number

__all__ = [
    "CLIPS",
    "UNCLIPPED",
    "Clip",
    "ClipAdaptive",
    "ClipNorm",
    "ClipValue",
    "Clipping",
    "Units",
]


class Clipping(NamedTuple):
    """What happens to a gradient g: it becomes g·factor, cut off at ±limit."""

    factor: float
    limit: float


UNCLIPPED = Clipping(1.0, math.inf)


class Units(NamedTuple):
    """How parameters fall into units.

    shapes : name -> (S, R, C), in which what lies along the middle axis belongs to one unit.
    sums : scratch, (2, largest C) float64.
    """

    shapes: dict[str, tuple[int, int, int]]
    sums: NDArray

    @classmethod
    def of(cls, layers: Sequence[Layer], params: Block) -> Units:
        """Those of a model."""
        shapes = {}
        for name, shape in params.shapes.items():
            by_id = layers[layer_number(name)].reads_ids
            shapes[name] = _by_unit(shape, by_id)
        widest = max((columns for _, _, columns in shapes.values()), default=0)
        return cls(shapes, np.zeros((2, widest)))


def _by_unit(shape: tuple[int, ...], by_id: bool) -> tuple[int, int, int]:
    """A vector is one unit; of a matrix each column is, or each row where that is an id's."""
    size = math.prod(shape)
    if max(shape) == size:
        return 1, size, 1
    return (*shape, 1) if by_id else (1, *shape)


class Clip(Options):
    """A rule for clipping."""

    @abstractmethod
    def clipping(self, norm: float) -> Clipping | None:
        """What to do with a gradient of this (finite) norm; None if `clip` is to be called."""

    def clip(self, params: Block, grads: Block, units: Units, out: Block) -> None:
        """Where two numbers do not say how: write ``grads``, clipped, to ``out``.

        params, grads : in.
        units : in, of the parameters; its scratch is written.
        out : out, like the others.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it clips")


@dataclass(frozen=True)
class ClipNorm(Clip):
    """Scale the whole gradient so that its norm is at most ``norm``.

    (Pascanu, Mikolov & Bengio 2013, algorithm 1; PyTorch's ``clip_grad_norm_``.)

    Raises
    ------
    ValueError : if ``norm`` is not positive.
    """

    norm: float

    def __post_init__(self) -> None:
        check_bound("norm", self.norm)

    def clipping(self, norm: float) -> Clipping:
        return Clipping(self.norm / norm if norm > self.norm else 1.0, math.inf)


@dataclass(frozen=True)
class ClipValue(Clip):
    """Cut every component off at ±``value`` (PyTorch's ``clip_grad_value_``).

    Raises
    ------
    ValueError : if ``value`` is not positive.
    """

    value: float

    def __post_init__(self) -> None:
        check_bound("value", self.value)

    def clipping(self, norm: float) -> Clipping:
        return Clipping(1.0, self.value)


@dataclass(frozen=True)
class ClipAdaptive(Clip):
    """Scale the gradient G of each unit so that ‖G‖ is at most clipping·max(‖W‖, eps).

    W are the parameters of that unit: a column of a matrix, so one gate of one unit; of an
    `Embedding`, a row, the vector of an id; and a whole vector, such as a bias, or a matrix of one
    row or column. (Adaptive gradient clipping: Brock, De, Smith & Simonyan 2021, equation 3; units
    as in the authors' code, which knows no embeddings. They spare the last layer; this does not.)

    Parameters
    ----------
    ratio : λ, the largest ‖G‖ / ‖W‖; "clipping" in the authors' code.
    eps : in place of ‖W‖ where that is smaller, so that parameters can leave zero.

    Raises
    ------
    ValueError : if either is not positive.
    """

    ratio: float = 0.01
    eps: float = 1e-3

    def __post_init__(self) -> None:
        check_bound("ratio", self.ratio)
        check_bound("eps", self.eps)

    def clipping(self, norm: float) -> None:
        return None

    def clip(self, params: Block, grads: Block, units: Units, out: Block) -> None:
        for name, shape in units.shapes.items():
            values, slopes, to = (block[name].reshape(shape) for block in (params, grads, out))
            _clip_units(values, slopes, float(self.ratio), float(self.eps), units.sums, to)


@kernel
def _clip_units(params, grads, ratio, eps, sums, out):
    """params, grads (S, R, C) in; sums (2, C or more) float64 scratch; out (S, R, C) out. What lies
    along R is one unit."""
    rows, columns = params.shape[1:]
    for s in range(params.shape[0]):
        for c in range(columns):
            sums[0, c] = sums[1, c] = 0.0
        for r in range(rows):
            for c in range(columns):
                value, slope = np.float64(params[s, r, c]), np.float64(grads[s, r, c])
                sums[0, c] += value * value
                sums[1, c] += slope * slope
        for c in range(columns):
            largest = ratio * max(root(sums[0, c], params[s, :, c]), eps)
            norm = root(sums[1, c], grads[s, :, c])
            sums[0, c] = largest / norm if norm > largest else 1.0
        for r in range(rows):
            for c in range(columns):
                out[s, r, c] = grads[s, r, c] * sums[0, c]


CLIPS = {clip.__name__: clip for clip in (ClipNorm, ClipValue, ClipAdaptive)}
"""Name -> class, by which files name them."""
