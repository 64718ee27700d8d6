"""Addresses, redirections, certificates and proxies."""

from __future__ import annotations

import base64
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppcls.errors import DownloadError, PpclsError, UnreachableError
from ppcls.web import http
from ppcls.web.http import _redirected, check_address
from ppcls.weights.hub.download import Patience, download

HASTY = Patience(timeout=0.4, attempts=3, pause=0.01)


def fetch(site: Any, target: Path, sha256: Optional[str] = None) -> None:
    download(site.address, target, sha256, patience=HASTY)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("file:///etc/passwd", "only http:// and https://"),
        ("ftp://a.example/f", "only http:// and https://"),
        ("net.pdparams", "only http:// and https://"),
        ("https:///f", "names no host"),
        ("https://a.example/f g", "characters that no address has"),
        ("https://a.example/\r\nHost: b", "characters that no address has"),
        ("https://a.example/é", "characters that no address has"),
        ("https://me:secret@a.example/f", "^a.example: names and passwords"),
        ("https://a.example:port/f", "is no address"),
        ("https://[::1/f", "is no address"),
        ("https://a..b/f", "is no address"),
    ],
)
def test_addresses_that_are_not_fetched(address: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=words):
        download(address, tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(), st.text().map("https://".__add__), st.from_regex(r"https?://[^/]*/.*")))
def test_any_text_is_an_address_or_an_error_in_words(text: str) -> None:
    try:
        check_address(text)
    except PpclsError as error:
        assert str(error)
    else:
        assert text.lower().startswith(("http://", "https://"))


def test_redirection_is_followed_and_the_rest_asked_for_there(
    site: Any, new_site: Callable[[], Any], target: Path
) -> None:
    front = new_site()
    front.plan = [front.answers(302, Location=site.address), front.answers(308, Location="/x")]
    front.plan += [front.answers(307, Location=site.address)]
    site.plan = [site.breaks_off(100_000)]
    fetch(front, target, site.sha256)
    site.assert_fetched(target)
    assert site.ranges == [None, "bytes=100000-"]
    assert front.requests[-1]["path"] == "/x"


@pytest.mark.parametrize("elsewhere", ["file:///etc/passwd", "ftp://127.0.0.1/f"])
def test_redirection_to_what_is_no_web_address(site: Any, target: Path, elsewhere: str) -> None:
    site.plan = [site.answers(302, Location=elsewhere)]
    with pytest.raises(DownloadError, match="redirects to|only http"):
        fetch(site, target)
    assert not target.exists()


@pytest.mark.parametrize("location", [None, ""])
def test_redirection_to_nowhere(site: Any, target: Path, location: Optional[str]) -> None:
    site.plan = [site.answers(302, Location=location)]
    with pytest.raises(DownloadError, match=f"redirects to {location!r}, which is not followed"):
        fetch(site, target)


def test_redirection_to_characters_that_no_address_has(site: Any, target: Path) -> None:
    site.plan = [site.answers(302, Location="/a b/\xe9")]
    fetch(site, target)
    assert site.requests[-1]["path"] == "/a%20b/%E9"


def test_ten_redirections_are_followed(site: Any, target: Path) -> None:
    site.plan = [site.answers(302, Location=f"/{number}") for number in range(10)]
    fetch(site, target)
    assert target.is_file() and len(site.requests) == 11


def test_redirection_in_circles(site: Any, target: Path) -> None:
    site.plan = [site.answers(302, Location="/round")] * 99
    with pytest.raises(DownloadError, match="redirects to"):
        fetch(site, target)
    assert len(site.requests) < 20


def test_redirection_from_https_to_http_is_refused() -> None:
    with pytest.raises(DownloadError, match="from https to http://b.example/f"):
        _redirected("https://a.example/f", "http://b.example/f")


