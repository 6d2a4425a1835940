"""What ``import bptt`` brings with it, and what it does not."""

from helpers import python

import bptt

NEW = """
import sys
import numba, numba.core.caching, numba.extending, numpy
before = set(sys.modules)
import bptt
tops, known = ({name.split(".")[0] for name in names} for names in (sys.modules, before))
print(*sorted(tops - known - sys.stdlib_module_names))
"""


def test_import_brings_little_more_than_numba():
    out, err = python(NEW)
    assert set(out.split()) == {"bptt", "tqdm", "safetensors"}
    assert err == ""


def test_import_draws_and_compiles_nothing():
    code = """
import sys, bptt
assert "matplotlib" not in sys.modules
assert "torch" not in sys.modules
from numba.core.dispatcher import Dispatcher
for name, module in list(sys.modules.items()):
    if name.startswith("bptt"):
        for thing in vars(module).values():
            assert not isinstance(thing, Dispatcher) or not thing.signatures
"""
    assert python(code) == ("", "")


def test_pictures_are_one_name_away():
    python("import sys, bptt; bptt.plot.gradient_flow; assert 'matplotlib' not in sys.modules")


def test_every_public_name_is_there():
    assert sorted(bptt.__all__) == sorted(set(bptt.__all__))
    for name in bptt.__all__:
        assert getattr(bptt, name).__doc__
    assert bptt.__version__
