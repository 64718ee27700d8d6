"""Tar archives of strangers: their files are read one after the other, and never unpacked."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path
from typing import IO, Iterator, NamedTuple, Tuple, cast

from ppcls.errors import DataError
from ppcls.text import megabytes, shown

MOST_UNPACKED = 400_000_000
"""How many bytes an archive may have once it is unpacked."""

MOST_OF_A_FILE = 40_000_000
"""How many bytes one of its files may have, together with what the archive notes of it."""

_GZIP = b"\x1f\x8b"
_DAMAGES = (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, OverflowError)
"""What reading a damaged archive may raise."""


class Member(NamedTuple):
    """A file of an archive: the names of its folders and its own, and its bytes."""

    parts: Tuple[str, ...]
    data: bytes


class _Bounded:
    """A stream that ends with an error where more is read than is accepted."""

    def __init__(self, stream: IO[bytes], where: Path) -> None:
        self._stream, self._where = stream, where
        self._left, self._left_of_file = MOST_UNPACKED, MOST_OF_A_FILE

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        data = self._stream.read(size)
        self._left -= len(data)
        self._left_of_file -= len(data)
        if self._left < 0:
            raise _too_large(self._where, "", MOST_UNPACKED)
        if self._left_of_file < 0:
            raise _too_large(self._where, " in one file", MOST_OF_A_FILE)
        return data

    def begin_file(self) -> None:
        """Count anew for the next file of the archive."""
        self._left_of_file = MOST_OF_A_FILE


def _too_large(where: Path, what: str, most: int) -> DataError:
    return DataError(
        f"'{where}' holds more than {megabytes(most)}{what} once it is unpacked; none of the "
        "archives that are accepted does"
    )


def archive_members(where: Path) -> Iterator[Member]:
    """Yield the files of a tar archive, plain or with gzip, in their order.

    Raises:
        DataError: it is missing, damaged, no tar archive or too large; or it holds paths that lead
            outside, links or devices, as no archive of images does.
    """
    if not where.is_file():
        raise DataError(f"there is no archive '{where}'")
    try:
        with where.open("rb") as file:
            is_gzip = file.read(2) == _GZIP
            file.seek(0)
            stream = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if is_gzip else file
            bounded = _Bounded(stream, where)
            with tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r|") as archive:
                for member in archive:
                    parts = _checked(where, member)
                    content = archive.extractfile(member)
                    if content and parts:
                        yield Member(parts, content.read())
                    bounded.begin_file()
    except _DAMAGES as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"'{where}' cannot be read as a tar archive (.tar, .tar.gz): {reason}"
        ) from None


def _checked(where: Path, member: tarfile.TarInfo) -> Tuple[str, ...]:
    """Return the names of a member's path, if the member is harmless."""
    parts = tuple(part for part in member.name.split("/") if part not in ("", "."))
    is_outside = member.name.startswith("/") or ".." in parts
    is_plain = (member.isfile() and not member.issparse()) or member.isdir()
    if is_outside or not is_plain:
        what = "a path that leads outside" if is_outside else "something else than files"
        raise DataError(
            f"'{where}' holds {what}, {shown(member.name, 60)}, as no archive of images does; "
            "nothing of it is used"
        )
    if member.size > MOST_OF_A_FILE:
        raise _too_large(where, " in one file", MOST_OF_A_FILE)
    return parts
