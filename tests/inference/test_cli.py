from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
from pathlib import Path
from typing import Callable, List

import pytest

from ppcls.errors import BundleError, DataError, UsageError
from ppcls.inference import cli
from ppcls.inference.predictor import Timing

RunPython = Callable[..., "subprocess.CompletedProcess[str]"]


def _run(arguments: List[object]) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run(parser.parse_args(["--device", "cpu", *map(str, arguments)]))


def test_prints_names_and_probabilities(
    exported: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = photos / "2.png"
    status = _run(["--model_dir", exported, "--input", image, "--topk", 2, "--threads", 1])
    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert lines[0] == str(image) and len(lines) == 4
    assert "%" in lines[1] and "(class " in lines[1]
    assert lines[-1] == "1 image, 0 errors"


def test_folder_with_a_bad_image(
    exported: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["--model_dir", exported, "--input", photos, "--batch_size", 3]) == 0
    out = capsys.readouterr().out
    assert f"{photos / '3.png'}\n  error: the PNG file is truncated" in out
    assert out.splitlines()[-1] == "4 images, 1 error"


def test_status_is_1_only_when_every_image_failed(
    exported: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [photos / "3.png", photos / "notes.txt"]
    assert _run(["--model_dir", exported, "--input", *bad]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 images, 2 errors"


def test_writes_jsonl_and_csv(
    exported: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("p.jsonl", "p.csv"):
        target = tmp_path / name
        assert _run(["--model_dir", exported, "--input", photos, "--output", target]) == 0
        out = capsys.readouterr().out
        assert "3.png" in out and "2.png" not in out, "only the errors are printed"
        assert out.splitlines()[-1] == f"4 images, 1 error; written to {target}"
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [row["error"] is None for row in rows] == [True, False, True, True]
    with (tmp_path / "p.csv").open(newline="") as lines:
        table = list(csv.DictReader(lines))
    for row, cells in zip(rows, table):
        assert cells["source"] == row["source"] and bool(cells["error"]) == bool(row["error"])
        if not row["error"]:
            assert int(cells["class_id_3"]) == row["class_ids"][2]
            assert float(cells["score_1"]) == row["scores"][0]


def test_bad_input_is_named_before_anything_is_loaded(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        _run(["--model_dir", exported, "--input", tmp_path / "gone"])
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(BundleError, match="no such folder"):
        _run(["--model_dir", tmp_path / "gone", "--input", tmp_path / "a.png"])
    with pytest.raises(UsageError, match=".jsonl or .csv"):
        _run(
            ["--model_dir", exported, "--input", tmp_path / "a.png", "--output", tmp_path / "p.txt"]
        )


def test_missing_files_among_others_are_error_rows(
    exported: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [tmp_path / "gone.png", photos / "2.png", photos / "*.gif"]
    assert _run(["--model_dir", exported, *given]) == 0
    out = capsys.readouterr().out
    assert f"{given[0]}\n  error: the file does not exist" in out
    assert f"{given[2]}\n  error: no file matches this pattern" in out
    assert out.splitlines()[-1] == "3 images, 2 errors"
    target = tmp_path / "p.csv"
    assert _run(["--model_dir", exported, given[0], "--output", target]) == 1
    assert len(target.read_text().splitlines()) == 2, "a file gets its row all the same"


def test_rows_on_standard_output_stand_alone(
    exported: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["--model_dir", exported, photos, "--no-recursive", "--output", "-"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(row["source"]).name for row in rows] == ["2.png", "3.png", "10.png"]
    assert [row["error"] is None for row in rows] == [True, False, True]
    assert rows[0]["answer"] == rows[0]["names"][0]
    with pytest.raises(UsageError, match="--resume and --no-resume belong to --output FILE"):
        _run(["--model_dir", exported, photos, "--output", "-", "--resume"])


def test_no_images_at_once_is_refused_for_one_image_too(exported: Path, photos: Path) -> None:
    for images in ([photos / "2.png"], [photos]):
        with pytest.raises(UsageError, match="batch_size is at least 1, got 0"):
            _run(["--model_dir", exported, "--input", *images, "--batch_size", 0])


def test_says_which_engine_runs_what_it_reports_and_how_long_an_image_takes(
    exported: Path, photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ppcls")
    assert _run(["--model_dir", exported, "--input", photos, "--threads", 1]) == 0
    opening, first, last = caplog.messages
    assert opening == f"opening {exported}"
    assert re.match(
        r"engine: paddle \d\S+, cpu, fp32, 1 threads; chosen: no other is instal", first
    )
    assert "; it reports: cpu_math_thread: 1, enable_mkldnn: true" in first
    found = re.fullmatch(r"([\d.]+) ms an image: ([\d.]+) to read .*, ([\d.]+) in the netw.*", last)
    assert found and float(found[1]) >= float(found[2])
    caplog.clear()
    _run(["--model_dir", exported, "--input", photos / "3.png", "--engine", "paddle"])
    assert len(caplog.messages) == 2 and "chosen" not in caplog.messages[1]


def test_times_are_means_without_the_first_batch() -> None:
    times = cli.Times()
    assert times.line() == ""
    for timing in (Timing(9, 90, 1), Timing(9, 90, 1)):
        times.add(timing)
    assert times.line() == ("100.0 ms an image: 9.0 to read and preprocess it, 90.0 in the network")
    for other in (Timing(1, 2, 3), None, Timing(2, 4, 0)):
        times.add(other)
    assert times.line() == "6.0 ms an image: 1.5 to read and preprocess it, 3.0 in the network"


@pytest.mark.slow
def test_door_in_deploy(
    root: Path, exported: Path, photos: Path, tmp_path: Path, run_python: RunPython
) -> None:
    script = root / "deploy/predict.py"
    environment = {"PYTHONPATH": ""}
    options = ["--model_dir", exported, "--device", "cpu"]
    done = run_python(script, *options, "--input", photos, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "4 images, 1 error"
    assert "Traceback" not in done.stderr and "new_executor" not in done.stderr
    done = run_python(script, *options, "--input", tmp_path / "gone", cwd=tmp_path, env=environment)
    assert done.returncode == 1 and "no such file or folder" in done.stderr
    assert "Traceback" not in done.stderr
