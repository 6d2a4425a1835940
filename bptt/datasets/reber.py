"""The embedded Reber grammar: predict the next symbol, one of them from the far start."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import array_of
from ..checks import check_count, check_seed
from ..errors import DataError, ShapeError

__all__ = ["REBER_SYMBOLS", "embedded_reber", "reber_legal"]

REBER_SYMBOLS = "BTSXPVE"
"""The symbols of the grammar; an id is a place in this string."""

_REBER = {
    "begin": {"B": "0"},
    "0": {"T": "1", "P": "2"},
    "1": {"S": "1", "X": "3"},
    "2": {"T": "2", "V": "4"},
    "3": {"X": "2", "S": "5"},
    "4": {"P": "3", "V": "5"},
    "5": {"E": "end"},
}
"""Node -> symbol -> next node of the plain grammar."""


def _embed() -> dict[str, dict[str, str]]:
    """The plain grammar twice, behind a T and behind a P; "end" is where a string is over."""
    graph = {"begin": {"B": "fork"}, "fork": {"T": "T begin", "P": "P begin"}, "join": {"E": "end"}}
    for arm in "TP":
        for node, edges in _REBER.items():
            graph[f"{arm} {node}"] = {symbol: f"{arm} {to}" for symbol, to in edges.items()}
        graph[f"{arm} end"] = {arm: "join"}
    return graph


_GRAPH = _embed()


def embedded_reber(
    count: int, *, seed: int = 0
) -> tuple[list[NDArray[np.int32]], list[NDArray[np.int32]]]:
    """Strings of the embedded Reber grammar, and the next symbol at every step.

    Hochreiter & Schmidhuber 1997, "Long Short-Term Memory", experiment 1. A string is B, then T or
    P, a string of the plain grammar, the same T or P again, and E. The plain grammar, where two
    edges leave a node each is taken with probability 1/2::

        B  0 -T-> 1    1 -S-> 1    2 -T-> 2    3 -X-> 2    4 -P-> 3    5 E
           0 -P-> 2    1 -X-> 3    2 -V-> 4    3 -S-> 5    4 -V-> 5

    Strings have 9 symbols or more, 12 in the mean. The paper has 256 for training and as many for
    the test.

    Parameters
    ----------
    count : number of strings N; the same one may come twice.
    seed : of everything drawn.

    Returns
    -------
    (sequences, targets) : N arrays (T_i,) of ids each, places in `REBER_SYMBOLS`: every symbol but
        the last, and every symbol but the first. `reber_legal` says what else could have come.

    The paper's task is solved when the outputs of all legal next symbols are the highest, at every
    step of every string. Of the mean 11 steps 7 are even choices of two, so the best cross-entropy
    is 7/11 log 2 = 0.441 nats per step; a network that has forgotten the second symbol pays for
    one choice more, 8/11 log 2 = 0.504.

    Raises
    ------
    ValueError : if an argument is not as above.
    """
    check_seed(seed)
    check_count("count", count)
    rng = np.random.default_rng(seed)
    strings = [_string(rng) for _ in range(count)]
    return [ids[:-1] for ids in strings], [ids[1:] for ids in strings]


def reber_legal(sequence: ArrayLike) -> NDArray[np.float32]:
    """The symbols that the embedded Reber grammar allows next, at every step.

    Parameters
    ----------
    sequence : (T,) ids, a string of the grammar or the beginning of one.

    Returns
    -------
    (T, 7) floats: row t is 1 for each symbol that may follow the first t + 1, else 0. It has one 1
    or two; none after the E at the end.

    Raises
    ------
    DataError : if the sequence leaves the grammar.
    ShapeError : if it is not (T,) integers.
    """
    ids = array_of("sequence", sequence)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise ShapeError(f"sequence must be (T,) integers, got {ids.shape} of {ids.dtype}")
    legal = np.zeros((len(ids), len(REBER_SYMBOLS)), np.float32)
    node = "begin"
    for t, symbol in enumerate(ids):
        edges = {REBER_SYMBOLS.index(name): to for name, to in _GRAPH.get(node, {}).items()}
        if symbol not in edges:
            expected = " or ".join(map(str, sorted(edges))) or "nothing, for the string is over"
            said = f"is {symbol}, but the grammar allows {expected}"
            raise DataError.at("sequence", (t,), said)
        node = edges[symbol]
        legal[t, [REBER_SYMBOLS.index(name) for name in _GRAPH.get(node, {})]] = 1
    return legal


def _string(rng: np.random.Generator) -> NDArray[np.int32]:
    """The ids of one whole string."""
    symbols, node = [], "begin"
    while node in _GRAPH:
        edges = list(_GRAPH[node].items())
        symbol, node = edges[rng.integers(len(edges))]
        symbols.append(REBER_SYMBOLS.index(symbol))
    return np.array(symbols, np.int32)
