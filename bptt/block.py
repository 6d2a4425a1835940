"""One flat contiguous vector with named, shaped views: parameters, gradients, moments, state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .checks import check_kind
from .errors import ShapeError
from .kernels.target import zeros

__all__ = ["Block"]


class Block(Mapping[str, NDArray]):
    """Named arrays that share one vector, which starts on a cache line unless it is given.

    ``block["1.Wh"]`` is a view of ``block.flat``, so norms, updates, averages, saving and loading
    are one line each on ``.flat``, and writing through either is seen in both.

    Parameters
    ----------
    shapes : name -> shape, in the order in which the arrays lie in the vector.
    dtype : of the vector.
    flat : (size,) C-contiguous vector of that dtype to use as it is; a new one of zeros if None.

    Raises
    ------
    ShapeError : if ``flat`` does not fit the shapes.
    """

    __slots__ = ("__weakref__", "_places", "_views", "flat")

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        dtype: DTypeLike = np.float32,
        flat: NDArray | None = None,
    ) -> None:
        check_kind("shapes", shapes, Mapping)
        places, size = {}, 0
        for name, shape in shapes.items():
            start, size = size, size + math.prod(shape)
            places[name] = (start, size, shape)
        if flat is None:
            flat = zeros((size,), dtype)
        check_kind("flat", flat, np.ndarray)
        if flat.shape != (size,) or flat.dtype != dtype or not flat.flags.c_contiguous:
            raise ShapeError(
                f"flat must be a contiguous ({size},) vector of {np.dtype(dtype)}, "
                f"got {flat.shape} of {flat.dtype}"
            )
        self._places: dict[str, tuple[int, int, tuple[int, ...]]] = places
        self._views: dict[str, NDArray] = {}
        self.flat = flat

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: shape for name, (_, _, shape) in self._places.items()}

    @property
    def dtype(self) -> np.dtype:
        return self.flat.dtype

    def __getitem__(self, name: str) -> NDArray:
        view = self._views.get(name)
        if view is None:
            if name not in self._places:
                raise KeyError(f"no array named {name!r}; there are {', '.join(self)}")
            start, stop, shape = self._places[name]
            view = self._views[name] = self.flat[start:stop].reshape(shape)
        return view

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        view = self[name]
        value = np.asarray(value)
        if value.shape != view.shape:
            raise ShapeError(f"{name} has shape {view.shape}, got {value.shape}")
        view[...] = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def copy(self) -> Block:
        """The same names over a vector of their own."""
        block = self.like()
        block.flat[:] = self.flat
        return block

    def __reduce__(self) -> tuple[Any, ...]:
        """For ``copy``, which would else copy the vector and its views apart."""
        return Block, (self.shapes, self.dtype, self.flat)

    def like(self, flat: NDArray | None = None) -> Block:
        """The same names and shapes over ``flat``, or over zeros.

        Raises
        ------
        ShapeError : if ``flat`` is not a contiguous vector of the same length.
        """
        if flat is None:
            flat = zeros(self.flat.shape, self.flat.dtype)
        elif flat.shape != self.flat.shape or not flat.flags.c_contiguous:
            raise ShapeError(f"flat must be a contiguous {self.flat.shape}, got {flat.shape}")
        block = Block.__new__(Block)
        block._places, block._views, block.flat = self._places, {}, flat
        return block

    def fits(self, other: Mapping[str, NDArray]) -> bool:
        """Whether ``other`` is a Block made by `like` or `copy` from the same one as this."""
        return isinstance(other, Block) and other._places is self._places

    def __repr__(self) -> str:
        inside = ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())
        return f"Block({inside}; {self.dtype})"
