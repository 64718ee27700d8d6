"""Fetching one file: whole, checked, and resumable, or not at all.

A file that is under way is `TARGET.part`; `TARGET.part.json` beside it says which file of which
server it is the start of, so that the next attempt, or the next process, goes on where the last one
stopped.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import shutil
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional

from urllib3 import BaseHTTPResponse, Retry, exceptions

from ppcls.errors import DownloadError, UnreachableError, WrongContentError
from ppcls.files import locked, not_a_link, replacing, sha256_of
from ppcls.progress import Bar, waiting
from ppcls.text import megabytes
from ppcls.web.connections import SlowError
from ppcls.web.http import cause_of, check_address, check_answer, host_of, request
from ppcls.weights.hub.cache import lock_of
from ppcls.weights.hub.part import Check, Part, accept

_BLOCK = 1 << 18
_LARGEST = 1 << 34
_LONGEST_PAUSE = 60.0
_BYTES = {"unit": "B", "unit_scale": True}
_UNSIZED = "{desc} {n_fmt}B {elapsed}"
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

_log = logging.getLogger("ppcls")


@dataclass(frozen=True)
class Patience:
    """How long to put up with a bad connection.

    Attributes:
        timeout: seconds without a byte, or with hardly any, after which a connection counts as
            stalled.
        attempts: failures in a row, without a new byte in between, after which to give up.
        pause: seconds before the second attempt; doubled for each further one, to at most a minute.
    """

    timeout: float = 30.0
    attempts: int = 5
    pause: float = 1.0


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
            only, never from https to http, and never from a public address to one of a private
            network.
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
            "%s: neither https nor a known SHA-256 protects this file on its way", host_of(address)
        )
    with locked(lock_of(target), wait=True) as lock:
        if lock.waited and target.is_file() and sha256 in (None, sha256_of(target)):
            return
        part = Part(address, target, private=not lock.held)
        try:
            _fetch(part, patience or Patience())
            part.become_target(sha256, check)
        except WrongContentError as error:
            if sha256 is None:
                raise
            _log.warning("%s; fetching it once more", error)
            _fetch(part, patience or Patience())
            part.become_target(sha256, check)


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
        accept(draft, str(source), sha256, check)


# --- attempts ----------------------------------------------------------------------------------


def _fetch(part: Part, patience: Patience) -> None:
    """Attempt until the part is complete; give up after failures in a row that bring nothing."""
    # urllib3's Retry counts requests, not those that bring nothing, and knows no bodies.
    first = furthest = part.size
    failures = 0
    while not part.is_complete:
        try:
            _attempt(part, patience.timeout)
        except _PassingError as error:
            failures = 1 if part.size > furthest else failures + 1
            furthest = max(furthest, part.size)
            # Who has never answered is probably out of reach, and waiting for that is no use.
            never = error.no_answer and furthest == first
            if failures >= (min(2, patience.attempts) if never else patience.attempts):
                raise UnreachableError(_give_up(part, error)) from None
            pause = max(min(patience.pause * 2 ** (failures - 1), _LONGEST_PAUSE), error.pause)
            _log.info("%s: %s; trying again in %.3g s", host_of(part.address), error, pause)
            time.sleep(pause)


def _give_up(part: Part, error: _PassingError) -> str:
    kept = f"; {megabytes(part.size)} are kept, and the next try goes on there" if part.size else ""
    return f"{host_of(part.address)}: {error}{kept}"


def _attempt(part: Part, timeout: float) -> None:
    """Make one request and append what it brings to the part."""
    with _explained(part, timeout), contextlib.ExitStack() as held:
        with waiting(f"asking {host_of(part.address)}"):
            answer = held.enter_context(request(part.address, part.headers, timeout))
        _begin(part, answer)
        _append(part, answer)
    part.end()


def _begin(part: Part, answer: BaseHTTPResponse) -> None:
    if answer.status == 416:
        part.discard()
        raise _PassingError("what was kept is no part of the file (any more)")
    if answer.status in _PASSING_STATUS:
        status = f"the server answers {answer.status} {answer.reason}"
        raise _PassingError(status, pause=_asked_pause(answer))
    check_answer(part.address, answer)
    if not part.begin(answer):
        raise _PassingError("the file on the server changed; starting over")
    part.check_space()
    size = megabytes(part.total) if part.total else "of unknown size"
    more = f", of which {megabytes(part.size)} are here" if part.size else ""
    _log.info("fetching %s (%s%s)", part.address, size, more)


def _asked_pause(answer: BaseHTTPResponse) -> float:
    """Return the seconds that Retry-After asks for, to at most a minute."""
    try:
        return min(Retry().get_retry_after(answer) or 0.0, _LONGEST_PAUSE)
    except exceptions.InvalidHeader:
        return 0.0


def _append(part: Part, answer: BaseHTTPResponse) -> None:
    """Write the body to the part as it comes."""
    bar = Bar(part.target.name, part.total, part.size, None if part.total else _UNSIZED, **_BYTES)
    with open(part.path, "ab", opener=not_a_link) as file, bar:
        while block := answer.read1(_BLOCK):
            file.write(block)
            bar.advance(len(block))
            if file.tell() > _LARGEST:
                raise DownloadError(f"{part.address} does not end after {megabytes(_LARGEST)}")


@contextlib.contextmanager
def _explained(part: Part, timeout: float) -> Iterator[None]:
    """Turn what urllib3 raises into passing errors, and into final ones with a message."""
    try:
        yield
    except exceptions.LocationValueError as error:
        raise DownloadError(f"{part.address}: {error}") from None
    except exceptions.ReadTimeoutError:
        late = f"nothing came for {timeout:.3g} s"
        raise _PassingError(late, no_answer=not part.size) from None
    except (exceptions.InvalidHeader, ValueError, OverflowError) as error:
        raise DownloadError(
            f"{part.address}: the server's answer makes no sense ({error})"
        ) from None
    except exceptions.HTTPError as error:
        raise _failure(part, error, cause_of(error)) from None


def _failure(part: Part, error: exceptions.HTTPError, cause: BaseException) -> Exception:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return DownloadError(
            f"{host_of(part.address)}: its certificate is not valid ({cause.verify_message}); is "
            "the clock right, or does a proxy stand in between?"
        )
    if isinstance(cause, SlowError):
        return _PassingError(str(cause), no_answer=not part.size)
    reason = str(getattr(cause, "strerror", None) or cause or type(cause).__name__)
    if not isinstance(error, exceptions.ProtocolError):
        return _PassingError(f"no answer ({reason})", no_answer=True)
    words = "" if isinstance(cause, http.client.IncompleteRead) else f" ({reason})"
    return _PassingError(f"it broke off after {part.size} of {part.total or '?'} bytes{words}")
