"""Archives: what is in them is read within bounds, and nothing of it leads outside."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from ppcls.data import archives
from ppcls.data.archives import archive_members
from ppcls.errors import DataError


def written(path: Path, *members: tarfile.TarInfo, data: bytes = b"", mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return path


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size, found.type, found.linkname = size, kind, "/etc/passwd"
    return found


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_files_come_in_their_order(tmp_path: Path, mode: str) -> None:
    folder = member("b", kind=tarfile.DIRTYPE)
    where = written(
        tmp_path / "a.tar", folder, member("./b/2", 3), member("a", 3), data=b"xyz", mode=mode
    )
    assert [tuple(found) for found in archive_members(where)] == [
        (("b", "2"), b"xyz"),
        (("a",), b"xyz"),
    ]


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (member("/etc/passwd", 1), "a path that leads outside, '/etc/passwd'"),
        (member("a/../../b", 1), "a path that leads outside"),
        (member("link", kind=tarfile.SYMTYPE), "something else than files, 'link'"),
        (member("link", kind=tarfile.LNKTYPE), "something else than files"),
        (member("pipe", kind=tarfile.FIFOTYPE), "something else than files"),
        (member("disk", kind=tarfile.BLKTYPE), "something else than files"),
    ],
)
def test_what_no_archive_of_images_holds(tmp_path: Path, bad: Any, expected: str) -> None:
    where = written(tmp_path / "a.tar", bad, data=b"x")
    with pytest.raises(DataError, match=expected):
        list(archive_members(where))


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_UNPACKED", 200_000)
    monkeypatch.setattr(archives, "MOST_OF_A_FILE", 60_000)
    where = written(tmp_path / "a.tar", member("a", 50_000), data=bytes(50_000))
    assert len(list(archive_members(where))) == 1
    where = written(tmp_path / "a.tar", member("a", 70_000), data=bytes(70_000), mode="w:gz")
    with pytest.raises(DataError, match="more than 0.1 MB in one file"):
        list(archive_members(where))
    many = [member(str(i), 50_000) for i in range(5)]
    where = written(tmp_path / "a.tar", *many, data=bytes(50_000), mode="w:gz")
    with pytest.raises(DataError, match="more than 0.2 MB once it is unpacked"):
        list(archive_members(where))
    notes = member("a")
    notes.pax_headers = {"comment": "x" * 100_000}
    where = written(tmp_path / "a.tar", notes)
    with pytest.raises(DataError, match="in one file"):
        list(archive_members(where))


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    "damage", [_cut, lambda _: b"", lambda _: b"\x1f\x8b", lambda _: b"text" * 300, gzip.compress]
)
def test_damaged_files(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    where = written(tmp_path / "a.tar.gz", member("a", 30_000), data=bytes(30_000), mode="w:gz")
    where.write_bytes(damage(where.read_bytes()))
    with pytest.raises(DataError, match="cannot be read as a tar archive"):
        list(archive_members(where))


@pytest.mark.parametrize("name", [None, "."])
def test_what_is_not_there(tmp_path: Path, name: Optional[str]) -> None:
    with pytest.raises(DataError, match="there is no archive"):
        list(archive_members(tmp_path / (name or "none.tar")))
