"""The embedded Reber grammar, against regular expressions for the same language."""

import math
import re

import numpy as np
import pytest

from bptt.datasets import REBER_SYMBOLS, embedded_reber, reber_legal
from bptt.errors import DataError, ShapeError

PLAIN = "B(?:TS*X(?:XT*VP)*(?:S|XT*VV)|PT*V(?:PXT*V)*(?:V|PS))E"
GRAMMAR = re.compile(f"B(?:T{PLAIN}T|P{PLAIN}P)E")
KNOWN = ["BTSSXXTVVE", "BPVVE", "BTXXVPSE", "BPVPXVPXVPXVVE", "BTSXXVPSE", "BTXSE", "BPTTVPSE"]
FOREIGN = ["BTSSPXSE", "BPTVVB", "BTXXVVSE", "BTE", "BPVVVE"]


def text_of(ids):
    return "".join(REBER_SYMBOLS[i] for i in ids)


def ids_of(text):
    return [REBER_SYMBOLS.index(symbol) for symbol in text]


def whole(sequence, targets):
    """The string that was cut into a sequence and its targets."""
    assert np.array_equal(sequence[1:], targets[:-1])
    return text_of([*sequence, targets[-1]])


def strings(count, seed=0):
    return [whole(*pair) for pair in zip(*embedded_reber(count, seed=seed), strict=True)]


def test_the_oracle_knows_the_grammar():
    for text in KNOWN:
        assert re.fullmatch(PLAIN, text), text
    for text in FOREIGN:
        assert not re.fullmatch(PLAIN, text), text


def test_every_string_is_in_the_grammar():
    made = strings(3000)
    assert all(GRAMMAR.fullmatch(text) for text in made)
    assert min(map(len, made)) == 9
    assert np.mean([len(text) for text in made]) == pytest.approx(12, rel=0.02)
    assert {text[1] for text in made} == {text[-2] for text in made} == {"T", "P"}


def test_edges_are_taken_with_probability_one_half():
    """A string's probability is one half to the number of its choices."""
    made = strings(20_000, seed=3)
    for text, choices in [("BTBPVVETE", 4), ("BPBTXSEPE", 4), ("BTBTSXSETE", 5)]:
        assert made.count(text) / 20_000 == pytest.approx(0.5**choices, rel=0.15)


def test_a_symbol_is_legal_if_some_ending_makes_a_string_of_the_grammar():
    endings = {text[t:] for text in strings(300, seed=9) for t in range(len(text) + 1)}
    short = sorted((ending for ending in endings if len(ending) <= 8), key=len)
    for text in set(strings(20, seed=8)):
        legal = reber_legal(ids_of(text))
        for t, row in enumerate(legal):
            for symbol, allowed in zip(REBER_SYMBOLS, row, strict=True):
                begun = text[: t + 1] + symbol
                assert any(GRAMMAR.fullmatch(begun + ending) for ending in short) == allowed


def test_rows_of_one_string_by_hand():
    legal = reber_legal(ids_of("BPBTSXXTVPSEPE"))
    assert [text_of(np.flatnonzero(row)) for row in legal] == (
        ["TP", "B", "TP", "SX", "SX", "SX", "TV", "TV", "PV", "SX", "E", "P", "E", ""]
    )
    assert legal.dtype == np.float32
    assert set(legal.ravel()) == {0, 1}


def test_targets_are_legal_and_choices_are_seven_of_eleven():
    sequences, targets = embedded_reber(4000, seed=2)
    choices = steps = 0
    for sequence, following in zip(sequences, targets, strict=True):
        legal = reber_legal(sequence)
        assert (legal[np.arange(len(following)), following] == 1).all()
        choices += (legal.sum(axis=1) == 2).sum()
        steps += len(following)
    assert choices / steps == pytest.approx(7 / 11, rel=0.01)
    assert 7 / 11 * math.log(2) == pytest.approx(0.441, abs=5e-4)
    assert 8 / 11 * math.log(2) == pytest.approx(0.504, abs=5e-4)


def test_the_seed_decides():
    assert strings(50, seed=4) == strings(50, seed=4)
    assert strings(50, seed=4) != strings(50, seed=5)


def test_ids_are_those_of_the_library():
    sequences, targets = embedded_reber(3)
    assert {array.dtype for array in [*sequences, *targets]} == {np.dtype(np.int32)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T", r"sequence\[0\] is 1, but the grammar allows 0"),
        ("BTBX", r"sequence\[3\] is 3, but the grammar allows 1 or 4"),
        ("BTBPVVEPE", r"sequence\[7\] is 4, but the grammar allows 1"),
        ("BTBPVVETEB", r"sequence\[9\] is 0, but the grammar allows nothing, for the string is ov"),
    ],
)
def test_a_foreign_string_has_no_legal_symbols(text, expected):
    with pytest.raises(DataError, match=expected):
        reber_legal(ids_of(text))


@pytest.mark.parametrize("sequence", [[0.0, 1.0], [[0], [1]], "BT"])
def test_what_is_no_string_of_ids(sequence):
    with pytest.raises(ShapeError, match=r"sequence must be \(T,\) integers"):
        reber_legal(sequence)


def test_what_cannot_be_made():
    with pytest.raises(ValueError, match="count must be a positive integer, got -1"):
        embedded_reber(-1)
    with pytest.raises(
        ValueError, match=r"seed must be a non-negative integer of at most 64 bits, got 0\.5"
    ):
        embedded_reber(3, seed=0.5)
