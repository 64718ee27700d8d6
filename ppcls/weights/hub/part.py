"""The start of a file that is under way, and the note beside it of what it is the start of."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable, Dict, Mapping, Optional

from pydantic import TypeAdapter

from ppcls.errors import DownloadError, WrongContentError
from ppcls.files import replacing, write_text
from ppcls.weights.hub.cache import check_sha256, megabytes

_SPARE = 16 << 20
"""Bytes that a download leaves free on the disk."""

Check = Callable[[Path], None]


@dataclass(frozen=True)
class Origin:
    """Which file the part is the start of; its validator is None where the server gives none."""

    address: str
    etag: Optional[str]
    modified: Optional[str]
    total: Optional[int]

    @classmethod
    def of(cls, address: str, headers: Mapping[str, str], total: Optional[int]) -> Origin:
        """Take from an answer's headers what tells versions of the file apart."""
        return cls(address, headers.get("ETag"), headers.get("Last-Modified"), total)

    @property
    def validator(self) -> Optional[str]:
        """What If-Range takes: a strong ETag, else the time of the last change."""
        strong = self.etag is not None and not self.etag.startswith("W/")
        found = self.etag if strong else self.modified
        return found if found and found.isascii() else None

    def is_same_file(self, other: Origin) -> bool:
        """Whether both are the same version of a file."""
        return (self.validator, self.total) == (other.validator, other.total)


_ORIGIN = TypeAdapter(Origin)


class Part:
    """The start of a file, and what is known of the whole.

    Args:
        target: the file that it is to become; the part is ``TARGET.part`` beside it.
        private: whether it belongs to this process alone.
    """

    def __init__(self, target: Path, private: bool) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part{f'-{os.getpid()}' if private else ''}")
        self._note = self.path.with_name(f"{self.path.name}.json")
        self._ended = False

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

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

    def continues(self, address: str, headers: Mapping[str, str]) -> bool:
        """Whether the answer brings the rest of this part; if not, forget it."""
        span, _, total = headers.get("Content-Range", "").replace("bytes ", "").partition("/")
        found = Origin.of(address, headers, int(total) if total.isdecimal() else None)
        known = self._origin()
        start = span.partition("-")[0]
        fits = known is not None and start == str(self.size) and known.is_same_file(found)
        if not fits:
            self.discard()
        return fits

    def restart(self, origin: Origin) -> None:
        """Forget what is there, and remember which file comes."""
        self.discard()
        write_text(self._note, json.dumps(asdict(origin)))

    def check_space(self, host: str) -> None:
        """Compare what is missing with what the disk has left.

        Raises:
            DownloadError: there is not enough.
        """
        missing = (self.total or 0) - self.size
        free = shutil.disk_usage(self.target.parent).free
        if missing + _SPARE > free:
            raise DownloadError(
                f"{self.target.parent} has {megabytes(free)} left, and {megabytes(missing)} are to "
                f"come from {host}; make room, or set PPCLS_HOME to a folder on a larger disk"
            )

    def end(self) -> None:
        """Remember that the answer ended as it should."""
        self._ended = True

    def discard(self) -> None:
        """Forget everything."""
        self._ended = False
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def become_target(self, address: str, sha256: Optional[str], check: Optional[Check]) -> None:
        """Take the target's place; or go, if it is not accepted.

        Raises:
            WrongContentError: the SHA-256 differs, or `check` refuses the file.
        """
        try:
            check_sha256(self.path, sha256, address)
            if check is not None:
                check(self.path)
        except WrongContentError:
            self.discard()
            raise
        with replacing(self.target) as draft:
            os.replace(self.path, draft)
        self.discard()

    def _origin(self) -> Optional[Origin]:
        try:
            return _ORIGIN.validate_json(self._note.read_bytes(), strict=True)
        except (OSError, ValueError):
            return None
