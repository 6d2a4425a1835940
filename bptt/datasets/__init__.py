"""Sequences to learn from: the classic tasks, series, text, and files from the net.

Generated data depends on nothing but its arguments and NumPy's random generator: the same seed
gives the same arrays, another seed a fresh set for validation or test. Sequences of equal length
are time-major arrays, (T, N) ids or (T, N, F) floats; those of unequal lengths are lists of (T_i,)
ids or (T_i, F) floats. Ids are int32 and floats float32. Only `from_url` reaches for the net.
"""

from .adding import adding, adding_sum
from .chaos import mackey_glass
from .copying import COPY_BLANK, COPY_DELIMITER, copy_memory
from .download import from_url
from .order import ORDER_SYMBOLS, temporal_order
from .reber import REBER_SYMBOLS, embedded_reber, reber_legal
from .text import pydoc_text, python_source
from .waves import sine_mixture

__all__ = [
    "COPY_BLANK",
    "COPY_DELIMITER",
    "ORDER_SYMBOLS",
    "REBER_SYMBOLS",
    "adding",
    "adding_sum",
    "copy_memory",
    "embedded_reber",
    "from_url",
    "mackey_glass",
    "pydoc_text",
    "python_source",
    "reber_legal",
    "sine_mixture",
    "temporal_order",
]
