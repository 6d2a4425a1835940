"""The one place that touches files: named arrays and a configuration, in safetensors.

The header's metadata says what the file is::

    {"format": "bptt", "version": "1", "kind": "model", "config": "<json>", "checksum": "<crc32>"}

The checksum covers the other metadata and every array's name, dtype, shape and bytes, by name.
"""

from __future__ import annotations

import json
import os
import secrets
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from .checks import check_path
from .errors import FileFormatError, ShapeError

__all__ = ["fill", "read", "write"]

_FORMAT = "bptt"
_VERSION = 1


def write(
    path: str | os.PathLike[str],
    kind: str,
    arrays: Mapping[str, NDArray],
    config: Mapping[str, Any],
) -> None:
    """Write ``arrays`` and ``config`` to ``path``, wholly or not at all.

    Parameters
    ----------
    path : replaced only once the new file lies complete on the disk; if anything fails, what was
        there stays.
    kind : what the file holds, such as ``"model"``; `read` must ask for the same.
    arrays : name -> array of booleans, integers or float16 to float64, of any shape and order.
    config : anything that JSON can say; a tuple comes back as a list.

    Raises
    ------
    OSError : if the file cannot be written.
    ShapeError : if an array's dtype is none of the above.
    TypeError, ValueError : if JSON cannot say ``config``.
    """
    ready = {name: _storable(name, array) for name, array in arrays.items()}
    metadata = {
        "format": _FORMAT,
        "version": str(_VERSION),
        "kind": kind,
        "config": json.dumps(dict(config)),
    }
    metadata["checksum"] = _checksum(metadata, ready)
    _replace(path, save(ready, metadata))


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """The arrays and the configuration that `write` put into ``path``.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    FileFormatError : if the file is damaged, cut short, foreign, of another kind, or written by a
        newer version.
    """
    with open(check_path("path", path), "rb") as file:
        raw = file.read()
    metadata = _metadata(path, raw)
    _check_origin(path, metadata, kind)
    try:
        arrays = load(raw)
    except (SafetensorError, KeyError) as error:
        raise FileFormatError(f"{path} is damaged or cut short ({error})") from error
    if metadata.pop("checksum", None) != _checksum(metadata, arrays):
        raise FileFormatError(f"{path} is damaged: its contents do not match its checksum")
    return arrays, json.loads(metadata["config"])


def fill(
    path: str | os.PathLike[str], block: Mapping[str, NDArray], arrays: Mapping[str, NDArray]
) -> None:
    """Copy the arrays that belong to ``block`` out of ``arrays``, read from ``path``.

    Raises
    ------
    FileFormatError : if one is missing, or has another shape or dtype.
    """
    for name, view in block.items():
        if name not in arrays:
            raise FileFormatError(f"{path} has no array {name!r}")
        found = arrays[name]
        if found.shape != view.shape or found.dtype != view.dtype:
            raise FileFormatError(
                f"{path}: {name} must be {view.shape} of {view.dtype}, "
                f"got {found.shape} of {found.dtype}"
            )
        view[...] = found


def _storable(name: str, array: NDArray) -> NDArray:
    """``array`` as safetensors needs it: little-endian and C-contiguous, or its bytes get mixed."""
    array = np.asarray(array)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ShapeError(
            f"{name} must hold booleans, integers or float16 to float64, got {array.dtype}"
        )
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")


def _checksum(metadata: Mapping[str, str], arrays: Mapping[str, NDArray]) -> str:
    checksum = zlib.crc32(json.dumps(sorted(metadata.items())).encode())
    for name in sorted(arrays):
        array = arrays[name]
        label = json.dumps([name, array.dtype.name, array.shape])
        checksum = zlib.crc32(array, zlib.crc32(label.encode(), checksum))
    return f"{checksum:08x}"


def _metadata(path: str | os.PathLike[str], raw: bytes) -> dict[str, str]:
    """The metadata in the header of a safetensors file: 8 bytes of length, then JSON."""
    if not raw:
        raise FileFormatError(f"{path} is empty")
    length = int.from_bytes(raw[:8], "little")
    try:
        header = json.loads(raw[8 : 8 + length])
    except (ValueError, RecursionError):
        raise FileFormatError(f"{path} is damaged, cut short, or not a safetensors file") from None
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _check_origin(path: str | os.PathLike[str], metadata: dict[str, str], kind: str) -> None:
    if metadata.get("format") != _FORMAT:
        raise FileFormatError(f"{path} is not a file of bptt's: its header does not say so")
    version, found = metadata.get("version"), metadata.get("kind")
    if not (isinstance(version, str) and version.isdecimal() and isinstance(found, str)):
        raise FileFormatError(f"{path} is damaged: its header names no version or no kind")
    if int(version) > _VERSION:
        raise FileFormatError(
            f"{path} is in version {version} of the format, but this bptt reads up to version "
            f"{_VERSION}: a newer bptt is needed"
        )
    if found != kind:
        raise FileFormatError(f"{path} holds a {found}, but a {kind} was asked for")


def _replace(path: str | os.PathLike[str], contents: bytes) -> None:
    """Put ``contents`` at ``path`` in one step, by way of a temporary file beside it."""
    target = os.path.realpath(check_path("path", path))
    temporary = f"{target}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
