"""Named arrays, most often views of one flat vector: parameters, gradients, moments, state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .arrays import numbers_of
from .checks import check_kind
from .errors import ShapeError
from .kernels.target import zeros

__all__ = ["Arrays", "Block"]


class Arrays(Mapping[str, NDArray]):
    """Named arrays that others know too, so none is ever replaced: what is assigned is copied."""

    __slots__ = ("__weakref__", "_views")

    def __init__(self, views: Mapping[str, NDArray]) -> None:
        self._views: dict[str, NDArray] = dict(views)

    def __getitem__(self, name: str) -> NDArray:
        return self._views[name]

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        _write(name, self[name], value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)


class Block(Arrays):
    """Named arrays that share one vector, which starts on a cache line unless it is given.

    ``block["1.Wh"]`` is a view of ``block.flat``, so norms, updates, averages, saving and loading
    are one line each on ``.flat``, and writing through either is seen in both. What is assigned to
    either is copied into the vector. Copies, shallow ones too, have a vector of their own.

    Parameters
    ----------
    shapes : name -> shape, in the order in which the arrays lie in the vector.
    dtype : of the vector.
    flat : (size,) C-contiguous vector of that dtype to use as it is; a new one of zeros if None.

    Raises
    ------
    DataError : if what is assigned has a masked number.
    ShapeError : if ``flat`` does not fit the shapes; or if what is assigned has another shape, or
        holds no real numbers.
    """

    __slots__ = ("_flat", "_places")

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
        self._flat = flat

    def _write_all(self, value: ArrayLike) -> None:
        _write("flat", self._flat, value)

    # A function would take four times as long to read it, some ten times in an update.
    flat: NDArray = property(attrgetter("_flat"), _write_all, doc="The vector, (size,).")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: shape for name, (_, _, shape) in self._places.items()}

    @property
    def dtype(self) -> np.dtype:
        return self._flat.dtype

    def __getitem__(self, name: str) -> NDArray:
        view = self._views.get(name)
        if view is None:
            if name not in self._places:
                raise KeyError(f"no array named {name!r}; there are {', '.join(self)}")
            start, stop, shape = self._places[name]
            view = self._views[name] = self._flat[start:stop].reshape(shape)
        return view

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def copy(self) -> Block:
        """The same names over a vector of their own."""
        block = self.like()
        block.flat[:] = self._flat
        return block

    def __reduce__(self) -> tuple[Any, ...]:
        """For ``copy`` and ``pickle``, which would else take the vector and its views apart."""
        return _remade, (self.shapes, self.dtype, self._flat)

    def like(self, flat: NDArray | None = None) -> Block:
        """The same names and shapes over ``flat``, or over zeros.

        Raises
        ------
        ShapeError : if ``flat`` is not a contiguous vector of the same length.
        """
        if flat is None:
            return self.over(zeros(self._flat.shape, self._flat.dtype))
        if flat.shape != self._flat.shape or not flat.flags.c_contiguous:
            raise ShapeError(f"flat must be a contiguous {self._flat.shape}, got {flat.shape}")
        return self.over(flat) if flat.dtype == self.dtype else Block(self.shapes, flat.dtype, flat)

    def over(self, flat: NDArray) -> Block:
        """`like`, for a vector that is known to fit, in its dtype too."""
        block = Block.__new__(Block)
        block._places, block._views, block._flat = self._places, {}, flat
        return block

    def fits(self, other: Mapping[str, NDArray]) -> bool:
        """Whether ``other`` is a Block of this dtype, by `like` or `copy` from the same one."""
        return isinstance(other, Block) and other._places is self._places

    def __repr__(self) -> str:
        inside = ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())
        return f"Block({inside}; {self.dtype})"


def _write(name: str, to: NDArray, value: ArrayLike) -> None:
    """Copy ``value`` into ``to``.

    Raises
    ------
    DataError : if a number is masked.
    ShapeError : if it has another shape, or holds no real numbers.
    """
    value = numbers_of(name, value)
    if value.shape != to.shape:
        raise ShapeError(f"{name} has shape {to.shape}, got {value.shape}")
    to[...] = value


def _remade(shapes: Mapping[str, tuple[int, ...]], dtype: DTypeLike, values: NDArray) -> Block:
    """A Block with these values; what carried them here may be read-only, and begin anywhere."""
    block = Block(shapes, dtype)
    block.flat[:] = values
    return block
