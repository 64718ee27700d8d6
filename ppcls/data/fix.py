"""Correcting labels that somebody has confirmed to be wrong, in list files and in class folders.

Nothing is deleted, and nothing is overwritten: a list keeps a copy of what it was, and a file moves
to the folder of its class.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Dict, Iterator, List, Literal, Optional, Tuple

from pydantic import ConfigDict, Field, ValidationError

from ppcls.checking import Section, mistakes
from ppcls.errors import DataError
from ppcls.files import read_regular, replacing, sha256_of

MOST_BYTES = 1 << 26
"""The largest record that is read."""

_MOST_LIST_BYTES = 1 << 28
"""Six million lines."""

_DEEPEST_WORDS = "its values stand too deep inside each other"


class Fix(Section):
    """An image, the class that it is said to have, and the one that it has."""

    model_config = ConfigDict(extra="ignore")

    confirmed: bool
    split: str
    image: str
    label: str
    to: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Source(Section):
    """Where the labels of a set are written: class folders below `folder`, or a list file."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["list", "folders"]
    folder: str
    list: Optional[str] = None
    delimiter: Annotated[Optional[str], Field(min_length=1)] = None
    words: Dict[str, str] = {}


class ReportRecord(Section):
    """What is read of `report.json`."""

    model_config = ConfigDict(extra="ignore")

    format: Literal[1]
    made_in: str
    class_names: List[str]
    sources: Dict[str, Source]
    fixes: List[Fix]


@dataclass(frozen=True)
class Change:
    """Something that is to be done: a line of a list gets another word, or a file another folder.

    Attributes:
        words: what is done, in a line.
        file: the list, or the image.
        old: the line as it is; None where the file moves.
        new: the line as it will be, or where the file goes.
    """

    words: str
    file: Path
    old: Optional[str]
    new: str


def read_report(path: Path) -> ReportRecord:
    """Read `report.json`.

    Raises:
        DataError: it cannot be read, or is no report.
    """
    try:
        found = json.loads(read_regular(path, MOST_BYTES))
        return ReportRecord.model_validate(found)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise DataError(
            f"{path}: this is no report of `ppcls report`: {mistakes(error)[0]}"
        ) from None
    except RecursionError:
        raise DataError(f"{path}: this is no report: {_DEEPEST_WORDS}") from None
    except ValueError as error:
        raise DataError(f"{path}: this is no JSON: {error}") from None


def plan_fixes(report: ReportRecord) -> List[Change]:
    """Return what the confirmed fixes come to, without doing it.

    Raises:
        DataError: the report is out of date or cannot be followed; all reasons are told at once.
    """
    planned, reasons = [], []
    confirmed = [fix for fix in report.fixes if fix.confirmed]
    for fix in confirmed:
        try:
            planned += _changes(report, fix)
        except DataError as error:
            reasons.append(f"{fix.image}: {error}")
    reasons += _clashes(planned)
    if reasons:
        more = f"\n  ... and {len(reasons) - 10} more" if len(reasons) > 10 else ""
        raise DataError(
            f"{len(reasons)} of {len(confirmed)} confirmed fixes cannot be made, so none was:\n  "
            + "\n  ".join(reasons[:10])
            + more
            + f"\nPaths are seen from {os.getcwd()}; the report was made in {report.made_in}. If "
            "the images or lists have changed since then, make the report again: ppcls report RUN"
        )
    return planned


def _clashes(planned: List[Change]) -> Iterator[str]:
    targets = [change.new for change in planned if change.old is None]
    for target in sorted({one for one in targets if targets.count(one) > 1}):
        yield f"two images would become {target}"


def _changes(report: ReportRecord, fix: Fix) -> List[Change]:
    source = report.sources.get(fix.split)
    if source is None:
        raise DataError(f"where the labels of '{fix.split}' are written is not known")
    if fix.to not in report.class_names:
        known = ", ".join(report.class_names[:10])
        raise DataError(f"there is no class '{fix.to}'. The classes: {known}")
    if fix.to == fix.label:
        return []
    _require_unchanged(Path(fix.image), fix.sha256)
    return _relabelled(source, fix) if source.kind == "list" else [_moved(source, fix)]


