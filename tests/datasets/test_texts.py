"""Python's documentation and the source of its library, as text."""

import ast
import inspect
import json.decoder
import sys
import sysconfig
import textwrap
from pydoc_data.topics import topics

import pytest

from bptt.datasets import pydoc_text, python_source
from bptt.errors import DataError


def test_the_documentation_is_every_topic_in_order():
    text, start = pydoc_text(), 0
    for name in sorted(topics):
        assert text.startswith(topics[name], start)
        start += len(topics[name]) + len("\n\n")
    assert start == len(text) + len("\n\n")
    assert text == pydoc_text()


def test_without_the_documentation(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match="without its documentation"):
        pydoc_text()


def test_the_source_is_that_of_the_modules_in_order():
    source = python_source()
    places = [source.index(inspect.getsource(module)) for module in (ast, inspect, textwrap)]
    assert places == sorted(places)
    assert inspect.getsource(json.decoder) not in source
    assert len(source) > 1_000_000
    assert source == python_source()


def test_what_is_in_the_source(monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_path", {"stdlib": str(tmp_path)}.get)
    with pytest.raises(DataError, match=f"without its sources: {tmp_path} has none"):
        python_source()
    (tmp_path / "textwrap.py").write_bytes("# coding: latin-1\r\n# ä\r\n".encode("latin-1"))
    (tmp_path / "abc.py").write_bytes(b"a = 1\n")
    (tmp_path / "sitecustomize.py").write_bytes(b"no part of the library\n")
    assert python_source() == "a = 1\n\n\n# coding: latin-1\n# ä\n"
