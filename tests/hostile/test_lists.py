"""Lists of images of strangers, and what claims to be the part of an interrupted run."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path
from typing import Any, Iterator, List

import pytest
from hypothesis import strategies as st

from ppcls.inference.prediction_file import PredictionFile
from ppcls.inference.predictor import Prediction, _readable
from ppcls.inference.sources import Gathering, refuse_all_missing
from tests.hostile.harness import Limits, attack, drawn, expect_no_failure
from tests.hostile.mutate import damaged

pytestmark = pytest.mark.slow

LIMITS = Limits(seconds=5, megabytes=300)

PIECES = [
    *(b"a.png 1", b"b c.jpg,2", b'"d, e.png",3', b"http://127.0.0.1:9/x.png", b"https://[::1/"),
    *(b"path,label", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\r", b"\x0b", b"\xe2\x80\xa8", b'"'),
    *(b"/dev/zero", b"/dev/stdin", b"/proc/self/mem", b"..", b"../" * 2000, b"~", b"-", b"*", b"/"),
    *(b"\x89PNG\r\n\x1a\n", b"P6 1 1 255 abc", b"http://", b"HTTPS://a b", b".jpg", b".jpg" * 999),
    *(b"\x1b[2J.png", b"\xd8\x00.png", b"x" * 300 + b".png", b",", b";", b"|", b"\t", b"[" * 50),
]
"""What a line may hold."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.getLogger("ppcls").setLevel(logging.ERROR)
    yield
    logging.getLogger("ppcls").setLevel(logging.NOTSET)


def _list(rng: random.Random) -> bytes:
    if rng.random() < 0.1:
        return rng.choice(PIECES) * rng.choice((1, 1000, 200_000))
    lines = [b"".join(rng.choices(PIECES, k=rng.choice((1, 1, 2, 5)))) for _ in range(9)]
    text = rng.choice((b"\n", b"\r\n", b"\r")).join(lines)
    return damaged(text, rng) if rng.random() < 0.5 else text


def test_lists_of_images(tmp_path: Path) -> None:
    def read(data: bytes) -> Any:
        (tmp_path / "list.txt").write_bytes(data)
        sources = Gathering().sources([str(tmp_path / "list.txt")])
        refuse_all_missing(sources)
        # What becomes of an image's own fault is a row.
        for source in sources[:5]:
            if isinstance(source, str):
                _readable(source)
        return len(sources)

    found = attack("lists of images", _list, read, tmp_path, LIMITS)
    assert found.refused > found.inputs / 4
    expect_no_failure(found, tmp_path)


ROW = Prediction("a.png", [1], ["one"], [0.5], "one")
WORDS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@pytest.mark.parametrize("name", ["p.jsonl", "p.csv"])
def test_parts_of_interrupted_runs(tmp_path: Path, name: str) -> None:
    sources = ["a.png"] * 5
    path, part, notes = tmp_path / name, tmp_path / f"{name}.part", tmp_path / f"{name}.part.json"
    with pytest.raises(KeyboardInterrupt), PredictionFile(path, 1, sources) as file:
        for _ in sources:
            file.write(ROW)
        raise KeyboardInterrupt
    rows, noted = part.read_bytes(), notes.read_bytes()
    values = drawn(WORDS)

    def make(rng: random.Random) -> List[bytes]:
        odd = json.dumps(rng.choice(values)).encode() + b"\n"
        made = damaged(rows, rng) if rng.random() < 0.7 else rows + odd * rng.choice((1, 9))
        bombs = (b"[" * 99_999, b"9" * 99_999 + b"\n", b'"' * 9, b"\0\r\n", b"{}\n", odd)
        made = made if rng.random() < 0.8 else rng.choice(bombs)
        return [made, damaged(noted, rng) if rng.random() < 0.2 else rng.choice((noted, odd))]

    def read(files: List[bytes]) -> Any:
        part.write_bytes(files[0])
        notes.write_bytes(files[1])
        with PredictionFile(path, 1, sources, resume=True) as file:
            for _ in sources[file.done :]:
                file.write(ROW)
        assert path.read_bytes().count(b"\n") == rows.count(b"\n")
        return file.done

    found = attack(f"parts of {name}", make, read, tmp_path, LIMITS)
    assert found.refused > found.inputs / 4
    expect_no_failure(found, tmp_path)
