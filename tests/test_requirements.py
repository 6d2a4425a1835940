"""Packages that are too old are refused, whoever installed them."""

import importlib
import tomllib

import pytest
from helpers import ROOT, python

from bptt.requirements import OLDEST, check_version


def test_they_are_those_that_pip_is_told():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == [f"{name}>={oldest}" for name, oldest in OLDEST.items()]


@pytest.mark.parametrize("package", OLDEST)
def test_an_older_one_is_refused_by_name(package, monkeypatch):
    module = importlib.import_module(package)
    check_version(package)
    monkeypatch.setattr(module, "__version__", "0.0.9")
    words = f"bptt needs {package} {OLDEST[package]} or newer, but 0.0.9 is installed"
    with pytest.raises(ImportError, match=words):
        check_version(package)


@pytest.mark.parametrize(
    ("found", "fits"),
    [("0.61.0", True), ("0.61.0rc1", True), ("0.100", True), ("1.0", True), ("0.60.9", False)],
)
def test_versions_are_compared_number_by_number(found, fits, monkeypatch):
    monkeypatch.setattr(importlib.import_module("numba"), "__version__", found)
    if fits:
        check_version("numba")
    else:
        with pytest.raises(ImportError):
            check_version("numba")


def test_they_are_looked_at_on_import():
    code = """
import numba
numba.__version__ = "0.60.0"
try:
    import bptt
except ImportError as error:
    print(error)
"""
    out, _ = python(code)
    assert out == "bptt needs numba 0.61 or newer, but 0.60.0 is installed\n"
