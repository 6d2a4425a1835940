"""The callbacks of a trainer as plain words and arrays, for its file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import build, describe
from .attached import Callbacks
from .base import Callback, Memo
from .checkpoint import Checkpoint
from .early_stopping import EarlyStopping
from .log import CSVLog, JSONLog

__all__ = ["CALLBACKS", "foreign", "from_words", "to_words"]

CALLBACKS = {kind.__name__: kind for kind in (EarlyStopping, Checkpoint, CSVLog, JSONLog)}
"""Name -> class, by which files name them."""

_PLAIN = bool | int | float | str | None


def to_words(callbacks: Callbacks) -> tuple[list[dict[str, Any]], dict[str, NDArray]]:
    """Name, options and memo of each, and the arrays in their memos as ``"<place>.<name>"``.

    The options of a callback that is not of this library are None.

    Raises
    ------
    TypeError : if one remembers something that no file can hold.
    """
    words, arrays = [], {}
    for i, (callback, memo) in enumerate(zip(callbacks, callbacks.memos, strict=True)):
        name = type(callback).__name__
        known = CALLBACKS.get(name) is type(callback)
        options = describe(callback, CALLBACKS) if known else None
        plain = {key: v for key, v in memo.items() if not isinstance(v, np.ndarray)}
        words.append({"name": name, "options": options, "memo": _checked(name, plain)})
        arrays |= {f"{i}.{key}": v for key, v in memo.items() if key not in plain}
    return words, arrays


def _checked(name: str, memo: Memo) -> dict[str, Any]:
    plain = {key: v.item() if isinstance(v, np.generic) else v for key, v in memo.items()}
    for key, value in plain.items():
        if not isinstance(key, str) or not isinstance(value, _PLAIN):
            raise TypeError(
                f"{name} cannot be saved: it remembers {key!r}: {value!r}, but a memo has numbers, "
                "strings, bools, None and arrays under names"
            )
    return plain


def foreign(words: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of those that are not of this library."""
    return [one["name"] for one in words if one["options"] is None]


def from_words(
    words: Sequence[Mapping[str, Any]],
    arrays: Mapping[str, NDArray],
    given: Iterable[Callback] | None,
) -> Callbacks:
    """Those that `to_words` put into words, none of them `foreign`; or ``given`` in their place.

    Each of the given takes up the memo of one of its class, rather of one with the same options,
    as long as there is one left; and begins anew if there is none.
    """
    if given is None:
        given = [build(one["options"], CALLBACKS) for one in words]
    callbacks = Callbacks(given)
    left, waiting = dict(enumerate(words)), dict(enumerate(callbacks))
    for same in (_same_options, _same_class):
        for place, callback in list(waiting.items()):
            i = next((i for i, one in left.items() if same(callback, one)), None)
            if i is not None:
                callbacks.memos[place] = _memo(left.pop(i)["memo"], f"{i}.", arrays)
                del waiting[place]
    return callbacks


def _same_class(callback: Callback, words: Mapping[str, Any]) -> bool:
    return type(callback).__name__ == words["name"]


def _same_options(callback: Callback, words: Mapping[str, Any]) -> bool:
    known = CALLBACKS.get(words["name"]) is type(callback)
    return known and describe(callback, CALLBACKS) == words["options"]


def _memo(plain: Memo, prefix: str, arrays: Mapping[str, NDArray]) -> Memo:
    own = {n.removeprefix(prefix): array for n, array in arrays.items() if n.startswith(prefix)}
    return {**plain, **own}
