"""Images of web servers: no larger, no later and from no other places than they may come."""

from __future__ import annotations

import time

import urllib3

from ppcls.errors import BadImageError
from ppcls.text import megabytes
from ppcls.web.http import cause_of, check_address, check_answer, request

MOST_BYTES = 1 << 26
SECONDS = 60.0
"""How long an image may take as a whole."""

TIMEOUT = 15.0
"""Seconds without a byte after which a server counts as silent."""

_BLOCK = 1 << 18


def fetch_image(address: str, private_too: bool = False) -> bytes:
    """Return what is at an ``http://`` or ``https://`` address.

    Redirections are followed as `ppcls.web.http.request` does.

    Args:
        address: of an image, up to `MOST_BYTES` large.
        private_too: whether it may lie in a private network, or on this machine.

    Raises:
        DownloadError: the address, or where it leads to, is not accepted, or the server refuses.
        BadImageError: there is no answer, or one that is too large or too slow.
    """
    check_address(address)
    try:
        with request(address, {}, TIMEOUT, public_only=not private_too) as answer:
            check_answer(address, answer)
            return _body(answer)
    except urllib3.exceptions.HTTPError as error:
        cause = cause_of(error)
        reason = getattr(cause, "strerror", None) or cause
        raise BadImageError(f"it cannot be fetched: {reason}") from None
    except (ValueError, OverflowError) as error:
        raise BadImageError(f"the server's answer makes no sense ({error})") from None


def _body(answer: urllib3.BaseHTTPResponse) -> bytes:
    end, data = time.monotonic() + SECONDS, bytearray()
    if (answer.length_remaining or 0) > MOST_BYTES:
        raise _too_large()
    while block := answer.read1(_BLOCK):
        data += block
        if len(data) > MOST_BYTES:
            raise _too_large()
        if time.monotonic() > end:
            raise BadImageError(f"it did not come within {SECONDS:.0f} s")
    return bytes(data)


def _too_large() -> BadImageError:
    return BadImageError(f"it has more than the {megabytes(MOST_BYTES)} that are fetched")
