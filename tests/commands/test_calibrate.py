"""``ppcls calibrate``: of a run, and of a bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ppcls.cli import main

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def bundle(trained: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.bundle, tmp_path / "bundle"))


@pytest.mark.slow
def test_a_run_is_calibrated_with_its_evaluation_images(
    trained: Any, bundle: Path, tmp_path: Path, digits: Path, capsys: Captured
) -> None:
    given = ["calibrate", "-c", str(trained.config), "--model_dir", str(bundle)]
    options = ["--min-precision", "0", "--engine", "paddle"]
    assert main([*given, *options]) == 0
    out = capsys.readouterr().out
    assert f"Calibrated {bundle} with 40 images" in out and "log loss" in out
    by_recipe = yaml.safe_load((bundle / "inference.yml").read_text())["Bundle"]["calibration"]
    given = ["calibrate", "--model_dir", str(bundle), "--images", str(digits / "val.txt")]
    assert main([*given, *options]) == 0
    by_list = yaml.safe_load((bundle / "inference.yml").read_text())["Bundle"]["calibration"]
    assert by_list["temperature"] == pytest.approx(by_recipe["temperature"], rel=1e-6)


def test_doubtful_images_are_unknown(
    bundle: Path, digits: Path, tmp_path: Path, capsys: Captured
) -> None:
    config = yaml.safe_load((bundle / "inference.yml").read_text())
    config["Bundle"]["calibration"] = {"temperature": 1.0, "threshold": 0.999}
    (bundle / "inference.yml").write_text(yaml.safe_dump(config))
    given = ["predict", "--model_dir", str(bundle), "--engine", "paddle", str(digits / "val/d0")]
    assert main(given) == 0
    assert "unknown; the most probable would be:" in capsys.readouterr().out
    assert main([*given, "--output", str(tmp_path / "p.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert {"unknown"} <= {row["answer"] for row in rows}
    assert all(row["names"] for row in rows), "the ranking stays"


def test_what_is_missing_is_told(tmp_path: Path, capsys: Captured) -> None:
    assert main(["calibrate", "--images", str(tmp_path)]) == 2
    assert "--model_dir: missing; give -c CONFIG of a run" in capsys.readouterr().err
    assert main(["calibrate"]) == 2
    assert "--model_dir and --images: missing" in capsys.readouterr().err


@pytest.mark.slow
def test_another_export_says_that_the_calibration_is_gone(
    trained: Any, bundle: Path, digits: Path, capsys: Captured
) -> None:
    given = ["--model_dir", str(bundle), "--images", str(digits / "val.txt")]
    assert main(["calibrate", *given, "--min-precision", "0", "--engine", "paddle"]) == 0
    capsys.readouterr()
    again = ["export", "-c", str(trained.config), "--output_dir", str(bundle), "--overwrite"]
    assert main([*again, "--format", "paddle"]) == 0
    printed = capsys.readouterr()
    assert "had calibrated scores, and the new one has not" in printed.out + printed.err
    assert "calibration" not in yaml.safe_load((bundle / "inference.yml").read_text())["Bundle"]
