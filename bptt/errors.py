"""The errors this library raises on purpose, each naming what was expected and what came."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["DataError", "FileFormatError", "NonFiniteError", "ShapeError"]


class ShapeError(ValueError):
    """An array has the wrong shape or dtype for the argument it was given as."""


class DataError(ValueError):
    """Data that cannot be used: ids outside the vocabulary, NaN, an empty stream.

    Attributes
    ----------
    name, place, said : of an error about one entry of an array, its name, the index, and what is
        wrong there; ``place`` is None for any other.
    """

    name: str = ""
    place: tuple[int, ...] | None = None
    said: str = ""

    @classmethod
    def at(cls, name: str, place: Iterable[int], said: str) -> DataError:
        """``name[place] said``, such as ``data[7, 0] is nan, not a finite number``."""
        place = tuple(map(int, place))
        index = f"[{', '.join(map(str, place))}]" if place else ""
        error = cls(f"{name}{index} {said}")
        error.name, error.place, error.said = name, place, said
        return error


class FileFormatError(ValueError):
    """A file that is damaged, foreign, or written by a newer version."""


class NonFiniteError(ArithmeticError):
    """A loss or a gradient became NaN or infinite; training stopped before using it.

    Attributes
    ----------
    update : the number of the update that was refused (the first is 1).
    where : the name of the first layer or parameter that was not finite, such as ``"1 (LSTM)"``.
    """

    def __init__(self, message: str, update: int, where: str) -> None:
        super().__init__(message)
        self.update = update
        self.where = where
