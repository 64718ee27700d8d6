from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from ppcls.errors import UsageError
from ppcls.inference.output import PredictionFile, as_text
from ppcls.inference.predictor import Prediction

_GOOD = Prediction("a b.png", [3, 1], ['tench, "x"', "狗"], [0.75, 0.0000123])
_BAD = Prediction("c.png", error="the PNG file is truncated")
_ODD = Prediction(os.fsdecode(b"\xff.png"), [1], ["one"], [1.0])


def test_text_has_a_block_per_image() -> None:
    assert as_text(_GOOD).splitlines() == [
        "a b.png",
        '   75.000%  tench, "x" (class 3)',
        "    0.001%  狗 (class 1)",
    ]
    assert as_text(_BAD) == "c.png\n  error: the PNG file is truncated"
    assert as_text(_ODD).encode("utf-8").startswith(b"\\udcff.png\n")


def test_jsonl(tmp_path: Path) -> None:
    with PredictionFile(tmp_path / "new/p.jsonl", topk=2) as file:
        for prediction in (_GOOD, _BAD, _ODD):
            file.write(prediction)
        (draft,) = os.listdir(tmp_path / "new")
        assert draft.startswith(".partial-")
    assert os.listdir(tmp_path / "new") == ["p.jsonl"]
    text = (tmp_path / "new/p.jsonl").read_text(encoding="utf-8")
    assert "狗" in text
    rows = [json.loads(line) for line in text.splitlines()]
    assert rows == [_GOOD.to_dict(), _BAD.to_dict(), _ODD.to_dict()]


def test_csv(tmp_path: Path) -> None:
    with PredictionFile(tmp_path / "p.CSV", topk=2) as file:
        for prediction in (_GOOD, _BAD, _ODD):
            file.write(prediction)
    with (tmp_path / "p.CSV").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == [
        *("source", "error", "class_id_1", "name_1", "score_1"),
        *("class_id_2", "name_2", "score_2"),
    ]
    assert rows[0]["name_1"] == 'tench, "x"' and float(rows[0]["score_2"]) == 0.0000123
    assert rows[1]["error"] == "the PNG file is truncated" and rows[1]["class_id_1"] == ""
    assert rows[2]["name_1"] == "one" and rows[2]["name_2"] == ""


def test_an_interruption_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("earlier")
    with pytest.raises(KeyboardInterrupt), PredictionFile(path, topk=1) as file:
        file.write(_ODD)
        raise KeyboardInterrupt
    assert path.read_text() == "earlier"
    assert json.loads((tmp_path / "p.jsonl.part").read_text())["class_ids"] == [1]


def test_unusable_names(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="p.txt: --output takes a file that ends in .jsonl or .csv"
    ):
        PredictionFile(tmp_path / "p.txt", topk=1)
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        PredictionFile(tmp_path / "d.csv", topk=1)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        PredictionFile(tmp_path / "file/p.csv", topk=1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="No space left"),
        PredictionFile(tmp_path / "p.jsonl", topk=1) as file,
    ):
        os.dup2(os.open("/dev/full", os.O_WRONLY), file._file.fileno())
        file.write(_GOOD)
    assert not (tmp_path / "p.jsonl").exists()


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "p.csv.part").symlink_to(victim)
    with pytest.raises(KeyboardInterrupt), PredictionFile(tmp_path / "p.csv", topk=1) as file:
        file.write(_GOOD)
        raise KeyboardInterrupt
    assert victim.read_text() == "precious"
    assert (tmp_path / "p.csv.part").read_text().startswith("source,error")


def test_names_do_not_steer_the_terminal() -> None:
    odd = Prediction("a\x1b[2J\nb.png", [1], ["\u202egnp.exe"], [1.0])
    assert as_text(odd) == "a\\x1b[2J\\nb.png\n  100.000%  \\u202egnp.exe (class 1)"
