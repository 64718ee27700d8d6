"""The start of a file that is under way, and the note beside it of what it is the start of."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Callable, Dict, Optional

from pydantic import TypeAdapter
from urllib3 import BaseHTTPResponse

from ppcls.errors import DownloadError, WrongContentError
from ppcls.files import replacing, sha256_of, write_text
from ppcls.text import is_whole_number, megabytes
from ppcls.web.http import host_of

_SPARE = 16 << 20
"""Bytes that a download leaves free on the disk."""

Check = Callable[[Path], None]


@dataclass(frozen=True)
class Origin:
    """Which version of which file the part is the start of.

    Attributes:
        address: where it is asked for.
        validator: what If-Range takes: a strong ETag, else the time of the last change; None where
            the server gives neither.
        total: bytes of the whole file; None where the server does not say.
    """

    address: str
    validator: Optional[str]
    total: Optional[int]

    @classmethod
    def of(cls, address: str, answer: BaseHTTPResponse) -> Origin:
        """Take from an answer what it says of the whole file."""
        found, total = answer.headers.get("ETag", "W/"), answer.length_remaining
        if found.startswith("W/"):
            found = answer.headers.get("Last-Modified", "")
        if answer.status == 206:
            size = answer.headers.get("Content-Range", "").rpartition("/")[2]
            total = int(size) if is_whole_number(size) else None
        return cls(address, found if found and found.isascii() else None, total)


_ORIGIN = TypeAdapter(Origin)


class Part:
    """The start of a file, and what is known of the whole.

    Args:
        address: where the file is.
        target: the file that it is to become; the part is ``TARGET.part`` beside it.
        private: whether it belongs to this process alone.
    """

    def __init__(self, address: str, target: Path, private: bool) -> None:
        self.address = address
        self.target = target
        self.path = target.with_name(f"{target.name}.part{f'-{os.getpid()}' if private else ''}")
        self._note = self.path.with_name(f"{self.path.name}.json")
        self._origin = self._noted()

    def _noted(self) -> Optional[Origin]:
        try:
            origin = _ORIGIN.validate_json(self._note.read_bytes(), strict=True)
        except (OSError, ValueError):
            return None
        return origin if origin.address == self.address else None

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self._origin and self.path.exists() else 0

    @property
    def total(self) -> Optional[int]:
        """Bytes of the whole file, if the server said so."""
        return self._origin.total if self._origin else None

    @property
    def is_complete(self) -> bool:
        """Whether all of the file is there."""
        return self.total == self.size

    @property
    def headers(self) -> Dict[str, str]:
        """Ask for the rest, on condition that the file is still the same."""
        if not self._origin or not self._origin.validator or not self.size:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self._origin.validator}

    def begin(self, answer: BaseHTTPResponse) -> bool:
        """Make ready for the whole file or for the rest; False if it is the rest of another one."""
        origin, partial = Origin.of(self.address, answer), answer.status == 206
        place = answer.headers.get("Content-Range", "")
        if partial and origin == self._origin and place.startswith(f"bytes {self.size}-"):
            return True
        self.discard()
        if not partial:
            write_text(self._note, json.dumps(asdict(origin)))
            self._origin = origin
        return not partial

    def end(self) -> None:
        """Take note that the answer ended as it should, where it did not say how long it is."""
        if self._origin and self._origin.total is None:
            self._origin = replace(self._origin, total=self.size)

    def discard(self) -> None:
        """Forget everything."""
        self._origin = None
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def check_space(self) -> None:
        """Compare what is missing with what the disk has left.

        Raises:
            DownloadError: there is not enough.
        """
        missing = (self.total or 0) - self.size
        free = shutil.disk_usage(self.target.parent).free
        if missing + _SPARE > free:
            raise DownloadError(
                f"{self.target.parent} has {megabytes(free)} left, and {megabytes(missing)} are to "
                f"come from {host_of(self.address)}; make room, or set PPCLS_HOME to a folder on a "
                "larger disk"
            )

    def become_target(self, sha256: Optional[str], check: Optional[Check]) -> None:
        """Take the target's place; or go, if it is not accepted.

        Raises:
            WrongContentError: the SHA-256 differs, or `check` refuses the file.
        """
        try:
            accept(self.path, self.address, sha256, check)
        except WrongContentError:
            self.discard()
            raise
        with replacing(self.target) as draft:
            os.replace(self.path, draft)
        self.discard()


def accept(file: Path, where: str, sha256: Optional[str], check: Optional[Check]) -> None:
    """Look at a whole file that came from `where`, before it takes the target's place.

    Raises:
        WrongContentError: the SHA-256 differs, or `check` refuses the file.
    """
    found = sha256 and sha256_of(file)
    if found != sha256:
        raise WrongContentError(f"{where} has the SHA-256 {found}; it should be {sha256}")
    if check is not None:
        check(file)