def _require_unchanged(image: Path, digest: str) -> None:
    try:
        is_same = sha256_of(image) == digest if image.is_file() else None  # a pipe never ends
    except (OSError, ValueError):
        is_same = None
    if is_same is None:
        raise DataError("the file is not there any more") from None
    if not is_same:
        raise DataError("the file is another one than when the report was made")


def _moved(source: Source, fix: Fix) -> Change:
    image = Path(fix.image)
    try:
        inside = image.relative_to(source.folder)
    except ValueError:
        raise DataError(f"it does not lie in {source.folder}") from None
    if ".." in inside.parts or inside.parts[:1] != (fix.label,) or len(inside.parts) < 2:
        raise DataError(f"it does not lie in the folder of {fix.label}")
    if Path(fix.to).name != fix.to or fix.to == "..":
        raise DataError(f"'{fix.to}' is no name of a folder")
    target = Path(source.folder, fix.to, *inside.parts[1:])
    if os.path.lexists(target):
        raise DataError(f"{target} is there already")
    return Change(f"{image} -> {target}", image, None, str(target))


def _relabelled(source: Source, fix: Fix) -> List[Change]:
    if source.list is None:
        raise DataError(f"the report does not say in which list '{fix.split}' is")
    path, word = Path(source.list), source.words.get(fix.to)
    if word is None:
        raise DataError(f"no image in {path} is of the class '{fix.to}', so its word is not known")
    if len(word.split(source.delimiter)) != 1 or len(word.splitlines()) != 1:
        raise DataError(f"{word!r} is no word for a class in a list")
    old_word = source.words.get(fix.label)
    found = [
        (number, line, label)
        for number, line, image, label in _lines(path, source.delimiter)
        if os.path.join(source.folder, image) == fix.image and label == old_word
    ]
    if not found:
        raise DataError(f"{path} does not say any more that it is of the class '{fix.label}'")
    return [
        Change(
            f"{path}:{number}: {fix.image}: {fix.label} -> {fix.to}",
            path,
            line,
            f"{line[: line.rindex(label)]}{word}{line[line.rindex(label) + len(label) :]}",
        )
        for number, line, label in found
    ]


def _lines(path: Path, delimiter: Optional[str]) -> Iterator[Tuple[int, str, str, str]]:
    """Yield number, line, image and label of each line of a list file."""
    for number, line in enumerate(_text(path).split("\n"), 1):
        image, mark, label = _divided(line.lstrip("\ufeff").strip(), delimiter)
        if mark:
            yield number, line, image.strip(), label.strip()


def _divided(line: str, delimiter: Optional[str]) -> Tuple[str, bool, str]:
    parts = line.rsplit(delimiter, 1)
    return (parts[0], True, parts[1]) if len(parts) == 2 else (line, False, "")


def _text(path: Path) -> str:
    try:
        return read_regular(path, _MOST_LIST_BYTES).decode("utf-8", errors="surrogateescape")
    except OSError as error:
        raise DataError(f"the list {path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise DataError(f"the list {str(path)!r} cannot be read: {error}") from None


def apply_fixes(planned: List[Change]) -> List[Path]:
    """Do what `plan_fixes` found, and return the copies of lists as they were.

    Raises:
        OSError: a file cannot be written or moved; each list is as it was or as it should be.
    """
    backups = [_rewrite(path, changes) for path, changes in _by_list(planned).items()]
    for change in planned:
        if change.old is None:
            _move(change.file, Path(change.new))
    return backups


def _move(image: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):  # it was not when this was planned
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    image.rename(target)


def _by_list(planned: List[Change]) -> Dict[Path, Dict[str, str]]:
    found: Dict[Path, Dict[str, str]] = {}
    for change in planned:
        if change.old is not None:
            found.setdefault(change.file, {})[change.old] = change.new
    return found


def _rewrite(path: Path, changes: Dict[str, str]) -> Path:
    backup = _free_name(path)
    shutil.copy2(path, backup)
    lines = [changes.get(line, line) for line in _text(path).split("\n")]
    with replacing(path) as temporary:
        temporary.write_bytes("\n".join(lines).encode("utf-8", errors="surrogateescape"))
    return backup


def _free_name(path: Path) -> Path:
    number = 1
    while (backup := path.with_name(f"{path.name}.{number}.bak")).exists():
        number += 1
    return backup
