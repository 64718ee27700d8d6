"""Files that are either whole or not there: written beside their name, flushed to disk, then
renamed. And what a file's content is known by.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import socket
import stat
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Iterator, Tuple, Union

_log = logging.getLogger("ppcls")

_MARK = ".partial-"
_BLOCK = 1 << 20
_LONGEST_OWNER = 200


def read_regular(path: Union[str, Path], most: int) -> bytes:
    """Return the content of a file, which must be a regular one: reading from others (pipes,
    sockets, devices, or links to them) may wait for ever, or never end.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than `most` bytes.
    """
    _expect_regular(os.stat(path), most)
    # Whatever takes the file's place now is not waited for either.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        _expect_regular(status, most)
        return _read_all(descriptor, status.st_size)
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size)
    while len(data) < size:  # one call returns 2 GB at most, and less from some networks
        more = os.read(descriptor, size - len(data))
        if not more:
            break
        data += more
    return data


def _expect_regular(status: os.stat_result, most: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file, but a pipe, socket or device")
    if status.st_size > most:
        size = f"{status.st_size / 1e6:,.0f} MB"
        raise OSError(errno.EFBIG, f"it has {size}, where {most / 1e6:,.0f} MB are accepted")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends without an
    error.

    Whatever happens (an exception, a full disk, `kill -9`), `path` holds either its old or its new
    content. The temporary file is there, empty, and nobody could foresee its name.

    Raises:
        OSError: the file cannot be written; `path` is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    except OSError as error:
        # Failed writes do not say where, and the temporary name says little.
        error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def making_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`, which is not there yet, that gets its name when the
    block ends without an error; what `kill -9` leaves is what `remove_leftovers` deletes.

    Raises:
        OSError: the folder cannot be made.
    """
    temporary = Path(tempfile.mkdtemp(prefix=_MARK, dir=path.parent))
    try:
        yield temporary
        for file in temporary.iterdir():
            _flush(file)
        temporary.rename(path)
        _flush(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def temporary_beside(path: Path) -> Path:
    """Make an empty file beside `path`, whose name nobody can foresee, and return its path.

    Raises:
        OSError: the folder cannot be written to.
    """
    temporary = path.with_name(f"{_MARK}{secrets.token_hex(8)}{path.suffix}")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
    except OSError as error:
        error.filename = str(path)
        raise
    return temporary


def exchange(one: Path, other: Path) -> bool:
    """Let two files or folders take each other's name at once; False where the system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    here, swap = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), swap) == 0)


class Busy(Exception):
    """Another process holds a lock; the text says which, as far as it told."""


@dataclass(frozen=True)
class Lock:
    """How `locked` came by its lock.

    Attributes:
        waited: another process had it first, and may have done what there was to do.
        held: nobody else can have it; False on file systems that have no locks.
    """

    waited: bool
    held: bool


@contextlib.contextmanager
def locked(path: Path, wait: bool = False) -> Iterator[Lock]:
    """Hold the lock file `path` for the block; it ends with the process, however that ends.

    Args:
        path: the file; its folder is made if need be.
        wait: for another process that holds it, instead of raising `Busy`.

    Raises:
        Busy: another process holds it.
        OSError: the folder cannot be written to.
    """
    # Not `filelock`: on file systems without locks its versions for Python 3.9 wait for ever, and
    # its newer ones leave marks that outlive a process that is killed.
    path.parent.mkdir(parents=True, exist_ok=True)
    file, lock = _acquired(path, wait)
    try:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {_now()}\n")
        file.flush()
        yield lock
    finally:
        # Those that wait for this file find that its name is gone, and start anew.
        path.unlink(missing_ok=True)
        file.close()


def check_not_busy(path: Path) -> None:
    """See whether another process holds the lock file `path`, without taking or making it.

    Raises:
        Busy: one does.
    """
    with contextlib.suppress(OSError), open(path, encoding="utf-8", opener=not_a_link) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(file.read(_LONGEST_OWNER).strip() or "another process") from None


def _acquired(path: Path, wait: bool) -> Tuple[IO[str], Lock]:
    waited = False
    while True:
        file = open(path, "a+", encoding="utf-8", opener=not_a_link)  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read(_LONGEST_OWNER).strip() or "another process"
            if not wait:
                file.close()
                raise Busy(owner) from None
            waited = True
            _log.info("waiting for %s, which is busy in %s", owner, path.parent)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            return file, Lock(waited, held=False)
        if os.fstat(file.fileno()).st_nlink:
            return file, Lock(waited, held=True)
        file.close()


def not_a_link(path: str, flags: int) -> int:
    """Open a file for `open`, unless its name is a link, which somebody may have planted."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def _now() -> str:
    return datetime.now().astimezone().isoformat(" ", "seconds")


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_leftovers(folder: Path) -> None:
    """Delete what `replacing` left in a folder when its process was killed."""
    remove(*Path(folder).glob(f"{_MARK}*"))


def is_leftover(path: Path) -> bool:
    """Whether a file or folder is one that `replacing` may have left."""
    return path.name.startswith(_MARK)


def remove(*paths: Path) -> None:
    """Delete files, and folders with all that is in them; those that are not there are no matter.

    Raises:
        OSError: one cannot be deleted.
    """
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def cache_folder() -> Path:
    """Return ``$PPCLS_HOME``, else ``$XDG_CACHE_HOME/ppcls``, else ``~/.cache/ppcls``."""
    if os.environ.get("PPCLS_HOME"):
        return Path(os.environ["PPCLS_HOME"]).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "ppcls"
