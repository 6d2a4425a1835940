"""Text that comes with Python: its documentation, and the source of its library."""

from __future__ import annotations

import sys
import sysconfig
import tokenize
from pathlib import Path

from ..errors import DataError

__all__ = ["pydoc_text", "python_source"]


def pydoc_text() -> str:
    """Python's own documentation, as ``help()`` shows it by topic.

    The topics of ``pydoc_data.topics`` in the order of their names, with an empty line between
    them: about 500,000 characters of English and code. It differs from one version of Python to
    the next.

    Raises
    ------
    DataError : if this Python was installed without it.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise DataError("this Python was installed without its documentation") from error
    return "\n\n".join(topics[name] for name in sorted(topics))


def python_source() -> str:
    """The source of Python's standard library: every module that is a single file.

    In the order of their names, with an empty line between them: over four million characters.
    Packages, and modules that are no part of the library itself, are left out. It differs from
    one version of Python to the next.

    Raises
    ------
    DataError : if this Python was installed without the sources.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    files = [folder / f"{name}.py" for name in sorted(sys.stdlib_module_names)]
    sources = [_read(file) for file in files if file.is_file()]
    if not sources:
        raise DataError(f"this Python was installed without its sources: {folder} has none")
    return "\n\n".join(sources)


def _read(file: Path) -> str:
    """A module's source, in the encoding that it declares."""
    with tokenize.open(file) as source:
        return source.read()
