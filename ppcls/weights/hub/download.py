"""Fetching one file: whole, checked, and resumable, or not at all.

A file that is under way is `TARGET.part`; `TARGET.part.json` beside it says which file of which
server it is the start of, so that the next attempt, or the next process, goes on where the last one
stopped.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import shutil
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional
from urllib.parse import urlsplit

from ppcls import __version__
from ppcls.errors import DownloadError
from ppcls.files import replacing, write_text
from ppcls.weights.hub.cache import locked, sha256_of

_BLOCK = 1 << 18
_LARGEST = 1 << 34
_SLOWEST = 1024
"""Bytes a second; a server that sends less for as long as a timeout counts as one that stalls."""
_LONGEST_PAUSE = 60.0
_SPARE = 16 << 20
"""Bytes that a download leaves free on the disk."""
_PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}

_log = logging.getLogger("ppcls")

Check = Callable[[Path], None]


@dataclass(frozen=True)
class Patience:
    """How long to put up with a bad connection.

    Attributes:
        timeout: seconds without a byte after which a connection counts as stalled.
        attempts: failures in a row, without a new byte in between, after which to give up.
        pause: seconds before the second attempt; doubled for each further one, to at most a minute.
    """

    timeout: float = 30.0
    attempts: int = 5
    pause: float = 1.0


class UnreachableError(DownloadError):
    """The server does not answer, or stops answering: perhaps this machine is offline."""


class WrongContentError(DownloadError):
    """What came is not the file that it should be."""


class _PassingError(Exception):
    """An attempt failed, and another one may succeed."""

    def __init__(self, reason: str, *, no_answer: bool = False, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.no_answer = no_answer
        self.pause = pause


def download(
    address: str,
    target: Path,
    sha256: Optional[str] = None,
    check: Optional[Check] = None,
    patience: Optional[Patience] = None,
) -> None:
    """Fetch `address` into the file `target`, which is replaced as a whole at the end.

    A file whose SHA-256 differs is fetched a second time before giving up. Other processes that
    fetch the same target wait for this one, and do not fetch it again. What has arrived is kept
    when the connection fails or the process is killed; the next call asks the server for the rest.

    Args:
        address: an ``http://`` or ``https://`` address. Redirections are followed to such addresses
            only, and never from https to http.
        target: the file to write; its folder is made if need be.
        sha256: what the content's hash must be, in hexadecimal.
        check: looks at the whole file before it takes the target's place, and raises
            WrongContentError if it is not what was wanted.
        patience: when to give up; the defaults of `Patience` if None.

    Raises:
        UnreachableError: the server could not be reached, or broke off too often.
        WrongContentError: the hash differs, or the answer is a web page.
        DownloadError: the address is not accepted, the server refuses, or the disk is too full.
        OSError: the target's folder cannot be written to.
    """
    check_address(address)
    if address.startswith("http://") and sha256 is None:
        _log.warning(
            "%s: neither https nor a known SHA-256 protects this file on its way", _host(address)
        )
    with locked(target) as lock:
        if lock.waited and target.is_file() and sha256 in (None, sha256_of(target)):
            return
        part = _Part(target, private=not lock.held)
        try:
            _fetch(address, part, patience or Patience())
            part.become_target(address, sha256, check)
        except WrongContentError as error:
            if sha256 is None:
                raise
            _log.warning("%s; fetching it once more", error)
            _fetch(address, part, patience or Patience())
            part.become_target(address, sha256, check)


def copy(
    source: Path, target: Path, sha256: Optional[str] = None, check: Optional[Check] = None
) -> None:
    """Copy a file of this machine into `target`, as a whole or not at all.

    Raises:
        WrongContentError: the SHA-256 differs, or `check` refuses the file.
        DownloadError: the source cannot be read.
        OSError: the target's folder cannot be written to.
    """
    if not source.is_file():
        raise DownloadError(f"there is no file {source}")
    with replacing(target) as draft:
        try:
            shutil.copyfile(source, draft)
        except PermissionError as error:
            raise DownloadError(f"cannot read {source}: {error.strerror}") from None
        _accept(str(source), draft, sha256, check)


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


def megabytes(size: float) -> str:
    """Say a number of bytes as people do: ``97.8 MB``."""
    return f"{size / 1e6:.1f} MB"


def _host(address: str) -> str:
    return urlsplit(address).hostname or address


def _accept(where: str, file: Path, sha256: Optional[str], check: Optional[Check]) -> None:
    found = sha256 and sha256_of(file)
    if found != sha256:
        raise WrongContentError(f"{where} has the SHA-256 {found}; it should be {sha256}")
    if check is not None:
        check(file)


# --- attempts ----------------------------------------------------------------------------------


def _fetch(address: str, part: _Part, patience: Patience) -> None:
    """Attempt until the part is complete; give up after failures in a row that bring nothing."""
    first = furthest = part.size
    failures = 0
    while not part.is_complete(address):
        try:
            _attempt(address, part, patience.timeout)
        except _PassingError as error:
            failures = 1 if part.size > furthest else failures + 1
            furthest = max(furthest, part.size)
            # Who has never answered is probably out of reach, and waiting for that is no use.
            never = error.no_answer and furthest == first
            if failures >= (min(2, patience.attempts) if never else patience.attempts):
                raise UnreachableError(_give_up(address, part, error)) from None
            pause = max(min(patience.pause * 2 ** (failures - 1), _LONGEST_PAUSE), error.pause)
            _log.info("%s: %s; trying again in %.3g s", _host(address), error, pause)
            time.sleep(pause)


def _give_up(address: str, part: _Part, error: _PassingError) -> str:
    kept = f"; {megabytes(part.size)} are kept, and the next try goes on there" if part.size else ""
    return f"{_host(address)}: {error}{kept}"


def _attempt(address: str, part: _Part, timeout: float) -> None:
    """Make one request and append what it brings to the part."""
    headers = {"User-Agent": f"ppcls/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(address, headers={**headers, **part.headers(address)})
    with _in_words(address, part, timeout):
        answer = _opener().open(request, timeout=timeout)
    with contextlib.closing(answer):
        _check_answer(address, answer)
        part.begin(address, answer)
        _copy_answer(address, answer, part, timeout)


def _copy_answer(address: str, answer: Any, part: _Part, timeout: float) -> None:
    since, received = time.monotonic(), 0
    with part.path.open("ab") as file, _progress(part) as bar:
        while True:
            with _in_words(address, part, timeout):
                block = answer.read1(_BLOCK)
            if not block:
                break
            file.write(block)
            bar.update(len(block))
            received += len(block)
            if file.tell() > _LARGEST:
                raise DownloadError(f"{address} does not end after {megabytes(_LARGEST)}")
            if time.monotonic() - since > timeout:
                if received < _SLOWEST * timeout:
                    raise _PassingError(f"it sends fewer than {_SLOWEST} bytes a second")
                since, received = time.monotonic(), 0
    if answer.length or part.total not in (None, part.size):
        raise _PassingError(f"it broke off after {_of(part)}")
    part.end()


def _of(part: _Part) -> str:
    return f"{part.size} of {part.total or '?'} bytes"


def _check_answer(address: str, answer: Any) -> None:
    """Refuse answers that are no file, or whose end could not be told from a broken connection."""
    if answer.status not in (200, 206):
        raise DownloadError(f"{address}: the server answers {answer.status} {answer.reason}")
    if answer.headers.get_content_type() == "text/html":
        raise WrongContentError(
            f"{_host(address)} answers with a web page instead of a file; does this network ask "
            "for a login first?"
        )
    coding = answer.headers.get("Content-Encoding", "identity")
    if coding != "identity":
        raise DownloadError(f"{address}: the server sends it as {coding}, which was not asked for")
    if answer.length == 0:
        raise WrongContentError(f"{address}: the server sends an empty file")
    if answer.length is None and not answer.chunked:
        raise DownloadError(
            f"{address}: the server does not say how long the file is, so that a connection that "
            "breaks off could not be told from its end"
        )


@contextlib.contextmanager
def _in_words(address: str, part: _Part, timeout: float) -> Iterator[None]:
    """Turn what the network raises into passing errors, and into final ones with a message."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise _refusal(address, part, error) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"{_host(address)}: its certificate is not valid ({error.reason.verify_message}); "
                "is the clock right, or does a proxy stand in between?"
            ) from None
        raise _PassingError(f"no answer ({_reason(error.reason)})", no_answer=True) from None
    except (socket.timeout, TimeoutError):
        late = f"nothing came for {timeout:.3g} s"
        raise _PassingError(late, no_answer=not part.size) from None
    except (http.client.HTTPException, ConnectionError, ssl.SSLError) as error:
        raise _PassingError(f"it broke off after {_of(part)} ({_reason(error)})") from None
    except (ValueError, OverflowError) as error:
        raise DownloadError(f"{address}: the server's answer makes no sense ({error})") from None


