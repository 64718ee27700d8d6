"""Where fetched weights are kept, and what is remembered of them.

Layout of the cache folder: ``weights/NAME.SUFFIX`` are the files, ``weights/pins.json`` says what
each was when it was first used, ``mirrors.yaml`` is the user's.
"""

from __future__ import annotations

import datetime
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Dict

from pydantic import TypeAdapter, ValidationError

from ppcls.errors import DownloadError
from ppcls.files import cache_folder, locked, write_text

_log = logging.getLogger("ppcls")


def weights_folder() -> Path:
    """Return the part of the cache folder that holds weight files."""
    return cache_folder() / "weights"


@dataclass(frozen=True)
class Pin:
    """What a file was when it was first used.

    Attributes:
        sha256: its hash in hexadecimal.
        address: where it came from; empty when somebody put it into the cache by hand.
        size: in bytes.
        date: the day of first use, as 2024-12-31.
        mtime_ns: time stamp of the file when its hash was last computed; while size and time stamp
            are these, the hash is not computed again.
    """

    sha256: str
    address: str
    size: int
    date: str
    mtime_ns: int

    def is_unchanged(self, path: Path) -> bool:
        """Whether the file is, by size and time stamp, the one whose hash was computed."""
        status = path.stat()
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)


_PINS = TypeAdapter(Dict[str, Pin])


def pin_of(path: Path, sha256: str, address: str) -> Pin:
    """Describe a file of known hash as it is today."""
    status = path.stat()
    today = datetime.date.today().isoformat()
    return Pin(sha256, address, status.st_size, today, status.st_mtime_ns)


def read_pins() -> Dict[str, Pin]:
    """Return what is remembered of the files in the cache, by record name.

    Raises:
        DownloadError: the file of pins is damaged; the message says what to do.
    """
    try:
        return _PINS.validate_json(_pins_file().read_bytes(), strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValidationError as error:
        first = error.errors()[0]
        reason = ": ".join([*map(str, first["loc"]), first["msg"]])
        raise DownloadError(
            f"{_pins_file()}, which remembers the SHA-256 of weights, is damaged ({reason}); "
            "delete it, and the files beside it are pinned again on their next use"
        ) from None


def write_pin(name: str, pin: Pin) -> None:
    """Remember a file, while other processes may be doing the same.

    Raises:
        OSError: the cache folder cannot be written to.
    """
    with locked(lock_of(_pins_file()), wait=True):
        pins = sorted({**read_pins(), name: pin}.items())
        content = {key: asdict(value) for key, value in pins}
        write_text(_pins_file(), json.dumps(content, indent=1) + "\n")


def _pins_file() -> Path:
    return weights_folder() / "pins.json"


def lock_of(path: Path) -> Path:
    """Return the lock file of those that write `path`."""
    return path.with_name(f".{path.name}.lock")
