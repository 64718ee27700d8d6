"""Tables of images: CSV files with a header, one image on each line."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from ppcls.data.dataset.list_file import IMAGE_ENDINGS, bad_lines
from ppcls.errors import DataError, did_you_mean
from ppcls.files import read_regular
from ppcls.text import first_few, shortened

MOST_BYTES = 1 << 28
"""How large a table may be; three million lines fit."""

PATH_COLUMNS = (
    *("path", "filepath", "filepaths", "file_path", "filename", "file_name", "file"),
    *("image_path", "img_path", "image_name", "image", "img", "image_id", "id"),
)
CLASS_COLUMNS = ("label", "labels", "class", "class_name", "category", "target", "class_id")
SPLIT_COLUMNS = ("split", "set", "subset", "partition", "data_set")
"""What columns may be called; the first one found is taken, in capitals or with spaces too."""

_SEPARATORS = (",", ";", "\t", "|")
_MOST_COLUMNS = 1000
_MOST_BAD = 10
_Row = Tuple[int, List[str]]


@dataclass(frozen=True)
class Table:
    """The images of a table.

    Attributes:
        names: what the columns of paths, classes and (if there is one) parts are called.
        paths: of the images, as they are written.
        words: for each the class.
        parts: for each what the column of parts says, or None without such a column.
        columns: further columns that were asked for.
    """

    names: List[str]
    paths: List[str]
    words: List[str]
    parts: Optional[List[str]]
    columns: Dict[str, List[str]]


def read_table(path: Union[str, Path], further: Sequence[str] = ()) -> Table:
    """Read a CSV file: UTF-8, divided by commas, semicolons, tabs or bars, with a header that names
    a column of `PATH_COLUMNS` and one of `CLASS_COLUMNS`. Without a header it has two columns, path
    and class.

    Args:
        path: the file.
        further: names of other columns to keep.

    Raises:
        DataError: the file cannot be read or is empty, a column is missing, or lines are wrong; up
            to ten of them are named.
    """
    text = _text(path)
    rows = _rows(path, text)
    first = next(rows, None)
    if first is None:
        raise DataError(f"the table '{path}' is empty")
    header, pending = _header(path, first)
    places = _places(path, header, further)
    return _collected(path, header, places, further, [*pending, *rows] if pending else rows)


def has_table_form(path: Union[str, Path]) -> bool:
    """Whether the first line of a file is divided by commas, semicolons, tabs or bars."""
    try:
        return any(mark in _first_line(_text(path)) for mark in _SEPARATORS)
    except DataError:
        return False


def table_columns(path: Union[str, Path]) -> Optional[List[str]]:
    """Return the header of a table that names paths and classes; None where the file is no such."""
    try:
        first = next(_rows(path, _text(path)), None)
        header = _header(path, first)[0] if first else []
        _places(path, header, ())
    except DataError:
        return None
    return header


def _text(path: Union[str, Path]) -> str:
    try:
        data = read_regular(path, MOST_BYTES)
    except FileNotFoundError:
        raise DataError(f"the table '{path}' does not exist") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"the table '{path}' cannot be read: {reason}") from None
    if b"\0" in data:
        raise DataError(f"the table '{path}' is not UTF-8 text; save it as CSV in UTF-8")
    # Names of files need not be UTF-8; this way odd bytes survive until the file is opened.
    return data.decode("utf-8", errors="surrogateescape").lstrip("\ufeff")


def _first_line(text: str) -> str:
    return text.lstrip().partition("\n")[0]


def _rows(path: Union[str, Path], text: str) -> Iterator[_Row]:
    """Yield (number of the line, fields) of what is not blank."""
    line = _first_line(text)
    mark = max(_SEPARATORS, key=line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        for row in reader:
            fields = [field.strip() for field in row]
            if any(fields):
                yield reader.line_num, fields
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: this is not CSV: {error}") from None


def _header(path: Union[str, Path], first: _Row) -> Tuple[List[str], List[_Row]]:
    """Return the names of the columns, and the first line again where it is no header."""
    _, fields = first
    if len(fields) == 2 and fields[0].lower().endswith(IMAGE_ENDINGS):
        return ["path", "class"], [first]
    if len(fields) > _MOST_COLUMNS:
        raise DataError(f"the table '{path}' has {len(fields)} columns, where 1,000 are accepted")
    return fields, []


def _places(
    path: Union[str, Path], header: Sequence[str], further: Sequence[str]
) -> List[Optional[int]]:
    """Return where the columns of paths, classes, parts and further ones are."""
    known = {_plain(name): place for place, name in reversed(list(enumerate(header)))}
    wanted = (("paths", PATH_COLUMNS), ("classes", CLASS_COLUMNS), ("", SPLIT_COLUMNS))
    found: List[Optional[int]] = []
    for what, names in wanted:
        place = next((known[name] for name in names if name in known), None)
        if place is None and what:
            raise DataError(
                f"the table '{path}' has no column of {what}: its columns are "
                f"{shortened(first_few(header))}; call one of them {' or '.join(names[:3])}"
            )
        found.append(place)
    for name in further:
        if _plain(name) not in known:
            raise DataError(
                f"the table '{path}' has no column '{name}'.{did_you_mean(name, header)} Its "
                f"columns are {shortened(first_few(header))}"
            )
        found.append(known[_plain(name)])
    return found


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _collected(
    path: Union[str, Path],
    header: Sequence[str],
    places: Sequence[Optional[int]],
    further: Sequence[str],
    rows: Union[Sequence[_Row], Iterator[_Row]],
) -> Table:
    """Return the columns of the rows, after checking that each row has all it needs."""
    columns: List[List[str]] = [[] for _ in places]
    same: Dict[str, str] = {}
    bad: Dict[int, str] = {}
    wrong = 0
    for number, fields in rows:
        fault = _fault(fields, header, places)
        if fault:
            wrong += 1
            if len(bad) < _MOST_BAD:
                bad[number] = fault
            continue
        for column, place in zip(columns, places):
            if place is not None:
                column.append(same.setdefault(fields[place], fields[place]))
    _refuse_rows(path, bad, wrong, len(columns[0]))
    names = [header[place] for place in places[:3] if place is not None]
    parts = None if places[2] is None else columns[2]
    return Table(names, columns[0], columns[1], parts, dict(zip(further, columns[3:])))


def _fault(
    fields: Sequence[str], header: Sequence[str], places: Sequence[Optional[int]]
) -> Optional[str]:
    if len(fields) != len(header):
        return f"{len(fields)} fields, but the header has {len(header)}"
    empty = [header[place] for place in places if place is not None and not fields[place]]
    if empty:
        return f"nothing in the column '{shortened(empty[0])}'"
    if any("\udc80" <= letter <= "\udcff" for letter in fields[places[1] or 0]):
        return "the class is not UTF-8; save the file as 'CSV UTF-8'"
    return None


def _refuse_rows(path: Union[str, Path], bad: Mapping[int, str], wrong: int, right: int) -> None:
    if bad:
        raise bad_lines(path, bad, "Each line has a field for every column of the header.", wrong)
    if not right:
        raise DataError(f"the table '{path}' has a header and no image")
