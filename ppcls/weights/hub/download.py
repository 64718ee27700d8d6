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
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Optional

from urllib3 import BaseHTTPResponse, Retry
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    MaxRetryError,
    ProtocolError,
    ReadTimeoutError,
)

from ppcls.errors import DownloadError, UnreachableError, WrongContentError
from ppcls.files import replacing
from ppcls.weights.hub.cache import check_sha256, locked, megabytes, sha256_of
from ppcls.weights.hub.http import check_address, check_answer, host_of, request
from ppcls.weights.hub.part import Check, Origin, Part

_BLOCK = 1 << 18
_LARGEST = 1 << 34
_SLOWEST = 1024
"""Bytes a second; a server that sends less for as long as a timeout counts as one that stalls."""
_LONGEST_PAUSE = 60.0
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

_log = logging.getLogger("ppcls")


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


class _PassingError(HTTPError):
    """An attempt failed, and another one may succeed."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class _NoAnswerError(_PassingError, ConnectTimeoutError):
    """The server was not heard of, which `Retry` counts apart."""


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
            "%s: neither https nor a known SHA-256 protects this file on its way", host_of(address)
        )
    with locked(target) as lock:
        if lock.waited and target.is_file() and sha256 in (None, sha256_of(target)):
            return
        part = Part(target, private=not lock.held)
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
        check_sha256(draft, sha256, str(source))
        if check is not None:
            check(draft)


# --- attempts ----------------------------------------------------------------------------------


def _fetch(address: str, part: Part, patience: Patience) -> None:
    """Attempt until the part is complete; give up after failures in a row that bring nothing."""
    tries, furthest = _tries(patience, unheard=1), part.size
    while not part.is_complete(address):
        try:
            _attempt(address, part, patience.timeout)
        except _PassingError as error:
            if part.size > furthest:
                tries, furthest = _tries(patience), part.size
            try:
                tries = tries.increment(error=error)
            except MaxRetryError:
                raise UnreachableError(_give_up(address, part, error)) from None
            pause = max(tries.get_backoff_time() or patience.pause, error.pause)
            _log.info("%s: %s; trying again in %.3g s", host_of(address), error, pause)
            time.sleep(pause)


def _tries(patience: Patience, unheard: Optional[int] = None) -> Retry:
    """Count failures. Who has never answered is probably out of reach, and waiting is no use."""
    return Retry(
        total=patience.attempts - 1,
        connect=unheard,
        backoff_factor=patience.pause,
        backoff_max=_LONGEST_PAUSE,
    )


def _give_up(address: str, part: Part, error: Exception) -> str:
    kept = f"; {megabytes(part.size)} are kept, and the next try goes on there" if part.size else ""
    return f"{host_of(address)}: {error}{kept}"


def _attempt(address: str, part: Part, timeout: float) -> None:
    """Make one request and append what it brings to the part."""
    headers = part.headers(address)
    with _explained(address, part, timeout), request(address, headers, timeout) as answer:
        _accept(address, answer, part)
        _append(address, answer, part, timeout)
    part.end()


def _accept(address: str, answer: BaseHTTPResponse, part: Part) -> None:
    """Make the part ready for what the answer brings: the rest, or all from the start."""
    if answer.status == 416:
        part.discard()
        raise _PassingError("what was kept is no part of the file (any more)")
    if answer.status in _PASSING_STATUS:
        status = f"the server answers {answer.status} {answer.reason}"
        raise _PassingError(status, pause=_asked_pause(answer))
    check_answer(address, answer)
    if answer.status == 200:
        part.restart(Origin.of(address, answer.headers, answer.length_remaining))
    elif not part.continues(address, answer.headers):
        raise _PassingError("the file on the server changed; starting over")
    part.check_space(host_of(address))
    size = megabytes(part.total) if part.total else "of unknown size"
    more = f", of which {megabytes(part.size)} are here" if part.size else ""
    _log.info("fetching %s (%s%s)", address, size, more)


def _asked_pause(answer: BaseHTTPResponse) -> float:
    """Return the seconds that Retry-After asks for, to at most a minute."""
    try:
        return min(Retry().get_retry_after(answer) or 0.0, _LONGEST_PAUSE)
    except InvalidHeader:
        return 0.0


def _append(address: str, answer: BaseHTTPResponse, part: Part, timeout: float) -> None:
    """Write the body to the part as it comes."""
    # urllib3 notices a server that sends nothing, but not one that hardly sends anything.
    since, received = time.monotonic(), 0
    with part.path.open("ab") as file, _progress(part) as bar:
        while block := answer.read1(_BLOCK):
            file.write(block)
            bar.update(len(block))
            received += len(block)
            if file.tell() > _LARGEST:
                raise DownloadError(f"{address} does not end after {megabytes(_LARGEST)}")
            if time.monotonic() - since > timeout:
                if received < _SLOWEST * timeout:
                    raise _PassingError(f"it sends fewer than {_SLOWEST} bytes a second")
                since, received = time.monotonic(), 0


@contextlib.contextmanager
def _explained(address: str, part: Part, timeout: float) -> Iterator[None]:
    """Turn what urllib3 raises into passing errors, and into final ones with a message."""
    try:
        yield
    except _PassingError:
        raise
    except ReadTimeoutError:
        kind = _PassingError if part.size else _NoAnswerError
        raise kind(f"nothing came for {timeout:.3g} s") from None
    except (InvalidHeader, ValueError, OverflowError) as error:
        raise DownloadError(f"{address}: the server's answer makes no sense ({error})") from None
    except HTTPError as error:
        cause = _cause(error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"{host_of(address)}: its certificate is not valid ({cause.verify_message}); is "
                "the clock right, or does a proxy stand in between?"
            ) from None
        reason = str(getattr(cause, "strerror", None) or cause or type(cause).__name__)
        if isinstance(error, ProtocolError):
            words = "" if isinstance(cause, http.client.IncompleteRead) else f" ({reason})"
            of = f"{part.size} of {part.total or '?'} bytes"
            raise _PassingError(f"it broke off after {of}{words}") from None
        raise _NoAnswerError(f"no answer ({reason})") from None


def _cause(error: BaseException) -> BaseException:
    """Return what the system reported, which urllib3 wraps up to three times."""
    inner = next((arg for arg in error.args if isinstance(arg, Exception)), error.__cause__)
    return _cause(inner) if inner else error


def _progress(part: Part) -> Any:
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
