"""What this machine has of published checkpoints: in its cache, and in installed packages."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ppcls.weights.hub.cache import weights_folder
from ppcls.weights.hub.records import PACKAGE, Record


@dataclass(frozen=True)
class Local:
    """What this machine has of a checkpoint.

    Attributes:
        record: the checkpoint.
        state: "cached", "partly fetched", "not fetched", "installed" or "not installed", the last
            two of files that a package brings.
        path: the file; None if it is not here as a whole.
        size: bytes that are here.
    """

    record: Record
    state: str
    path: Optional[Path] = None
    size: int = 0


def locate(record: Record) -> Local:
    """Say what this machine has of a checkpoint, without fetching or reading it."""
    packaged = packaged_file(record)
    if packaged is not None:
        return Local(record, "installed", packaged, packaged.stat().st_size)
    target = target_of(record)
    if target.is_file():
        return Local(record, "cached", target, target.stat().st_size)
    part = target.with_name(f"{target.name}.part")
    if part.is_file():
        return Local(record, "partly fetched", None, part.stat().st_size)
    return Local(record, "not installed" if record.in_package else "not fetched")


def target_of(record: Record) -> Path:
    """Return where the cache keeps a checkpoint, whether it is there or not."""
    return weights_folder() / record.filename


def packaged_file(record: Record) -> Optional[Path]:
    """Find a package's file without running any of the package's code."""
    if not record.in_package:
        return None
    package, _, file = record.address[len(PACKAGE) :].partition("/")
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or []
    found = [Path(folder) / file for folder in folders if (Path(folder) / file).is_file()]
    return found[0] if found else None
