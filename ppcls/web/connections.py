"""Connections to servers that nobody vouches for: what they answer comes in time, ends, and comes
from an address that may be asked.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import time
from typing import Any, Dict, Optional, Tuple

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from ppcls.errors import DownloadError

SLOWEST = 1024
"""Bytes a second; a server that sends less for as long as a timeout counts as one that stalls."""

_MOST_LINES = 1000
"""Lines in a row; a header has fifty, each chunk of a body one."""

_IPV4_INSIDE = ipaddress.ip_network("64:ff9b::/96")
"""Where IPv6 networks reach addresses of IPv4."""


class SlowError(OSError):
    """A server sends too little, or what has no end."""


class _Socket(io.RawIOBase):
    """What comes from a socket, whose single waits end after `timeout` seconds.

    Raises:
        SlowError: a byte now and then keeps the waits short, and all takes long.
    """

    def __init__(self, raw: Any, timeout: Optional[float]) -> None:
        self._raw, self._timeout = raw, timeout
        self.restart()

    def restart(self) -> None:
        """Measure from now on."""
        self._waited, self._received = 0.0, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> Optional[int]:
        """Read what is there, up to the length of the buffer."""
        began = time.monotonic()
        count: Optional[int] = self._raw.readinto(buffer)
        self._waited += time.monotonic() - began
        self._received += count or 0
        if self._timeout is not None and count and self._waited > self._timeout:
            if self._received < SLOWEST * self._timeout:
                raise SlowError(f"it sends fewer than {SLOWEST} bytes a second")
            self.restart()
        return count

    def close(self) -> None:
        """Close the socket, if nobody else reads from it."""
        self._raw.close()
        super().close()


class _Lines(io.BufferedReader):
    """Counts the lines that are read in a row: headers and the like could go on for ever.

    Raises:
        SlowError: there are more than any server sends.
    """

    _lines = 0

    def readline(self, size: Optional[int] = -1) -> bytes:
        """Return the next line, or `size` bytes of it."""
        self._lines += 1
        if self._lines > _MOST_LINES:
            raise SlowError("its header does not end")
        return super().readline(size)

    def read(self, size: Optional[int] = -1) -> bytes:
        """Return `size` bytes."""
        self._lines = 0
        return super().read(size)


class _Answer(http.client.HTTPResponse):
    """An answer whose header comes within the timeout as well, and its body not too slowly."""

    def __init__(self, sock: socket.socket, *rest: Any, **named: Any) -> None:
        super().__init__(sock, *rest, **named)
        self._socket = _Socket(self.fp.detach(), sock.gettimeout())  # type: ignore[attr-defined]
        self.fp = _Lines(self._socket)

    def begin(self) -> None:
        """Read the header."""
        super().begin()
        self._socket.restart()


class _PublicOnly:
    """Asks no private address, whatever the name of the host stood for a moment ago."""

    host: str

    def _new_conn(self) -> socket.socket:
        found: socket.socket = super()._new_conn()  # type: ignore[misc]
        if _is_private(found.getpeername()[0]):
            found.close()
            raise DownloadError(f"{self.host} is an address of a private network")
        return found


def pools(public_only: bool) -> Dict[str, Any]:
    """Return what connects to servers, by scheme, for `urllib3.PoolManager`."""
    guard: Tuple[type, ...] = (_PublicOnly,) if public_only else ()

    def kind(pool: type, connection: type) -> type:
        asking = type("_Connection", (*guard, connection), {"response_class": _Answer})
        return type("_Pool", (pool,), {"ConnectionCls": asking})

    return {
        "http": kind(HTTPConnectionPool, HTTPConnection),
        "https": kind(HTTPSConnectionPool, HTTPSConnection),
    }


def is_private_host(host: str, resolve: bool) -> bool:
    """Whether a host is one of a private network, of this machine, or of no network at all.

    Args:
        host: a name, or an address in any notation that the system takes, such as 2130706433.
        resolve: whether to look up names; a name that is not looked up is not private.
    """
    flags = 0 if resolve else socket.AI_NUMERICHOST
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):
        return False
    return any(_is_private(str(address[0])) for *_, address in found)


def _is_private(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inside = found.ipv4_mapped or found.sixtofour
        if found in _IPV4_INSIDE:
            inside = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        found = inside or found
    return not found.is_global or found.is_multicast
