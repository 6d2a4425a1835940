"""The kernel decorator: said once, cached, and compiled again when any kernel's source changes."""

import shutil
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from helpers import ROOT, python
from numba.core import event
from numba.core.errors import NumbaError

from bptt.kernels import compile as compiling
from bptt.kernels.compile import JIT, allocating_kernel, kernel

ADD = """
import numpy as np
from bptt.kernels.vectors import add, norm
total = np.ones(3)
add(total, total)
assert total.tolist() == [2, 2, 2]
assert norm(total) == 12**0.5
"""
SAID = "bptt: compiling kernels for this machine (once) ...\n"
needs_jit = pytest.mark.skipif(not JIT, reason="needs the JIT")


@needs_jit
def test_compiling_is_said_once_and_not_again_from_the_cache(tmp_path):
    assert python(ADD, NUMBA_CACHE_DIR=str(tmp_path)) == ("", SAID)
    assert python(ADD, NUMBA_CACHE_DIR=str(tmp_path)) == ("", "")


@needs_jit
def test_a_change_in_any_kernel_file_empties_the_cache(tmp_path):
    package = shutil.copytree(
        ROOT / "bptt", tmp_path / "bptt", ignore=shutil.ignore_patterns("__pycache__")
    )
    here = {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert python(ADD, **here)[1] == SAID
    for changed, said in (
        ("kernels/delta.py", SAID),
        ("layers/lstm.py", SAID),
        ("trainer.py", ""),
    ):
        path = Path(package, changed)
        path.write_text(path.read_text() + "\n# changed\n")
        assert python(ADD, **here)[1] == said
        assert python(ADD, **here)[1] == ""


@needs_jit
def test_a_function_of_no_module_may_be_compiled():
    def nameless(x):
        return x + 1

    nameless.__module__ = None
    assert numba.njit(nameless)(1) == 2


@needs_jit
def test_only_our_own_kernels_are_announced(capsys, monkeypatch):
    announcer = compiling._Announcer()
    monkeypatch.setitem(event._registered, "numba:compile", [announcer])

    def theirs(x):
        return x + 1

    numba.njit(theirs)(1)
    assert capsys.readouterr().err == ""
    for name in ("first", "second"):
        theirs.__module__ = f"bptt.{name}"
        numba.njit(theirs)(1.5)
    assert capsys.readouterr().err == SAID


@needs_jit
def test_no_kernel_hides_nan_or_reorders():
    @kernel
    def first_not_larger(a, b):
        return a <= b, a != a, (a + b) - a

    assert first_not_larger.targetoptions["nogil"]
    nan = np.nan
    assert first_not_larger(nan, 1.0)[:2] == (False, True)
    assert first_not_larger(1e20, 1.0)[2] == 0.0


@needs_jit
def test_only_a_kernel_that_says_so_can_make_arrays():
    @allocating_kernel
    def total_of_a_copy(a):
        return a.copy().sum()

    @kernel
    def total_of_a_copy_too(a):
        return a.copy().sum()

    a = np.arange(4.0)
    assert total_of_a_copy(a) == 6.0
    with pytest.raises(NumbaError, match="NRT required"):
        total_of_a_copy_too(a)


@needs_jit
def test_views_inside_a_kernel_leave_the_callers_array_alone():
    @kernel
    def first_of_each_row(a):
        flat, total = a.reshape(a.size), 0.0
        for i in range(len(a)):
            total += a[i][0] + flat[i * a.shape[1]]
        return total

    a = np.arange(6.0).reshape(2, 3)
    before = sys.getrefcount(a)
    assert [first_of_each_row(a) for _ in range(3)] == [6.0] * 3
    assert sys.getrefcount(a) == before


def test_division_by_zero_is_infinite():
    @kernel
    def quotient(a, b):
        return a / b

    with np.errstate(divide="ignore"):
        assert quotient(np.float64(1.0), np.float64(0.0)) == np.inf


def test_a_kernel_is_plain_python_without_the_jit():
    assert hasattr(compiling.kernel(lambda x: x), "py_func") == JIT
