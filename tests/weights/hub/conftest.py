"""A web server on this machine that misbehaves as it is told, and a cache folder of its own."""

from __future__ import annotations

import hashlib
import http.server
import pickle
import ssl
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import numpy as np
import pytest

Behaviour = Callable[["Site", Any], None]


class Site:
    """A server of one file. `plan` says what the next requests meet; after that, all goes well."""

    def __init__(self, tls: Optional[ssl.SSLContext] = None) -> None:
        self.content = pickle.dumps({"weight": np.arange(64_000, dtype=np.float32)}, protocol=4)
        self.etag: Optional[str] = '"one"'
        self.modified: Optional[str] = None
        self.plan: List[Behaviour] = []
        self.requests: List[Dict[str, str]] = []
        self.released = threading.Event()
        handler = type("Handler", (_Handler,), {"site": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def root(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}/"

    @property
    def address(self) -> str:
        return f"{self.root}folder/net.pdparams"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def ranges(self) -> List[Optional[str]]:
        """What part of the file each request asked for."""
        return [request.get("Range") for request in self.requests]

    def assert_fetched(self, target: Path) -> None:
        """The file is there as a whole, and nothing else but hidden locks."""
        assert target.read_bytes() == self.content
        assert list(target.parent.glob("[!.]*")) == [target]

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    # What requests may meet.

    def serve(self, handler: Any) -> None:
        """Send the file, or the rest of it if it is still the one that was asked for."""
        known = handler.headers.get("If-Range")
        wanted = handler.headers.get("Range", "")
        start = int(wanted[len("bytes=") : -1]) if wanted else 0
        if start and known not in (None, self.etag, self.modified):
            start = 0
        self.head(handler, 206 if start else 200, len(self.content) - start, start)
        handler.wfile.write(self.content[start:])

    def head(self, handler: Any, status: int, length: Optional[int], start: int = 0) -> None:
        total = len(self.content)
        place = f"bytes {start}-{total - 1}/{total}" if status == 206 else None
        named = {"Content-Length": length, "ETag": self.etag, "Last-Modified": self.modified}
        answer(handler, status, {**named, "Content-Range": place})

    @staticmethod
    def whole(site: Site, handler: Any) -> None:
        """Ignore Range."""
        site.head(handler, 200, len(site.content))
        handler.wfile.write(site.content)

    @staticmethod
    def breaks_off(after: int) -> Behaviour:
        def behave(site: Site, handler: Any) -> None:
            site.head(handler, 200, len(site.content))
            handler.wfile.write(site.content[:after])

        return behave

    @staticmethod
    def stalls(after: int) -> Behaviour:
        def behave(site: Site, handler: Any) -> None:
            site.head(handler, 200, len(site.content))
            handler.wfile.write(site.content[:after])
            handler.wfile.flush()
            site.released.wait(30)

        return behave

    @staticmethod
    def drips(site: Site, handler: Any) -> None:
        """Send a byte now and then, so that no single read takes long."""
        site.head(handler, 200, len(site.content))
        while not site.released.wait(0.05):
            handler.wfile.write(b"\x80")
            handler.wfile.flush()

    @staticmethod
    def goes_on_with(start: bytes, rest: bytes, pause: float = 0.0) -> Behaviour:
        """Send a start, and then the same again and again."""

        def behave(site: Site, handler: Any) -> None:
            handler.wfile.write(start)
            while not site.released.wait(pause):
                handler.wfile.write(rest)
                handler.wfile.flush()

        return behave

    @staticmethod
    def corrupts(site: Site, handler: Any) -> None:
        site.head(handler, 200, len(site.content))
        handler.wfile.write(site.content[:-9] + b"corrupted")

    @staticmethod
    def answers(status: int, body: bytes = b"", **headers: Any) -> Behaviour:
        def behave(site: Site, handler: Any) -> None:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            answer(handler, status, {"Content-Length": len(body), **named})
            handler.wfile.write(body)

        return behave

    @staticmethod
    def is_slow(seconds: float) -> Behaviour:
        def behave(site: Site, handler: Any) -> None:
            time.sleep(seconds)
            site.serve(handler)

        return behave


def answer(handler: Any, status: int, headers: Dict[str, Any]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        if value is not None:
            handler.send_header(name, str(value))
    handler.end_headers()


class _Handler(http.server.BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        self.site.requests.append({"path": self.path, **dict(self.headers.items())})
        behave = self.site.plan.pop(0) if self.site.plan else Site.serve
        try:
            behave(self.site, self)
        except OSError:  # who asked is gone
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a download goes."""
    return tmp_path / "files/net.pdparams"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, no mirrors, and no proxy."""
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PPCLS_MIRRORS", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache"


@pytest.fixture
def new_site(cache: Path) -> Iterator[Callable[..., Site]]:
    """Start servers."""
    started: List[Site] = []

    def start(tls: Optional[ssl.SSLContext] = None) -> Site:
        started.append(Site(tls))
        return started[-1]

    yield start
    for site in started:
        site.close()


@pytest.fixture
def site(new_site: Callable[..., Site]) -> Site:
    """One server."""
    return new_site()
