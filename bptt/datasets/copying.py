"""Copy memory: ten symbols are shown, and are to be repeated much later."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..checks import check_count, check_seed

__all__ = ["COPY_BLANK", "COPY_DELIMITER", "copy_memory"]

_SYMBOLS = 8
_SHOWN = 10

COPY_BLANK = _SYMBOLS
"""The id of the blank."""
COPY_DELIMITER = _SYMBOLS + 1
"""The id of the delimiter, after which the symbols are due."""


def copy_memory(
    delay: int, count: int, *, seed: int = 0
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The copying memory problem: ten symbols of eight, due again ``delay`` + 10 steps later.

    Arjovsky, Shah & Bengio 2016, "Unitary Evolution Recurrent Neural Networks", after Hochreiter &
    Schmidhuber 1997. Ids 0 to 7 are symbols, drawn evenly; `COPY_BLANK` is 8, `COPY_DELIMITER` 9.
    With ``delay`` = 4::

        steps     10           3        1     10
        x         3 0 7 ... 5  8 8 8    9     8 8 8 ... 8
        targets   8 8 8 ... 8  8 8 8    8     3 0 7 ... 5

    Parameters
    ----------
    delay : T, at least 1: blanks and delimiter between the last symbol shown and the first due.
    count : number of sequences N.
    seed : of the symbols.

    Returns
    -------
    (x, targets) : (T + 20, N) each, ids from 0 to 9. Every step has a target.

    Without a memory the best is to say blank until the delimiter, and then each symbol with 1/8:
    10 log 8 / (T + 20) nats per step, the baseline. A solved task has a loss near 0, and the last
    ten outputs right.

    Raises
    ------
    ValueError : if an argument is not as above.
    """
    check_seed(seed)
    delay, count = check_count("delay", delay), check_count("count", count)
    shown = np.random.default_rng(seed).integers(0, _SYMBOLS, (_SHOWN, count))
    x = np.full((delay + 2 * _SHOWN, count), COPY_BLANK, np.int32)
    targets = x.copy()
    x[:_SHOWN] = targets[-_SHOWN:] = shown
    x[-_SHOWN - 1] = COPY_DELIMITER
    return x, targets
