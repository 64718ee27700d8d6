"""Correcting labels in lists and class folders: what is changed, and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from ppcls.cli import main
from ppcls.data.fix import apply_fixes, plan_fixes, read_report
from ppcls.errors import DataError

NAMES = ["cat", "dog"]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four files in two class folders, with a list; the test stands beside them."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat/a b.jpg", "cat/2.jpg", "dog/1.jpg", "dog/deep/3.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    lines = ["cat/a b.jpg 0", "cat/2.jpg 0", "", "dog/1.jpg\t1 ", "dog/deep/3.jpg 1"]
    (tmp_path / "photos/list.txt").write_bytes("\r\n".join(lines).encode())
    return tmp_path / "photos"


LIST = {
    "kind": "list",
    "folder": "photos",
    "list": "photos/list.txt",
    "delimiter": None,
    "words": {"cat": "0", "dog": "1"},
}
FOLDERS = {"kind": "folders", "folder": "photos"}


def fix(image: str, label: str, to: str, confirmed: bool = True) -> Dict[str, Any]:
    name = image.partition("/")[2]
    digest = hashlib.sha256(name.encode()).hexdigest()
    found = {"confirmed": confirmed, "split": "train", "image": image, "label": label, "to": to}
    return {**found, "sha256": digest, "label_probability": 0.1}


def written(source: Dict[str, Any], fixes: List[Dict[str, Any]], **more: Any) -> Path:
    record = {
        "format": 1,
        "made_in": "elsewhere",
        "class_names": NAMES,
        "sources": {"train": source},
        "fixes": fixes,
        "summary": {},
        **more,
    }
    Path("report.json").write_text(json.dumps(record))
    return Path("report.json")


def content(folder: Path) -> Dict[str, bytes]:
    """Every file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_lines_of_a_list_get_the_other_label(photos: Path) -> None:
    before = (photos / "list.txt").read_bytes()
    report = written(
        LIST,
        [
            fix("photos/cat/a b.jpg", "cat", "dog"),
            fix("photos/dog/1.jpg", "dog", "cat"),
            fix("photos/cat/2.jpg", "cat", "dog", confirmed=False),
        ],
    )
    assert main(["data", "fix", str(report)]) == 0
    lines = ["cat/a b.jpg 1", "cat/2.jpg 0", "", "dog/1.jpg\t0 ", "dog/deep/3.jpg 1"]
    assert (photos / "list.txt").read_bytes() == "\r\n".join(lines).encode()
    assert (photos / "list.txt.1.bak").read_bytes() == before
    assert sorted(content(photos)) == sorted(
        ["cat/a b.jpg", "cat/2.jpg", "dog/1.jpg", "dog/deep/3.jpg", "list.txt", "list.txt.1.bak"]
    )


def test_files_move_to_the_folder_of_their_class(photos: Path) -> None:
    report = written(
        FOLDERS,
        [fix("photos/dog/deep/3.jpg", "dog", "cat"), fix("photos/cat/2.jpg", "cat", "dog")],
    )
    before = content(photos)
    assert main(["data", "fix", str(report)]) == 0
    after = content(photos)
    assert after["cat/deep/3.jpg"] == b"dog/deep/3.jpg" and after["dog/2.jpg"] == b"cat/2.jpg"
    assert sorted(after.values()) == sorted(before.values())


