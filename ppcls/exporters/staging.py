"""A bundle's folder appears at once and complete, or not at all: everything is written into a
hidden folder beside it, checked there, and renamed at the end.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from ppcls.errors import ExportError, UsageError
from ppcls.inference.description import CONFIG_NAME


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
        hidden = Path(
            tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        )
    except OSError as error:
        raise ExportError(f"{target}: cannot be written: {error.strerror}") from None
    try:
        folder = hidden / "new"
        folder.mkdir()
        yield folder
        _take_place(folder, target, hidden / "old")
    except OSError as error:
        raise ExportError(f"{target}: cannot be written: {error}; nothing was kept") from None
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _take_place(folder: Path, target: Path, old: Path) -> None:
    """Rename `folder` to `target`; what is there goes to `old`, or stays if that fails."""
    if not target.exists():
        folder.rename(target)
        return
    target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        old.rename(target)
        raise