def _reason(error: Any) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _refusal(address: str, part: _Part, error: urllib.error.HTTPError) -> Exception:
    status = f"{error.code} {error.reason}"
    if error.code == 416:
        part.discard()
        return _PassingError("what was kept is no part of the file (any more)")
    if error.code in _PASSING_STATUS:
        after = error.headers.get("Retry-After", "")
        pause = min(float(after), _LONGEST_PAUSE) if after.isdecimal() else 0.0
        return _PassingError(f"the server answers {status}", pause=pause)
    if error.code in (301, 302, 303, 307, 308):
        return DownloadError(
            f"{address}: the server redirects to {error.headers.get('Location')!r}, which is not "
            "followed; only http:// and https:// addresses are, and not for ever"
        )
    return DownloadError(f"{address}: the server answers {status}")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections to addresses that could have been given in the first place."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Optional[urllib.request.Request]:
        """Return the request to make instead.

        Raises:
            DownloadError: the new address is not accepted.
        """
        check_address(newurl)
        if req.type == "https" and urlsplit(newurl).scheme == "http":
            raise DownloadError(
                f"{req.full_url}: the server redirects from https to {newurl}, which anybody on "
                "the way could change; that is not followed"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_308(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Follow 308 on Python 3.9 and 3.10, too."""
        return self.http_error_302(req, fp, 307, msg, headers)


def _opener() -> urllib.request.OpenerDirector:
    """Return what opens http and https addresses, through the environment's proxies, and no
    others.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _progress(part: _Part) -> Any:
    from tqdm import tqdm

    return tqdm(
        total=part.total,
        initial=part.size,
        desc=part.target.name,
        unit="B",
        unit_scale=True,
        leave=False,
        file=sys.stderr,
        disable=not sys.stderr.isatty(),
    )


# --- the file under way ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Origin:
    """Which file the part is the start of; its validator is None where the server gives none."""

    address: str
    etag: Optional[str]
    modified: Optional[str]
    total: Optional[int]

    @classmethod
    def of(cls, address: str, answer: Any, total: Optional[int]) -> _Origin:
        return cls(address, answer.headers.get("ETag"), answer.headers.get("Last-Modified"), total)

    @property
    def validator(self) -> Optional[str]:
        """What If-Range takes: a strong ETag, else the time of the last change."""
        strong = self.etag is not None and not self.etag.startswith("W/")
        found = self.etag if strong else self.modified
        return found if found and found.isascii() else None

    def is_same_file(self, other: _Origin) -> bool:
        return (self.validator, self.total) == (other.validator, other.total)


class _Part:
    """The start of a file, and what is known of the whole."""

    def __init__(self, target: Path, private: bool) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part{f'-{os.getpid()}' if private else ''}")
        self._note = self.path.with_name(f"{self.path.name}.json")
        self._ended = False

    @property
    def size(self) -> int:
        """Bytes that are there."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def total(self) -> Optional[int]:
        """Bytes of the whole file, if the server said so."""
        origin = self._origin()
        return origin.total if origin else None

    def is_complete(self, address: str) -> bool:
        """Whether all of what is at this address is there."""
        origin = self._origin()
        whole = origin is not None and origin.address == address and origin.total == self.size
        return self._ended or whole

    def headers(self, address: str) -> Dict[str, str]:
        """Ask for the rest, on condition that the file is still the same."""
        origin = self._origin()
        if origin is None or origin.address != address or not origin.validator or not self.size:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": origin.validator}

    def begin(self, address: str, answer: Any) -> None:
        """Make ready for what the answer brings: the rest, or all from the start."""
        if answer.status == 206:
            self._continue(address, answer)
        else:
            self._restart(address, answer)
        missing = (self.total or 0) - self.size
        free = shutil.disk_usage(self.target.parent).free
        if missing + _SPARE > free:
            raise DownloadError(
                f"{self.target.parent} has {megabytes(free)} left, and {megabytes(missing)} are to "
                f"come from {_host(address)}; make room, or set PPCLS_HOME to a folder on a larger "
                "disk"
            )
        words = f"{megabytes(self.total)}" if self.total else "of unknown size"
        more = f", of which {megabytes(self.size)} are here" if self.size else ""
        _log.info("fetching %s (%s%s)", address, words, more)

    def _continue(self, address: str, answer: Any) -> None:
        words = answer.headers.get("Content-Range", "").replace("bytes ", "")
        span, _, total = words.partition("/")
        start = span.partition("-")[0]
        found = _Origin.of(address, answer, int(total) if total.isdecimal() else None)
        known = self._origin()
        if known is None or start != str(self.size) or not known.is_same_file(found):
            self.discard()
            raise _PassingError("the file on the server changed; starting over")

    def _restart(self, address: str, answer: Any) -> None:
        self.discard()
        write_text(self._note, json.dumps(asdict(_Origin.of(address, answer, answer.length))))

    def _origin(self) -> Optional[_Origin]:
        try:
            return _Origin(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def end(self) -> None:
        """Remember that the answer ended as it should."""
        self._ended = True

    def discard(self) -> None:
        """Forget everything."""
        self._ended = False
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def become_target(self, address: str, sha256: Optional[str], check: Optional[Check]) -> None:
        """Take the target's place; or go, if it is not accepted."""
        try:
            _accept(address, self.path, sha256, check)
        except WrongContentError:
            self.discard()
            raise
        with replacing(self.target) as draft:
            os.replace(self.path, draft)
        self.discard()
