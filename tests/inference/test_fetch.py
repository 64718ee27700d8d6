"""Images from a web server on this machine."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

from ppcls.errors import BadImageError, DownloadError
from ppcls.inference import Predictor, fetch
from ppcls.inference.fetch import fetch_image
from ppcls.inference.sources import Gathering


@pytest.fixture
def site(photos: Path) -> Iterator[str]:
    """The address of a server of the photos."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *rest: Any) -> None:
            super().__init__(*rest, directory=str(photos))

        def log_message(self, format: str, *words: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_image_comes_as_it_is(site: str, photos: Path) -> None:
    assert fetch_image(f"{site}/2.png", private_too=True) == (photos / "2.png").read_bytes()


def test_this_machine_is_asked_only_where_that_is_wanted(site: str) -> None:
    with pytest.raises(DownloadError, match="127.0.0.1 is an address of a priv.*--private-urls"):
        fetch_image(f"{site}/2.png")


def test_what_is_no_image(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadError, match="the server answers 404"):
        fetch_image(f"{site}/gone.png", private_too=True)
    with pytest.raises(DownloadError, match="a web page instead of a file"):
        fetch_image(f"{site}/", private_too=True)
    monkeypatch.setattr(fetch, "MOST_BYTES", 100)
    with pytest.raises(BadImageError, match="more than the 0.0 MB that are fetched"):
        fetch_image(f"{site}/2.png", private_too=True)


def test_one_that_takes_too_long(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SECONDS", -1.0)
    with pytest.raises(BadImageError, match="did not come within"):
        fetch_image(f"{site}/2.png", private_too=True)


def test_nobody_there() -> None:
    with pytest.raises(BadImageError, match="cannot be fetched: Connection refused"):
        fetch_image("http://127.0.0.1:9/a.png", private_too=True)
    with pytest.raises(DownloadError, match="names no host"):
        fetch_image("http:///a.png")


def test_addresses_are_predicted_like_files(exported: Path, site: str, photos: Path) -> None:
    words = [f"{site}/2.png", str(photos / "2.png"), f"{site}/gone.png"]
    rows = list(Predictor(exported, device="cpu")(Gathering(private_urls=True).sources(words)))
    assert [row.source for row in rows] == words
    assert rows[0].scores == rows[1].scores and rows[0].error is None
    assert rows[2].error and "404" in rows[2].error
