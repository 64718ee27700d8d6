"""What strangers write into a report: `ppcls data fix` follows it within its folder, or refuses."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Dict

import pytest
from hypothesis import strategies as st

from ppcls.data.fix import apply_fixes, plan_fixes, read_report
from tests.hostile.harness import Limits, attack_with, drawn, expect_no_failure

pytestmark = pytest.mark.slow

LIMITS = Limits(seconds=5, megabytes=300)
WORDS = st.sampled_from(
    ["cat", "dog", "0", "1", "", "..", "../out", "/", "photos/cat/1.jpg", "photos/list.txt", "a\nb"]
    + ["x" * 5_000, "\0", "\udc80", "cat/../../out", "photos", ".", "report.json"]
) | st.text(max_size=9)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.lists(WORDS)
RECORD: Dict[str, Any] = {
    "format": 1,
    "made_in": "here",
    "class_names": ["cat", "dog"],
    "sources": {
        "train": {"kind": "folders", "folder": "photos"},
        "val": {
            "kind": "list",
            "folder": "photos",
            "list": "photos/list.txt",
            "delimiter": None,
            "words": {"cat": "0", "dog": "1"},
        },
    },
    "fixes": [
        {
            "confirmed": True,
            "split": split,
            "image": f"photos/cat/{number}.jpg",
            "label": "cat",
            "to": "dog",
            "sha256": hashlib.sha256(b"x").hexdigest(),
        }
        for number, split in ((1, "train"), (2, "val"))
    ],
}


@st.composite
def records(draw: st.DrawFn) -> str:
    """A report with up to two changes."""
    record = copy.deepcopy(RECORD)
    groups = [record, *record["sources"].values(), *record["fixes"], record["sources"]]
    for _ in range(draw(st.integers(0, 2))):
        group = draw(st.sampled_from(groups))
        key = draw(st.sampled_from(sorted(group)) if group else WORDS)
        if draw(st.integers(0, 5)) == 0:
            group.pop(key, None)
        else:
            group[key] = draw(VALUES)
    text = json.dumps(record)
    if draw(st.integers(0, 9)) == 0:
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(["", "[" * 9_000, "9" * 9_000, "NaN"]))
    return text


def fixed(folder: Path, text: str) -> None:
    """Follow a report, and expect that nothing outside the folder of the photos has changed."""
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/3.jpg"):
        (folder / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "photos" / name).write_bytes(b"x")
    (folder / "photos/list.txt").write_text("cat/1.jpg 0\ncat/2.jpg 0\ndog/3.jpg 1\n")
    (folder / "report.json").write_text(text)
    apply_fixes(plan_fixes(read_report(folder / "report.json")))
    outside = {path.name for path in folder.iterdir()}
    assert outside == {"photos", "report.json"}, outside
    files = [path for path in (folder / "photos").rglob("*") if path.suffix == ".jpg"]
    assert len(files) == 3 and all(path.read_bytes() == b"x" for path in files), files


def test_reports(tmp_path: Path) -> None:
    numbers = iter(range(10**9))

    def read(text: str) -> None:
        folder = Path(tempfile.mkdtemp(prefix=f"{next(numbers)}-", dir=tmp_path))
        os.chdir(folder)
        fixed(folder, text)

    summary = attack_with("a report for data fix", drawn(records()), read, tmp_path, LIMITS)
    expect_no_failure(summary, tmp_path)
    assert summary.refused > 0.3 * summary.inputs
    assert summary.inputs - summary.refused > 0
