"""Temporal order: which symbols came at two or three places far apart, and in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..checks import check_count, check_seed

__all__ = ["ORDER_SYMBOLS", "temporal_order"]

ORDER_SYMBOLS = "EBabcdXY"
"""The symbols of `temporal_order`; an id is a place in this string."""

_SHORTEST, _LONGEST = 100, 110
_PLACES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
"""First and last step at which each relevant symbol may come."""


def temporal_order(
    count: int, relevant: int = 2, *, seed: int = 0
) -> tuple[list[NDArray[np.int32]], NDArray[np.int32]]:
    """Sequences whose class is the order of the few symbols in them that matter.

    Hochreiter & Schmidhuber 1997, "Long Short-Term Memory", experiments 6a (two relevant symbols)
    and 6b (three). A sequence starts with E, ends with B, and is drawn evenly from a, b, c, d
    between, but for the relevant symbols, each X or Y. Its length is from 100 to 110. The
    relevant symbols stand at steps 10–20 and 50–60, or at 10–20, 33–43 and 66–76, counted from 0.
    All draws are even and include both ends.

    Parameters
    ----------
    count : number of sequences N.
    relevant : symbols that matter, 2 or 3.
    seed : of everything drawn.

    Returns
    -------
    (sequences, classes) : N arrays (T_i,) of ids, places in `ORDER_SYMBOLS`; and (N,) classes,
        due after the last step: the relevant symbols as a binary number with X = 0 and Y = 1, the
        first the highest. So 0, 1, 2, 3 are XX, XY, YX, YY: the paper's Q, R, S, U.

    Chance is 1 right in 4 (6a) or in 8 (6b), log 4 or log 8 nats. In the paper a sequence counts
    as right if no output is 0.3 or more off its one-hot target, and the task is solved when the
    last 2000 sequences were right, and the mean error is below 0.1.

    Raises
    ------
    ValueError : if an argument is not as above.
    """
    check_seed(seed)
    check_count("count", count)
    if check_count("relevant", relevant) not in _PLACES:
        raise ValueError(f"relevant must be 2 or 3, got {relevant!r}")
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (count, relevant))
    classes = bits @ (1 << np.arange(relevant)[::-1])
    return [_sequence(row, rng) for row in bits], classes.astype(np.int32)


def _sequence(bits: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int32]:
    """One sequence, (T_i,), with Y where a bit is 1 and X where it is 0."""
    length = rng.integers(_SHORTEST, _LONGEST, endpoint=True)
    low, high = ORDER_SYMBOLS.index("a"), ORDER_SYMBOLS.index("d")
    ids = rng.integers(low, high, length, np.int32, endpoint=True)
    ids[0], ids[-1] = ORDER_SYMBOLS.index("E"), ORDER_SYMBOLS.index("B")
    for bit, (first, last) in zip(bits, _PLACES[len(bits)], strict=True):
        ids[rng.integers(first, last, endpoint=True)] = ORDER_SYMBOLS.index("X") + bit
    return ids
