"""Vocabulary: ids are places in the sorted characters, and text comes back unchanged."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptt.data.text import Vocabulary
from bptt.errors import DataError, ShapeError

ANY_TEXT = st.text(st.characters(codec=None), min_size=1)


def test_characters_are_sorted_and_distinct():
    vocabulary = Vocabulary.of("banana split")
    assert vocabulary.characters == " abilnpst"
    assert len(vocabulary) == 9
    assert vocabulary == Vocabulary(" abilnpst")


def test_ids_are_places_in_the_characters():
    ids = Vocabulary("abc").encode("cabbac")
    assert ids.tolist() == [2, 0, 1, 1, 0, 2]
    assert ids.dtype == np.int32


@settings(max_examples=60, deadline=None)
@given(ANY_TEXT)
def test_any_text_comes_back(text):
    vocabulary = Vocabulary.of(text)
    ids = vocabulary.encode(text)
    assert [vocabulary.characters[i] for i in ids] == list(text)
    assert vocabulary.decode(ids) == text


def test_lone_surrogates_and_the_last_code_point():
    text = "\ud800x\udfff\U0010ffff\x00\U0001f642"
    vocabulary = Vocabulary.of(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert "\ud800" in vocabulary


def test_a_million_characters_come_back():
    text = "To be, or not to be: that is the question.\n" * 25_000
    vocabulary = Vocabulary.of(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_decode_takes_any_integers():
    vocabulary = Vocabulary("abc")
    for ids in ([2, 0], np.array([2, 0], np.uint8), np.array([2, 9, 0], ">i8")[::2]):
        assert vocabulary.decode(ids) == "ca"


def test_nothing_encodes_to_nothing():
    vocabulary = Vocabulary("abc")
    assert vocabulary.encode("").shape == (0,)
    assert vocabulary.decode([]) == ""


def test_contains_single_known_characters_only():
    vocabulary = Vocabulary("abc")
    assert "b" in vocabulary
    for other in ("d", "ab", "", 1, None):
        assert other not in vocabulary


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Vocabulary("abc").characters = "xyz"


@pytest.mark.parametrize(("text", "place"), [("abxb", 2), ("~abc", 0), ("abc!", 3), ("a\ud800", 1)])
def test_unknown_character_is_named_with_its_position(text, place):
    with pytest.raises(DataError) as caught:
        Vocabulary("abc").encode(text)
    message = str(caught.value)
    assert repr(text[place]) in message
    assert f"position {place}," in message
    assert "3 characters" in message


@pytest.mark.parametrize(("ids", "said"), [([0, -1], r"ids\[1\] is -1"), ([3], r"ids\[0\] is 3")])
def test_ids_outside_are_named(ids, said):
    with pytest.raises(DataError, match=said + ".*from 0 to 2"):
        Vocabulary("abc").decode(ids)


@pytest.mark.parametrize("ids", [1, [[0, 1]], [0.0, 1.0], [True], ["a"]])
def test_ids_that_are_no_vector_of_integers(ids):
    with pytest.raises(ShapeError, match=r"\(N,\) integers"):
        Vocabulary("abc").decode(ids)


@pytest.mark.parametrize("make", [Vocabulary.of, Vocabulary])
def test_no_characters_at_all(make):
    with pytest.raises(DataError, match="at least one character"):
        make("")


@pytest.mark.parametrize("characters", ["ba", "aab"])
def test_unsorted_or_repeated_characters(characters):
    with pytest.raises(DataError, match="distinct and sorted"):
        Vocabulary(characters)


@pytest.mark.parametrize("call", [Vocabulary.of, Vocabulary, Vocabulary("abc").encode])
@pytest.mark.parametrize("value", [b"abc", None, ["a"]])
def test_what_is_no_text_is_refused(call, value):
    with pytest.raises(TypeError, match=f"must be a str, got {type(value).__name__}"):
        call(value)
