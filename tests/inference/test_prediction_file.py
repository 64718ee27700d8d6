from __future__ import annotations

import csv
import json
import logging
import os
from pathlib import Path
from typing import Any, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppcls.errors import UsageError
from ppcls.inference.prediction_file import PredictionFile
from ppcls.inference.predictor import Prediction

_GOOD = Prediction("a b.png", [3, 1], ['tench, "x"', "狗"], [0.75, 0.0000123], 'tench, "x"')
_BAD = Prediction("c.png", error="the PNG file is truncated")
_ODD = Prediction(os.fsdecode(b"\xff\n.png"), [1], ["one"], [1.0], "unknown")
ROWS = [_GOOD, _BAD, _ODD, _GOOD, _BAD]
SOURCES = [row.source for row in ROWS]
FORMS = ("p.jsonl", "p.csv")


def write(path: Path, rows: List[Prediction], **options: Any) -> int:
    """Write what is not there yet; return how many rows were there."""
    with PredictionFile(path, 2, SOURCES, 2, **options) as file:
        for row in rows[file.done :]:
            file.write(row)
    return file.done


def interrupt(path: Path, count: int, **options: Any) -> None:
    """Write some rows, and stop like Ctrl-C does."""
    with (
        pytest.raises(KeyboardInterrupt),
        PredictionFile(path, 2, SOURCES, 2, **options) as file,
    ):
        for row in ROWS[:count]:
            file.write(row)
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", FORMS)
def test_only_a_whole_file_has_its_name(tmp_path: Path, name: str) -> None:
    with PredictionFile(tmp_path / "new" / name, 2) as file:
        file.write(_GOOD)
        assert sorted(os.listdir(tmp_path / "new")) == [
            f".{name}.lock",
            f"{name}.part",
            f"{name}.part.json",
        ]
        assert "tench" in (tmp_path / "new" / f"{name}.part").read_text("utf-8"), "row by row"
    assert os.listdir(tmp_path / "new") == [name]


@pytest.mark.parametrize("name", FORMS)
def test_a_run_that_goes_on_ends_with_the_same_bytes(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ppcls")
    write(tmp_path / f"whole_{name}", ROWS)
    path = tmp_path / name
    path.write_text("earlier")
    interrupt(path, 3)
    assert path.read_text() == "earlier"
    assert f"3 rows are kept in {path}.part; the same command with --resume" in caplog.text
    assert write(path, ROWS, resume=True) == 2, "whole batches of two"
    assert path.read_bytes() == (tmp_path / f"whole_{name}").read_bytes()
    assert sorted(os.listdir(tmp_path)) == sorted([name, f"whole_{name}"])


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.floats(0, 1))
def test_any_cut_is_continued(tmp_path: Path, name: str, where: float) -> None:
    path, part = tmp_path / name, tmp_path / f"{name}.part"
    write(path, ROWS)
    whole = path.read_bytes()
    interrupt(path, 5)
    part.write_bytes(whole[: int(where * len(whole))])
    assert write(path, ROWS, resume=True) % 2 == 0
    assert path.read_bytes() == whole


def test_failures_among_the_rows_that_are_kept_count(tmp_path: Path) -> None:
    interrupt(tmp_path / "p.csv", 4)
    with PredictionFile(tmp_path / "p.csv", 2, SOURCES, 2, resume=True) as file:
        assert (file.done, file.failed) == (4, 1)


def test_an_interrupted_run_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    interrupt(path, 1)
    with pytest.raises(UsageError, match="--resume goes on with it, --no-resume starts anew"):
        PredictionFile(path, 2, SOURCES, 2, resume=None)
    assert write(path, ROWS, resume=False) == 0
    interrupt(path, 0, resume=None)
    assert os.listdir(tmp_path) == ["p.jsonl"], "a run without a row leaves nothing"
    assert write(path, ROWS, resume=True) == 0, "nothing to go on with is no mistake"


def test_what_does_not_fit_the_rows_is_told(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    interrupt(path, 3, identity={"bundle": "one"})
    with pytest.raises(UsageError, match="made with another bundle: 'one' then, 'two' now"):
        write(path, ROWS, identity={"bundle": "two"}, resume=True)
    with pytest.raises(UsageError, match="row 2 is of 'c.png', where the images have 'x.png' now"):
        PredictionFile(path, 2, ["a b.png", "x.png"], 2, resume=True)
    with pytest.raises(UsageError, match="row 2 is of 'c.png', where the images have no further"):
        PredictionFile(path, 2, ["a b.png"], 2, resume=True)
    Path(f"{path}.part.json").write_text("[")
    with pytest.raises(UsageError, match="does not say what p.jsonl.part was made with"):
        write(path, ROWS, identity={"bundle": "one"}, resume=True)
    Path(f"{path}.part").write_text("no JSON\n")
    with pytest.raises(UsageError, match="holds what is no row of predictions"):
        write(path, ROWS, resume=True)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with (
        PredictionFile(tmp_path / "p.csv", 2),
        pytest.raises(UsageError, match="p.csv: is being written by process"),
    ):
        PredictionFile(tmp_path / "p.csv", 2)


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
    for resume in (False, True):
        (tmp_path / "p.csv.part").unlink(missing_ok=True)
        (tmp_path / "p.csv.part").symlink_to(victim)
        try:
            interrupt(tmp_path / "p.csv", 1, resume=resume)
            assert (tmp_path / "p.csv.part").read_text().startswith("source,error")
        except UsageError:
            assert resume
        assert victim.read_text() == "precious"


def test_rows_are_those_of_the_predictions(tmp_path: Path) -> None:
    for name in FORMS:
        write(tmp_path / name, ROWS)
    text = (tmp_path / "p.jsonl").read_text(encoding="utf-8")
    assert "狗" in text
    assert [json.loads(line) for line in text.splitlines()] == [row.to_dict() for row in ROWS]
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == [
        *("source", "error", "answer", "class_id_1", "name_1", "score_1"),
        *("class_id_2", "name_2", "score_2"),
    ]
    assert rows[0]["name_1"] == 'tench, "x"' and float(rows[0]["score_2"]) == 0.0000123
    assert rows[1]["error"] == "the PNG file is truncated" and rows[1]["class_id_1"] == ""
    assert rows[2]["name_1"] == "one" and rows[2]["name_2"] == ""
    assert [row["answer"] for row in rows[:3]] == ['tench, "x"', "", "unknown"]
