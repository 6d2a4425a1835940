"""Files from the net: a server on this machine that counts what it is asked for."""

import hashlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError

import pytest

from bptt.datasets import from_url
from bptt.errors import DataError

CONTENT = b"sequence " * 300_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """``/whole`` gives the content, ``/short`` only a part of what it announces, ``/moved`` the
    place of the whole; anything else is not found."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
        elif self.path.startswith(("/whole", "/short")):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT if self.path.startswith("/whole") else CONTENT[:1000])
        else:
            self.send_error(404)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def offline(monkeypatch):
    def unreachable(url, timeout):
        raise URLError("no such host")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)


def test_a_file_is_fetched_once_and_kept(server, tmp_path):
    url = f"{server.url}/whole/a%20file.txt?version=2"
    path = from_url(url, SHA256, cache=tmp_path / "new" / "cache")
    assert path.parent == tmp_path / "new" / "cache"
    assert path.name == f"{SHA256[:16]}-a_file.txt"
    assert path.read_bytes() == CONTENT
    assert from_url(url, SHA256.upper(), cache=str(path.parent)) == path
    assert server.asked == ["/whole/a%20file.txt?version=2"]
    assert list(path.parent.iterdir()) == [path]


def test_what_is_in_the_cache_needs_no_net(offline, tmp_path):
    kept = tmp_path / f"{SHA256[:16]}-data.txt"
    kept.write_bytes(CONTENT)
    assert from_url("https://example.org/data.txt", SHA256, cache=tmp_path) == kept


def test_a_file_that_was_damaged_is_fetched_anew(server, tmp_path):
    path = from_url(f"{server.url}/whole", SHA256, cache=tmp_path)
    path.write_bytes(CONTENT[:-1])
    assert from_url(f"{server.url}/whole", SHA256, cache=tmp_path) == path
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_file_that_has_moved_is_followed(server, tmp_path):
    assert from_url(f"{server.url}/moved", SHA256, cache=tmp_path).read_bytes() == CONTENT


def test_another_checksum_is_an_error_and_nothing_is_kept(server, tmp_path):
    with pytest.raises(DataError, match=f"/whole has the SHA-256 {SHA256}, but 0{{64}} was expec"):
        from_url(f"{server.url}/whole", "0" * 64, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/short", "the connection ended after 1,000 of 2,700,000 bytes"),
        ("/missing", "HTTP Error 404"),
    ],
)
def test_a_file_that_cannot_be_had(server, tmp_path, path, reason):
    with pytest.raises(OSError, match=f"could not fetch {server.url}{path}: .*{reason}"):
        from_url(f"{server.url}{path}", SHA256, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_offline_says_where_the_file_would_go(offline, tmp_path):
    with pytest.raises(OSError, match="no such host") as caught:
        from_url("https://example.org/data.txt", SHA256, cache=tmp_path)
    assert str(tmp_path / f"{SHA256[:16]}-data.txt") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_replaced_stays_if_the_new_one_cannot_be_had(offline, tmp_path):
    kept = tmp_path / f"{SHA256[:16]}-data.txt"
    kept.write_bytes(b"damaged")
    with pytest.raises(OSError, match="could not fetch"):
        from_url("https://example.org/data.txt", SHA256, cache=tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"damaged"]


@pytest.mark.parametrize(
    ("platform", "settings", "expected"),
    [
        ("linux", {}, ".cache"),
        ("linux", {"XDG_CACHE_HOME": "elsewhere"}, "elsewhere"),
        ("darwin", {}, "Library/Caches"),
        ("win32", {}, "AppData/Local"),
        ("win32", {"LOCALAPPDATA": "elsewhere"}, "elsewhere"),
    ],
)
def test_the_cache_is_the_users(server, tmp_path, monkeypatch, platform, settings, expected):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, folder in settings.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    path = from_url(f"{server.url}/whole", SHA256)
    assert path.parent == tmp_path / expected / "bptt" / "datasets"


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/a", "file:///etc/hosts", "a.txt", "https://", "http://a/b c", None],
)
def test_only_the_web_is_asked(offline, tmp_path, url):
    with pytest.raises(ValueError, match=r"url must be https://\.\.\. or http://"):
        from_url(url, SHA256, cache=tmp_path)


@pytest.mark.parametrize("url", ["https://example.org", "HTTP://[::1]:80/", "http://a.b/%2e%2e/.."])
def test_a_file_name_is_found_or_made(offline, tmp_path, url):
    with pytest.raises(OSError, match="could not fetch"):
        from_url(url, SHA256, cache=tmp_path)


def test_other_arguments_are_checked(offline, tmp_path):
    with pytest.raises(ValueError, match="sha256 must be 64 hexadecimal digits, got 'abc'"):
        from_url("https://example.org/a", "abc", cache=tmp_path)
    with pytest.raises(ValueError, match="timeout must be a positive number, got 0"):
        from_url("https://example.org/a", SHA256, cache=tmp_path, timeout=0)


def test_import_brings_no_client_of_the_net():
    from helpers import python

    code = "import sys, numba, numpy; before = set(sys.modules); import bptt.datasets; "
    code += "assert not {'urllib.request', 'http.client', 'ssl'} & (set(sys.modules) - before)"
    assert python(code) == ("", "")
