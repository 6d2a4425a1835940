"""Imports go one way, only pictures need matplotlib, and nothing is pickled."""

import ast
import re
from pathlib import Path

import pytest

import bptt

PACKAGE = Path(bptt.__file__).parent
ROOMS = [
    "errors",
    "requirements",
    "checks",
    "options",
    "config",
    "files",
    "kernels",
    "arrays",
    "block",
    "initializers",
    "layers",
    "inputs",
    "losses",
    "task",
    "packed",
    "notes",
    "stack",
    "window",
    "recompute",
    "memory",
    "pool",
    "stepping",
    "forward",
    "generate",
    "model",
    "tapes",
    "turn",
    "division",
    "workers",
    "not_finite",
    "clip",
    "regularizers",
    "regularize",
    "watch",
    "gradient",
    "probe",
    "decay",
    "flow",
    "spectrum",
    "rtrl",
    "histories",
    "schedules",
    "optimizers",
    "descent",
    "outcome",
    "truncation",
    "data",
    "datasets",
    "history",
    "predict",
    "passes",
    "evaluation",
    "report",
    "callbacks",
    "settings",
    "copies",
    "checkpoint",
    "fitting",
    "trainer",
    "plot",
    "__init__",
]
"""A module imports only from rooms above its own, and inside a folder without a circle."""

FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path):
    """The path below the package as names: ("layers", "rnn")."""
    return path.relative_to(PACKAGE).with_suffix("").parts


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    )


def imports(path, typing_too=False):
    """Every import anywhere in the file, as dotted names; relative ones begin with "bptt"."""
    skipped = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if is_type_checking(node) and not typing_too:
            skipped.update(id(inner) for part in node.body for inner in ast.walk(part))
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ("bptt", *module_of(path))[: -node.level] if node.level else ()
            base = ".".join([*package, *([node.module] if node.module else [])])
            yield from (f"{base}.{name.name}" for name in node.names)


def own_imports(path):
    """Modules of this package that the file imports, as `module_of` names them."""
    for name in imports(path):
        package, *parts = name.split(".")
        if package != "bptt":
            continue
        while parts and not (
            (PACKAGE.joinpath(*parts).with_suffix(".py")).exists()
            or (PACKAGE.joinpath(*parts, "__init__.py")).exists()
        ):
            parts.pop()
        if parts and PACKAGE.joinpath(*parts).is_dir():
            parts.append("__init__")
        yield tuple(parts or ["__init__"])


def test_every_module_has_a_room():
    assert {module_of(path)[0] for path in FILES} == set(ROOMS)
    assert len(ROOMS) == len(set(ROOMS))


def test_the_rooms_are_those_of_the_imports():
    """That the test sees imports at all: some that are known."""
    found = {module_of(path): set(own_imports(path)) for path in FILES}
    assert ("layers", "tape") in found["layers", "rnn"]
    assert ("kernels", "compile") in found["layers", "rnn"]
    assert ("files",) in found["model",]
    assert ("layers", "__init__") in found["model",]
    assert ("trainer",) not in found["checkpoint",]


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(module_of(path)))
def test_imports_only_from_rooms_above(path):
    here = module_of(path)
    for there in own_imports(path):
        below = ROOMS.index(there[0]) >= ROOMS.index(here[0])
        inside = there[0] == here[0] and len(here) > 1
        assert inside or not below, f"{here} imports {there}, from a room below"


def test_no_circles_inside_a_folder():
    found = {module_of(path): set(own_imports(path)) for path in FILES}
    left = dict(found)
    while left:
        ready = [here for here, there in left.items() if not there & left.keys()]
        assert ready, f"these import each other in a circle: {sorted(left)}"
        for here in ready:
            del left[here]


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(module_of(path)))
def test_matplotlib_is_for_pictures_and_nothing_is_pickled(path):
    tops = {name.split(".")[0] for name in imports(path, typing_too=True)}
    assert not tops & {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
    assert "matplotlib" not in tops or module_of(path)[0] == "plot"
    assert not tops & {"torch", "jax", "scipy"}


def test_arrays_of_callers_come_in_by_one_door():
    """`np.asarray` drops masks. Files read and write arrays of their own."""
    readers = re.compile(r"np\.(asarray|asanyarray|asfarray|fromiter)\(")
    own = {"arrays", "files", "history"}
    found = {module_of(path)[0] for path in FILES if readers.search(path.read_text())}
    assert found == own


def test_numpy_is_never_told_to_unpickle():
    for path in FILES:
        assert "allow_pickle" not in path.read_text()
