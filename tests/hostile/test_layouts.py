"""Tables, lists and names of classes that others have made."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from ppcls.data.layouts import recognise
from tests.data.photo_files import photo_of
from tests.hostile.harness import Limits, attack, expect_no_failure
from tests.hostile.mutate import damaged

pytestmark = pytest.mark.slow

LIMITS = Limits(seconds=5, megabytes=300)

TABLE = """\
filename,label,split,patient
1.jpg,cat,train,7
"2 b.jpg",dog,train,8
1.jpg,dog,val,9
"""
PIECES = [
    *('"', '""', "\n", "\r", ",", ";", "\t", "|", "\0", "\ufeff", "\u2028", "\x85", "\x1b[2J"),
    *(
        "path",
        "class",
        "train",
        "0",
        "-1",
        "9" * 5000,
        "²",
        "x" * 140_000,
        "../" * 2000,
        "/dev/zero",
    ),
    *("." * 300, "1.jpg", "cat/1.jpg", "\ud800", "a,b\n" * 20_000, "," * 100_000, '"' * 99_999),
    *(" ", "1.jpg,cat\n" * 9, "path,label\n", "1.jpg\tcat\n", "pipe.jpg", "", "x" * 300),
]


def changed(text: str, rng: random.Random) -> bytes:
    """Return a text with other pieces in some places, or with damaged bytes."""
    if rng.random() < 0.4:
        return damaged(text.encode(), rng)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice((0, 1, 5)))
        text = text[:start] + rng.choice(PIECES) + text[end:]
    return text.encode("utf-8", "surrogatepass")


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    """A folder with two photos."""
    (tmp_path / "set/images").mkdir(parents=True)
    for name in ("1.jpg", "2 b.jpg"):
        (tmp_path / "set/images" / name).write_bytes(photo_of(name))
    return tmp_path / "set"


def test_tables(folder: Path, tmp_path: Path) -> None:
    def read(text: bytes) -> Any:
        (folder / "photos.csv").write_bytes(text)
        return recognise(folder, columns=["patient"]).counts

    found = attack("tables", lambda rng: changed(TABLE, rng), read, tmp_path, LIMITS)
    assert found.refused > found.inputs / 4
    expect_no_failure(found, tmp_path)


def test_lists_and_names_of_classes(folder: Path, tmp_path: Path) -> None:
    def make(rng: random.Random) -> bytes:
        texts = ["images/1.jpg 0\nimages/2 b.jpg\t1\n", "images/1.jpg 1\n", "0 cat\n1 dog\n"]
        return b"\f".join(
            changed(text, rng) if rng.random() < 0.5 else text.encode() for text in texts
        )

    def read(texts: bytes) -> Any:
        names = ("train_list.txt", "val.txt", "labels.txt")
        for name, text in zip(names, texts.split(b"\f")):
            (folder / name).write_bytes(text)
        return recognise(folder).counts

    found = attack("lists", make, read, tmp_path, LIMITS)
    assert found.refused > found.inputs / 4
    expect_no_failure(found, tmp_path)
