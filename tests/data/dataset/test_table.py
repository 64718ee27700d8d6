"""Tables as spreadsheets, people and programs write them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, List, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppcls.data.dataset.table import has_table_form, read_table, table_columns
from ppcls.errors import DataError


def written(folder: Path, text: Any) -> Path:
    path = folder / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        'path,label\na.jpg,cat\n"b, c.jpg",dog\n',
        "\ufeffpath;label\r\na.jpg;cat\r\n\r\nb, c.jpg;dog",
        "id\tLabel\tImage Path\n1\tcat\ta.jpg\n2\tdog\tb, c.jpg\n",
        "filename|class\n a.jpg | cat \nb, c.jpg|dog",
        'a.jpg,cat\n"b, c.jpg",dog\n',
    ],
)
def test_reads_what_programs_write(tmp_path: Path, text: str) -> None:
    found = read_table(written(tmp_path, text))
    assert (found.paths, found.words) == (["a.jpg", "b, c.jpg"], ["cat", "dog"])
    assert found.parts is None and has_table_form(tmp_path / "t.csv")


FIELD = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=9
).filter(lambda text: text == text.strip() and not text.startswith("\ufeff"))


@pytest.mark.slow
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(FIELD, FIELD, FIELD), min_size=1, max_size=9))
def test_reads_what_python_writes(tmp_path: Path, rows: List[Tuple[str, str, str]]) -> None:
    with open(tmp_path / "t.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("who", "label", "path"))
        writer.writerows(rows)
    found = read_table(tmp_path / "t.csv", ["who"])
    assert list(zip(found.columns["who"], found.words, found.paths)) == rows


def test_the_likeliest_column_is_taken(tmp_path: Path) -> None:
    text = "class id,filepaths,labels,data set\n3,a.jpg,CROW,train\n"
    found = read_table(written(tmp_path, text))
    assert found.names == ["filepaths", "labels", "data set"]
    assert (found.words, found.parts) == (["CROW"], ["train"])
    assert table_columns(tmp_path / "t.csv") == text.splitlines()[0].split(",")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("path,label\n", "has a header and no image"),
        ("name,label\na.jpg,cat\n", "no column of paths: its columns are name, label; call one"),
        ("path,sort\na.jpg,cat\n", "no column of classes: .*label or labels or class"),
        ("path,label\na.jpg,cat,1\n", r"t\.csv:2: 3 fields, but the header has 2"),
        ("path,label\na.jpg,\n,cat\n", r"t\.csv:2: nothing in the column 'label'\n.*t\.csv:3: "),
        ("path,label\n" + "x\n" * 30, r"(?s)t\.csv:2: 1 fields.*and 20 more"),
        ('path,label\n"a.jpg,cat\n', r"t\.csv:2: this is not CSV: unexpected end of data"),
        (b"path,label\na\0,b\n", "is not UTF-8 text"),
        (b"path,label\na,caf\xe9\n", r"t\.csv:2: the class is not UTF-8; save .*'CSV UTF-8'"),
        ("a," * 2000 + "b\n", "2001 columns, where 1,000 are accepted"),
        (f"path,label\n{'x' * 200_000},a\n", "this is not CSV: field larger"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: Any, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        read_table(written(tmp_path, text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_table(tmp_path)
    assert table_columns(tmp_path) is None and not has_table_form(tmp_path)
