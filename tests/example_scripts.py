"""How tests take hold of the scripts in ``examples/``."""

import importlib.util
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def imported(name):
    """The script as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def refused(script, capsys, *arguments):
    """The one line with which the script, its exit code 2, refuses ``arguments``."""
    with pytest.raises(SystemExit) as stopped:
        script.main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]
