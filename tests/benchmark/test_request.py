"""What cannot be measured is refused before anything is."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from ppcls.arch import latency
from ppcls.cli import main
from ppcls.inference.bundle import Bundle


def deploy(*arguments: object) -> int:
    """Run the command."""
    return main(["benchmark", "deploy", *map(str, arguments)])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["--models", "ResNet5O"], "there is no network 'ResNet5O'. Did you mean 'ResNet50'?"),
        (["--engines", "onnxrutnime"], "Did you mean 'onnxruntime'?"),
        (["--precision", "fp23"], "unknown precision 'fp23'."),
        (["--scenario", "streams"], "Accepted: single, multi, server, offline"),
        (["--batch-sizes", "0"], "--batch-sizes takes numbers from 1, got 0"),
        (["--batch-sizes", "13"], "needs 13 different ones"),
        (["--queries", "0"], "--queries takes numbers from 1, got 0"),
        (["--threads", "-1"], "--threads takes numbers from 1, got -1"),
        (["--duration", "-1"], "--duration is a number of seconds from 0, got -1"),
        (["--duration", "nan"], "--duration is a number of seconds"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--latency-bound", "-5"], "--latency-bound is above 0 ms, got -5"),
        (["--server-percentile", "100"], "--server-percentile is 50 to 99.9, got 100"),
        (["--images", "/nowhere"], "/nowhere: no such file or folder"),
        (["--output", "/dev/null/x"], "--output: /dev/null/x/results.json cannot be written (Not"),
        (["--write-tables", "--device", "gpu"], "times of CPUs only: --device cpu"),
    ],
)
def test_bad_options_have_one_message(
    changes: List[str],
    says: str,
    photos: Path,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["--models", "LeNet", "--images", photos / "list.txt", "--cache", cache, *changes]
    assert deploy(*given) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error


@pytest.mark.parametrize("text", ["a", "1;4", "1,4.5"])
def test_batch_sizes_are_numbers(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        deploy("--models", "LeNet", "--images", "x", "--batch-sizes", text)
    assert caught.value.code == 2
    assert f"'{text}' is no list of numbers; write whole numbers" in capsys.readouterr().err


@pytest.mark.slow
def test_the_tables_are_of_networks_by_name(
    photos: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("--model_dir", bundle.folder, "--images", photos, "--write-tables") == 2
    assert "networks that are named (--models)" in capsys.readouterr().err


@pytest.mark.parametrize("problem", ["a folder that is none", "other content"])
def test_the_file_of_the_tables_is_looked_at_first(
    problem: str,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("{")
    path = tmp_path / "file"
    monkeypatch.setattr(latency, "MEASURED", path / "x" if problem[0] == "a" else path)
    assert deploy("--models", "LeNet", "--images", photos, "--write-tables") == 2
    says = "--write-tables: " if problem[0] == "a" else f"{path}: "
    assert says in capsys.readouterr().err


def test_networks_must_be_named(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy("--images", photos) == 2
    assert "--models AlexNet,ResNet50" in capsys.readouterr().err
