"""One flat contiguous vector with named, shaped views: parameters, gradients, moments, state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .errors import ShapeError

__all__ = ["Block"]


class Block(Mapping[str, NDArray]):
    """Named arrays that share one vector.

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

    __slots__ = ("__weakref__", "_views", "flat")

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        dtype: DTypeLike = np.float32,
        flat: NDArray | None = None,
    ) -> None:
        size = sum(math.prod(shape) for shape in shapes.values())
        if flat is None:
            flat = np.zeros(size, dtype)
        elif flat.shape != (size,) or flat.dtype != dtype or not flat.flags.c_contiguous:
            raise ShapeError(
                f"flat must be a contiguous ({size},) vector of {np.dtype(dtype)}, "
                f"got {flat.shape} of {flat.dtype}"
            )
        self.flat = flat
        self._views: dict[str, NDArray] = {}
        start = 0
        for name, shape in shapes.items():
            stop = start + math.prod(shape)
            self._views[name] = flat[start:stop].reshape(shape)
            start = stop

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: view.shape for name, view in self._views.items()}

    @property
    def dtype(self) -> np.dtype:
        return self.flat.dtype

    def __getitem__(self, name: str) -> NDArray:
        try:
            return self._views[name]
        except KeyError:
            raise KeyError(f"no array named {name!r}; there are {', '.join(self._views)}") from None

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        view = self[name]
        value = np.asarray(value)
        if value.shape != view.shape:
            raise ShapeError(f"{name} has shape {view.shape}, got {value.shape}")
        view[...] = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def copy(self) -> Block:
        """The same names over a vector of their own."""
        return Block(self.shapes, self.dtype, self.flat.copy())

    def like(self, flat: NDArray | None = None) -> Block:
        """The same names and shapes over ``flat``, or over zeros."""
        dtype = self.dtype if flat is None else flat.dtype
        return Block(self.shapes, dtype, flat)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name} {view.shape}" for name, view in self.items())
        return f"Block({inside}; {self.dtype})"
