"""Files from the net: fetched once, checked, and kept."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ..checks import check_bound
from ..errors import DataError

__all__ = ["from_url"]

_BLOCK = 1 << 20
_LONGEST = 80
"""Characters of the URL's file name that are kept."""


def from_url(
    url: str,
    sha256: str,
    *,
    cache: str | os.PathLike[str] | None = None,
    timeout: float = 30.0,
) -> Path:
    """The path of a file from the net, which is fetched if it is not in the cache yet.

    The file is read in blocks, appears in the cache only when it is complete and its checksum is
    right, and is checked again whenever it is asked for; a file that was damaged since is fetched
    anew. It is kept as it came: unpacking is left to ``gzip`` and ``zipfile``.

    Parameters
    ----------
    url : beginning with ``https://`` or ``http://``; blanks and letters outside ASCII are to be
        percent-encoded.
    sha256 : checksum of the file, 64 hexadecimal digits, as ``sha256sum`` prints it.
    cache : the folder to keep it in, made if need be. If None: ``bptt/datasets`` in the user's
        folder for caches, which is ``$XDG_CACHE_HOME`` or ``~/.cache``, on macOS
        ``~/Library/Caches``, on Windows ``%LOCALAPPDATA%``.
    timeout : seconds without an answer after which the attempt is given up.

    Raises
    ------
    DataError : if what came has another checksum; nothing of it is kept.
    OSError : if the file is neither in the cache nor to be had, or cannot be written.
    ValueError : if ``url``, ``sha256`` or ``timeout`` is not as above.
    """
    name = _name_in(url)
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"sha256 must be 64 hexadecimal digits, got {sha256!r}")
    check_bound("timeout", timeout)
    sha256 = sha256.lower()
    folder = _user_cache() if cache is None else Path(cache)
    path = folder / f"{sha256[:16]}-{name}"
    if not (path.is_file() and _checksum(path) == sha256):
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(url, sha256, path, timeout)
    return path


def _name_in(url: str) -> str:
    """The file name in ``url``, of characters that every system takes."""
    if not isinstance(url, str) or not re.fullmatch(r"(?ia:https?://[\w[][!-~]*)", url):
        raise ValueError(f"url must be https://... or http://..., in ASCII, got {url!r}")
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[-_LONGEST:] or "file"


def _user_cache() -> Path:
    """The folder of this library among the user's caches."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "bptt" / "datasets"


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(url: str, sha256: str, path: Path, timeout: float) -> None:
    """Put the file at ``url`` to ``path``, wholly and checked or not at all."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    digest = hashlib.sha256()
    try:
        with part.open("xb") as file:
            for block in _blocks(url, path, timeout):
                file.write(block)
                digest.update(block)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != sha256:
            raise DataError(
                f"{url} has the SHA-256 {digest.hexdigest()}, but {sha256} was expected: the file "
                "has changed there, or the checksum is another file's"
            )
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _blocks(url: str, path: Path, timeout: float) -> Iterator[bytes]:
    """What is at ``url``, to be kept at ``path``, block by block."""
    from http.client import HTTPException
    from urllib.request import urlopen

    received = 0
    try:
        with urlopen(url, timeout=timeout) as answer:
            announced = answer.headers.get("Content-Length", "")
            while block := answer.read(_BLOCK):
                received += len(block)
                yield block
        if announced.isdecimal() and received != int(announced):
            raise OSError(f"the connection ended after {received:,} of {int(announced):,} bytes")
    except (OSError, HTTPException) as error:
        raise OSError(
            f"could not fetch {url}: {error}. The cache does not have it; if there is no "
            f"connection here, bring the file in another way and put it to {path}"
        ) from error
