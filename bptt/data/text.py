"""Text as integers: one id per distinct character."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import array_of
from ..errors import DataError, ShapeError

__all__ = ["Vocabulary"]


def _code_points(text: str) -> NDArray[np.uint32]:
    """The Unicode code points of ``text``, (N,); a lone surrogate counts as a character."""
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}")
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The characters of a text in sorted order; a character's id is its place among them.

    Parameters
    ----------
    characters : distinct and sorted by code point, at least one. `Vocabulary.of` finds them.

    Raises
    ------
    DataError : if ``characters`` is empty, unsorted or has one twice.
    TypeError : if it is not a str.
    """

    characters: str

    def __post_init__(self) -> None:
        points = _code_points(self.characters)
        if not len(points):
            raise DataError("a vocabulary needs at least one character, got none")
        if not (points[1:] > points[:-1]).all():
            raise DataError(
                "characters must be distinct and sorted: Vocabulary.of(text) makes them so"
            )

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """The vocabulary of exactly the characters that occur in ``text``.

        Raises
        ------
        DataError : if ``text`` is empty.
        TypeError : if ``text`` is not a str.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, got {type(text).__name__}")
        if not text:
            raise DataError("text is empty: a vocabulary needs at least one character")
        return cls("".join(sorted(set(text))))

    def encode(self, text: str) -> NDArray[np.int32]:
        """The ids of the characters of ``text``, (N,); none for an empty text.

        Raises
        ------
        DataError : if ``text`` has a character that is not in the vocabulary.
        TypeError : if ``text`` is not a str.
        """
        known, points = _code_points(self.characters), _code_points(text)
        ids = np.searchsorted(known, points).astype(np.int32)
        found = known[np.minimum(ids, len(known) - 1)] == points
        if not found.all():
            position = int(found.argmin())
            raise DataError(
                f"text has {text[position]!r} at position {position}, "
                f"which is not among the {len(self)} characters of the vocabulary"
            )
        return ids

    def decode(self, ids: ArrayLike) -> str:
        """The text whose characters have these ``ids``, (N,) integers.

        Raises
        ------
        DataError : if an id is negative or not below the number of characters.
        ShapeError : if ``ids`` is not a vector of integers.
        """
        ids = array_of("ids", ids)
        if ids.shape == (0,):
            return ""
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise ShapeError(f"ids must be (N,) integers, got {ids.shape} of {ids.dtype}")
        outside = (ids < 0) | (ids >= len(self))
        if outside.any():
            position = int(outside.argmax())
            said = f"is {ids[position]}, but the vocabulary has ids from 0 to {len(self) - 1}"
            raise DataError.at("ids", (position,), said)
        return _code_points(self.characters)[ids].tobytes().decode("utf-32-le", "surrogatepass")

    def __len__(self) -> int:
        return len(self.characters)

    def __contains__(self, character: object) -> bool:
        return isinstance(character, str) and len(character) == 1 and character in self.characters