# --- private networks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "localhost",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0.0.0.0",
            "inside.example",
        ),
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[fe80::1]", "[fc00::1]"),
        *("[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
    ],
)
def test_redirection_from_a_public_address_to_a_private_one(
    site: Any, target: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    def resolve(name: str, *rest: Any, **named: Any) -> Any:
        return known("10.0.0.1" if name == "inside.example" else name, *rest, **named)

    known = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("no_proxy", "localhost,inside.example")
    monkeypatch.setenv("http_proxy", site.root)
    site.plan = [site.answers(302, Location=f"http://{host}:1/net")]
    with pytest.raises(DownloadError, match="redirects to http://.*, an address of a private netw"):
        download("http://a.example/net", target, patience=HASTY)
    assert len(site.requests) == 1 and not target.exists()


def test_an_address_that_becomes_private_after_it_was_looked_up(
    site: Any, new_site: Callable[[], Any], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = new_site()
    monkeypatch.setattr(http, "is_private_host", lambda host, resolve: False)
    site.plan = [site.answers(302, Location=inside.address)]
    with pytest.raises(DownloadError, match="127.0.0.1 is an address of a private network"):
        fetch(site, target)
    assert inside.requests == []


@pytest.mark.parametrize("host", ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808"])
def test_public_addresses(host: str) -> None:
    assert not http.is_private_host(host, resolve=True)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A fresh key and its certificate for 127.0.0.1, in one file."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl to make a certificate with")
    file = tmp_path / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    extra = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    out = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*command.split(), *extra, *out], check=True, capture_output=True)
    file.write_text((tmp_path / "key.pem").read_text() + (tmp_path / "cert.pem").read_text())
    return file


def test_https_needs_a_valid_certificate_and_stays_https(
    certificate: Path,
    site: Any,
    new_site: Callable[..., Any],
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    secure = new_site(tls)
    with pytest.raises(DownloadError, match="127.0.0.1: its certificate is not valid"):
        fetch(secure, target)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    fetch(secure, target)
    secure.assert_fetched(target)
    secure.plan = [secure.answers(302, Location=site.address)]
    with pytest.raises(DownloadError, match="redirects from https to http"):
        fetch(secure, target)
    assert site.requests == []


# --- proxies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["", "me:a%40b@"])
@pytest.mark.parametrize("scheme", ["", "http://"])
def test_proxy_of_the_environment_is_asked(
    site: Any, target: Path, monkeypatch: pytest.MonkeyPatch, login: str, scheme: str
) -> None:
    monkeypatch.setenv("no_proxy", "b.example")
    monkeypatch.setenv("http_proxy", f"{scheme}{login}{site.root[len('http://') :]}")
    download("http://a.example/net", target, site.sha256, patience=HASTY)
    site.assert_fetched(target)
    assert [request["path"] for request in site.requests] == ["http://a.example/net"]
    sent = {name.lower(): value for name, value in site.requests[0].items()}
    known = "Basic " + base64.b64encode(b"me:a@b").decode() if login else None
    assert sent.get("proxy-authorization") == known


def test_each_redirection_chooses_its_proxy(
    site: Any, new_site: Callable[[], Any], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = new_site()
    proxy.plan = [proxy.answers(302, Location=site.address)]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("http_proxy", proxy.root)
    download("http://10.1.2.3/net", target, site.sha256, patience=HASTY)
    site.assert_fetched(target)
    assert len(proxy.requests) == len(site.requests) == 1


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://[::1", "http://a:port"])
def test_proxy_that_cannot_be_used(
    cache: Path, target: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(DownloadError, match="unsupported scheme socks5, should use|Failed to pars"):
        download("https://a.example/net", target, patience=HASTY)


def test_proxy_that_is_out_of_reach(
    cache: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    with pytest.raises(UnreachableError, match=r"a.example: no answer \(Connection refused\)$"):
        download("https://a.example/net", target, patience=HASTY)


def test_proxy_that_refuses(site: Any, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("https_proxy", site.root)
    with pytest.raises(UnreachableError, match=r"a.example: no answer \(Tunnel connection failed"):
        download("https://a.example/net", target, patience=HASTY)
