"""The errors this library raises on purpose, each naming what was expected and what came."""

from __future__ import annotations

__all__ = ["DataError", "FileFormatError", "NonFiniteError", "ShapeError"]


class ShapeError(ValueError):
    """An array has the wrong shape or dtype for the argument it was given as."""


class DataError(ValueError):
    """Data that cannot be used: ids outside the vocabulary, NaN, an empty stream."""


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