@pytest.mark.parametrize("source", [LIST, FOLDERS])
def test_a_dry_run_says_it_and_changes_nothing(
    source: Any, photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    report, before = written(source, [fix("photos/cat/2.jpg", "cat", "dog")]), content(photos)
    assert main(["data", "fix", str(report), "--dry-run"]) == 0
    assert content(photos) == before
    out = capfd.readouterr().out
    assert "photos/cat/2.jpg" in out and "1 change; nothing was changed" in out


@pytest.mark.parametrize("source", [LIST, FOLDERS])
def test_done_once_it_is_out_of_date(source: Any, photos: Path) -> None:
    report = written(source, [fix("photos/cat/2.jpg", "cat", "dog")])
    apply_fixes(plan_fixes(read_report(report)))
    before = content(photos)
    with pytest.raises(DataError, match="cannot be made, so none was"):
        plan_fixes(read_report(report))
    assert content(photos) == before


def spoil(photos: Path, name: str, data: Optional[bytes]) -> None:
    if data is None:
        (photos / name).unlink()
    else:
        (photos / name).write_bytes(data)


@pytest.mark.parametrize(
    ("source", "change", "one", "reason"),
    [
        (LIST, ("cat/2.jpg", None), ("cat/2.jpg", "cat", "dog"), "not there any more"),
        (LIST, ("cat/2.jpg", b"x"), ("cat/2.jpg", "cat", "dog"), "another one than when"),
        (LIST, ("list.txt", b"a.jpg 0"), ("cat/2.jpg", "cat", "dog"), "does not say any more"),
        (LIST, ("list.txt", None), ("cat/2.jpg", "cat", "dog"), "list.txt cannot be read"),
        (LIST, None, ("cat/2.jpg", "cat", "cow"), "no class 'cow'. The classes: cat, dog"),
        (FOLDERS, ("dog/2.jpg", b""), ("cat/2.jpg", "cat", "dog"), "dog/2.jpg is there already"),
        (FOLDERS, None, ("cat/2.jpg", "dog", "cat"), "not lie in the folder of dog"),
        ({**FOLDERS, "folder": "other"}, None, ("cat/2.jpg", "cat", "dog"), "not lie in other"),
        ({**LIST, "list": None}, None, ("cat/2.jpg", "cat", "dog"), "does not say in which list"),
        ({**LIST, "list": "a\0b"}, None, ("cat/2.jpg", "cat", "dog"), "cannot be read: embedded"),
        ({**LIST, "words": {"cat": "0"}}, None, ("cat/2.jpg", "cat", "dog"), "is not known"),
        (
            {**LIST, "words": {"cat": "0", "dog": "1\nb.jpg 0"}},
            None,
            ("cat/2.jpg", "cat", "dog"),
            "is no word for a class",
        ),
    ],
)
def test_what_cannot_be_followed_changes_nothing(
    source: Any, change: Any, one: Any, reason: str, photos: Path
) -> None:
    if change:
        spoil(photos, *change)
    report = written(
        source, [fix("photos/dog/1.jpg", "dog", "cat"), fix(f"photos/{one[0]}", *one[1:])]
    )
    before = content(photos)
    with pytest.raises(DataError, match="confirmed fixes cannot be made") as found:
        plan_fixes(read_report(report))
    assert reason in str(found.value) and "the report was made in elsewhere" in str(found.value)
    assert content(photos) == before


def test_labels_that_nobody_knows_the_place_of_are_left(photos: Path) -> None:
    one = {**fix("photos/cat/2.jpg", "cat", "dog"), "split": "val"}
    with pytest.raises(DataError, match="where the labels of 'val' are written is not known"):
        plan_fixes(read_report(written(LIST, [one])))


def test_an_image_that_cannot_be_read_is_not_relabelled(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> str:
        raise OSError(f"{path} cannot be read")

    report = read_report(written(LIST, [fix("photos/cat/2.jpg", "cat", "dog")]))
    monkeypatch.setattr("ppcls.data.fix.sha256_of", fail)
    with pytest.raises(DataError, match="the file is not there any more"):
        plan_fixes(report)


def test_a_label_that_is_right_already_changes_nothing(photos: Path) -> None:
    assert plan_fixes(read_report(written(LIST, [fix("photos/cat/2.jpg", "cat", "cat")]))) == []


def test_a_file_that_came_in_between_is_not_overwritten(photos: Path) -> None:
    report = read_report(written(FOLDERS, [fix("photos/cat/2.jpg", "cat", "dog")]))
    planned = plan_fixes(report)
    (photos / "dog/2.jpg").write_bytes(b"precious")
    before = content(photos)
    with pytest.raises(FileExistsError, match="photos/dog/2.jpg"):
        apply_fixes(planned)
    assert content(photos) == before


def test_each_correction_keeps_the_list_before_it(photos: Path) -> None:
    first = (photos / "list.txt").read_bytes()
    apply_fixes(plan_fixes(read_report(written(LIST, [fix("photos/cat/2.jpg", "cat", "dog")]))))
    second = (photos / "list.txt").read_bytes()
    apply_fixes(plan_fixes(read_report(written(LIST, [fix("photos/cat/a b.jpg", "cat", "dog")]))))
    assert (photos / "list.txt.1.bak").read_bytes() == first
    assert (photos / "list.txt.2.bak").read_bytes() == second != first


def test_no_folder_outside_is_written_to(photos: Path) -> None:
    one = fix("photos/cat/2.jpg", "cat", "../out")
    report = written(FOLDERS, [one], class_names=["cat", "../out"])
    with pytest.raises(DataError, match="no name of a folder"):
        plan_fixes(read_report(report))
    climbing = fix("photos/cat/../../report.json", "cat", "dog")
    with pytest.raises(DataError):
        plan_fixes(read_report(written(FOLDERS, [climbing])))


def test_two_files_never_become_one(photos: Path) -> None:
    names = ["cat", "dog", "cow"]
    twin = photos / "dog/2.jpg"
    twin.write_bytes(b"dog/2.jpg")
    fixes = [fix("photos/cat/2.jpg", "cat", "cow"), fix("photos/dog/2.jpg", "dog", "cow")]
    with pytest.raises(DataError, match="two images would become photos/cow/2.jpg"):
        plan_fixes(read_report(written(FOLDERS, fixes, class_names=names)))


def test_nothing_confirmed(photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = written(LIST, [fix("photos/cat/2.jpg", "cat", "dog", confirmed=False)])
    assert main(["data", "fix", str(report)]) == 0
    assert "nothing is confirmed" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "this is no JSON"),
        ("[]", "this is no report"),
        ("{}", "required, but missing"),
        ('{"format": 2}', "format"),
        ("[" * 100_000, "too deep"),
        ("\xff", "this is no"),
    ],
)
def test_what_is_no_report(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=reason):
        read_report(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_report(tmp_path / "none.json")
