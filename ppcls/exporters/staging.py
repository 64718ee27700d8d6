"""A bundle's folder appears at once and complete, or not at all: everything is written into a
hidden folder beside it, checked there, and renamed at the end.
"""

from __future__ import annotations

import contextlib
import glob
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from ppcls.errors import ExportError, UsageError
from ppcls.files import Busy, exchange, locked
from ppcls.inference.description import CONFIG_NAME

_SUFFIX, _LOCK = ".part", ".lock"


def check_target(target: Path, overwrite: bool) -> None:
    """Refuse a place that holds something else, or a bundle unless it is to be overwritten.

    Raises:
        UsageError: with the reason.
    """
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target}: is a file; name a folder for the bundle")
    if not target.is_dir() or not any(target.iterdir()):
        return
    if not (target / CONFIG_NAME).is_file():
        raise UsageError(
            f"{target}: the folder holds something else than a bundle; name another or an empty one"
        )
    if not overwrite:
        raise UsageError(
            f"{target}: already holds a bundle; --overwrite replaces it, or name another folder"
        )


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """Give a hidden folder that takes the place of `target` at the end, or vanishes on an error.

    Raises:
        ExportError: the system does not let files be written there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        hidden = Path(
            tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.parent)
        )
    except OSError as error:
        raise ExportError(f"{target}: cannot be written: {error.strerror}") from None
    try:
        with locked(hidden / _LOCK):
            folder = hidden / "new"
            folder.mkdir()
            yield folder
            _take_place(folder, target, hidden / "old")
    except OSError as error:
        raise ExportError(f"{target}: cannot be written: {error}; nothing was kept") from None
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _remove_leftovers(target: Path) -> None:
    """Delete what exports to the same place left when they were killed; those that live hold a
    lock.
    """
    for hidden in target.parent.glob(f".{glob.escape(target.name)}.*{_SUFFIX}"):
        if (hidden / _LOCK).exists():
            with contextlib.suppress(Busy, OSError), locked(hidden / _LOCK):
                shutil.rmtree(hidden, ignore_errors=True)


def _take_place(folder: Path, target: Path, old: Path) -> None:
    """Rename `folder` to `target`, at once where the system can; what is there goes to `old`, or
    stays if that fails.
    """
    if not target.exists():
        folder.rename(target)
        return
    if exchange(folder, target):
        return
    target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        old.rename(target)
        raise
