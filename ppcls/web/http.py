"""One request: through the environment's proxies and past redirections, to an answer that is a
file.
"""

from __future__ import annotations

import contextlib
import string
from typing import Any, Dict, Iterator, Optional
from urllib.parse import quote, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.util import parse_url

from ppcls import __version__
from ppcls.errors import DownloadError, WrongContentError
from ppcls.web.connections import is_private_host, pools

_REDIRECTIONS = 10


def check_address(address: str) -> None:
    """Accept http and https addresses of a named host.

    Raises:
        DownloadError: the address is another one; the message says what is wrong with it.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError as error:
        raise DownloadError(f"{address!r} is no address: {error}") from None
    if parts.scheme not in ("http", "https"):
        raise DownloadError(f"{address!r}: only http:// and https:// addresses are fetched")
    if not host or not address.isascii() or not address.isprintable() or " " in address:
        raise DownloadError(f"{address!r} names no host, or has characters that no address has")
    if parts.username is not None:
        raise DownloadError(f"{host}: names and passwords in addresses are not accepted")


def host_of(address: str) -> str:
    """Return the name of an address's host."""
    return urlsplit(address).hostname or address


@contextlib.contextmanager
def request(
    address: str, headers: Dict[str, str], timeout: float, public_only: bool = False
) -> Iterator[urllib3.BaseHTTPResponse]:
    """Yield what the server answers, whatever its status, before its body is read.

    Args:
        address: where to ask. Redirections are followed to addresses that could have been given in
            the first place, never from https to http, and from a public address never to one of a
            private network, whose servers may trust whoever can ask.
        headers: what to send besides the names of this program.
        timeout: seconds without a byte after which the connection counts as stalled.
        public_only: ask no address of a private network, not even `address` itself.

    Raises:
        DownloadError: a redirection is not accepted, or the address is private and may not be.
        urllib3.exceptions.HTTPError: there is no answer, or none that makes sense; it is a
            LocationValueError if the proxy is none.
    """
    place, wanted = address, {"User-Agent": f"ppcls/{__version__}", "Accept-Encoding": "identity"}
    if public_only and _is_private(place):
        raise DownloadError(
            f"{host_of(place)} is an address of a private network, or of this machine; "
            "--private-urls lets it be asked"
        )
    # urllib3 would follow redirections from https to http, and all of them through one proxy.
    for _ in range(_REDIRECTIONS + 1):
        with contextlib.closing(
            _connections(place, timeout, public_only).request(
                "GET", place, headers={**wanted, **headers}, redirect=False, preload_content=False
            )
        ) as answer:
            location = answer.get_redirect_location()
            if not location:
                yield answer
                return
        public_only = public_only or not _is_private(place)
        place = _redirected(place, location)
        if public_only and _is_private(place):
            raise DownloadError(
                f"{address}: the server redirects to {place}, an address of a private network; "
                "that is not followed. If it is yours, name it as a mirror"
            )
    raise DownloadError(_not_followed(address, location))


def _connections(address: str, timeout: float, public_only: bool) -> urllib3.PoolManager:
    """Return what connects to the address: directly, or through the environment's proxy."""
    proxy = _proxy(address)
    if proxy is None:
        found = urllib3.PoolManager(timeout=timeout, retries=False)
    else:
        login = unquote(parse_url(proxy).auth or "")
        known = urllib3.make_headers(proxy_basic_auth=login) if login else None
        found = urllib3.ProxyManager(proxy, proxy_headers=known, timeout=timeout, retries=False)
    found.pool_classes_by_scheme = pools(public_only and proxy is None)
    return found


def _proxy(address: str) -> Optional[str]:
    """Return the address of the environment's proxy for an address, if it has one."""
    parts = urlsplit(address)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_private(address: str) -> bool:
    """Whether the host is in a private network; names are looked up where no proxy does that."""
    return is_private_host(host_of(address), resolve=_proxy(address) is None)


def _redirected(place: str, location: str) -> str:
    """Return the address to ask instead.

    Raises:
        DownloadError: it is not accepted.
    """
    there = urljoin(place, quote(location, safe=string.punctuation, encoding="latin-1"))
    if urlsplit(there).scheme not in ("http", "https"):
        raise DownloadError(_not_followed(place, location))
    check_address(there)
    if urlsplit(place).scheme == "https" and urlsplit(there).scheme == "http":
        raise DownloadError(
            f"{place}: the server redirects from https to {there}, which anybody on the way could "
            "change; that is not followed"
        )
    return there


def _not_followed(address: str, location: Any) -> str:
    return (
        f"{address}: the server redirects to {location!r}, which is not followed; only http:// and "
        "https:// addresses are, and not for ever"
    )


def cause_of(error: BaseException) -> BaseException:
    """Return what the system reported, which urllib3 wraps up to three times."""
    inner = next((arg for arg in error.args if isinstance(arg, Exception)), error.__cause__)
    return cause_of(inner) if inner else error


def check_answer(address: str, answer: urllib3.BaseHTTPResponse) -> None:
    """Refuse answers that are no file, or whose end could not be told from a broken connection.

    Raises:
        DownloadError: it is one of these; WrongContentError if it is a page or empty.
    """
    if answer.get_redirect_location() is not False:  # it redirects, and does not say where
        raise DownloadError(_not_followed(address, answer.headers.get("Location")))
    if answer.status not in (200, 206):
        raise DownloadError(f"{address}: the server answers {answer.status} {answer.reason}")
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "text/html":
        raise WrongContentError(
            f"{host_of(address)} answers with a web page instead of a file; does this network ask "
            "for a login first?"
        )
    coding = answer.headers.get("Content-Encoding", "identity")
    if coding != "identity":
        raise DownloadError(f"{address}: the server sends it as {coding}, which was not asked for")
    if answer.length_remaining == 0:
        raise WrongContentError(f"{address}: the server sends an empty file")
    chunked = answer.headers.get("Transfer-Encoding", "").lower() == "chunked"
    if answer.length_remaining is None and not chunked:
        raise DownloadError(
            f"{address}: the server does not say how long the file is, so that a connection that "
            "breaks off could not be told from its end"
        )
