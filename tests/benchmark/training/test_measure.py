"""A recipe is measured as a user would, and the results are told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml

from ppcls.benchmark.results import Quantile
from ppcls.benchmark.training.measure import PARTS, PHASES, Settings, measure_training
from ppcls.benchmark.training.report import sweep_as_markdown, training_as_markdown
from ppcls.benchmark.training.results import Training
from ppcls.benchmark.training.sweep import Sweep
from ppcls.cli import main
from ppcls.config import as_config
from ppcls.errors import DataError, UsageError


@pytest.fixture
def file(recipe: Dict[str, Any], tmp_path: Path) -> Path:
    recipe["EMA"] = {"decay": 0.9}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


@pytest.mark.slow
def test_every_part_is_measured_and_told(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["benchmark", "train", "-c", str(file), "--steps", "2", "--rounds", "6"]
    assert main([*given, "--warm-up", "1", "--output", str(tmp_path / "found")]) == 0
    told = capsys.readouterr().out
    assert told == (tmp_path / "found/results.md").read_text()
    assert all(words in told for words in PARTS.values())
    found = Training.model_validate(json.loads((tmp_path / "found/results.json").read_text()))
    assert found.network == "LeNet" and found.batch == [16, 1, 32, 32]
    assert set(found.parts) == set(PARTS) and set(found.phases) == set(PHASES)
    for speed in found.parts.values():
        low, value, high = (getattr(speed.images_per_second, k) for k in ("low", "value", "high"))
        assert 0 < low <= value <= high and speed.step[0].count == 12
    assert found.limits.step and found.limits.decoding and found.peak_memory
    assert re.search(r"of a step: forward \d+%, backward \d+%, update \d+%", told)
    assert "(n = 12, and p99 needs 368)" in told
    # Nothing of a run is written, and the recipe's own evaluation is left out.
    assert not (tmp_path / "run").exists()


def test_images_that_cannot_be_read_are_named(recipe: Dict[str, Any], tmp_path: Path) -> None:
    for i in range(80):
        (tmp_path / f"{i}.png").write_bytes(b"broken")
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i % 4}\n" for i in range(80)))
    recipe["DataLoader"]["Train"]["dataset"].update(
        image_root=str(tmp_path), cls_label_path=str(tmp_path / "list.txt")
    )
    with pytest.raises(DataError, match="none of the images of the first 4 batches"):
        measure_training(as_config(recipe), Settings(1, 1, 1))


@pytest.mark.slow
def test_a_sweep_measures_each_value_in_a_process_of_its_own(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["benchmark", "train", "-c", str(file), "--steps", "1", "--rounds", "1"]
    values = ["--sweep", "batch_size=4,none,8", "--output", str(tmp_path / "found")]
    assert main([*given, "--warm-up", "1", *values]) == 0
    captured = capsys.readouterr()
    assert "batch_size = none cannot be measured: status 2" in captured.out + captured.err
    found = json.loads((tmp_path / "found/results.json").read_text())
    assert found["key"] == "batch_size"
    assert [(one["value"], one["batch"][0]) for one in found["points"]] == [("4", 4), ("8", 8)]
    assert (tmp_path / "found/sweep.png").read_bytes().startswith(b"\x89PNG")
    assert len(re.findall(r"^\| [48] ", captured.out, re.MULTILINE)) == 2


@pytest.mark.parametrize("text", ["", "batch_size", "batch_size=", "=4", "batch_size=,"])
def test_a_sweep_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write a key and its values"):
        Sweep.of(text)


def test_a_sweep_is_read() -> None:
    assert Sweep.of("a.b = 1, 2,") == Sweep("a.b", ["1", "2"])


def quantile(value: float) -> Quantile:
    return Quantile(percent=50, count=7, value=value, low=value, high=value)


def results(**changes: Any) -> Training:
    """What could have been measured."""
    parts: Dict[str, Any] = {
        name: {"images_per_second": quantile(speed), "step": [quantile(0.5)] * 3, "variation": 0.2}
        for name, speed in zip(PARTS, (100.0, 50.0, 48.0, 40.0))
    }
    machine = {"cpu": "A", "cores": 2, "flags": [], "load_average": None, "python": "3",
               "ppcls": "0", "versions": {}}  # fmt: skip
    content: Dict[str, Any] = {
        "network": "LeNet", "kernels": "some", "batch": [8, 1, 32, 32], "precision": "float32",
        "workers": 2, "parts": parts, "phases": dict(zip(PHASES, (1.0, 2.0, 1.0))),
        "data_wait": 0.25, "headspace": quantile(1.2), "trainer_cost": quantile(1.04).model_dump(),
        "peak_memory": 2_000_000_000, "kept_bytes": 5_000_000, "rounds": 7, "steps": 10,
        "environment": machine,
        "limits": {"matrix_product": 2e11, "bandwidth": 1e10, "step": 100.0}, "config": {},
    }  # fmt: skip
    return Training.model_validate({**content, **changes})


@pytest.mark.parametrize(
    "words",
    [
        "of a step: forward 25%, backward 50%, update 25%",
        "training waits for data 25% of its time",
        "it were 1.20 (1.20 to 1.20) times as fast",
        "takes 1.04 (1.04 to 1.04) times as long as one in a bare loop",
        "peak memory: 2.00 GB",
        "200 GFLOP/s in float32, and copies at 10.0 GB/s",
        "allow 100.0 images/s; the step alone reaches 50% of it",
        "20% unstable",
    ],
)
def test_what_the_report_says(words: str) -> None:
    assert words in training_as_markdown(results())


def test_limits_that_are_unknown_are_left_out() -> None:
    told = training_as_markdown(results(limits={"matrix_product": 1.0, "bandwidth": 1.0}))
    assert "decodes" not in told and "multiplications of a step" not in told


def test_the_table_of_a_sweep() -> None:
    lines: List[str] = sweep_as_markdown("batch_size", [("8", results())]).splitlines()
    cells = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    assert cells == ["8", "40.0", "100.0", "50.0", "500.0", "25%", "2.00"]
