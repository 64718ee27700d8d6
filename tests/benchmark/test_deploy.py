"""A tiny network, timed from end to end."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path
from typing import Any, Callable, List

import cv2
import numpy as np
import pytest

from ppcls.arch.latency import read_measured
from ppcls.benchmark import tables
from ppcls.benchmark.deploy import accuracy
from ppcls.benchmark.results import Results, Subject
from ppcls.benchmark.subjects import Opened
from ppcls.cli import main

QUICK = ["--queries", "7", "--duration", "0", "--cold-starts", "0"]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where LeNet is exported to, once."""
    return tmp_path_factory.mktemp("cache")


def deploy(*arguments: object) -> int:
    """Run the command."""
    return main(["benchmark", "deploy", *map(str, arguments)])


def rows_of(table: str, heading: str) -> List[List[str]]:
    """The cells of the table below a heading, without its head."""
    lines = table.split(f"## {heading}\n\n")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.slow
def test_every_scenario_is_measured_and_written(
    photos: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables.keep_latencies, "__defaults__", (tmp_path / "measured.json",))
    out = tmp_path / "out"
    scenarios = "single,multi,server,offline"
    given = ["--models", "LeNet", "--images", photos / "list.txt", "--cache", cache]
    given += ["--engines", "paddle,auto", "--batch-sizes", "1,4", "--scenario", scenarios]
    assert deploy(*given, *QUICK, "--output", out, "--write-tables") == 0
    printed = capsys.readouterr().out
    assert printed == (out / "results.md").read_text("utf-8")
    assert "Not of MLPerf's length" in printed and "600 s and at least 64 queries" in printed

    results = Results.model_validate_json((out / "results.json").read_bytes())
    assert {one.scenario for one in results.measurements} == set(scenarios.split(","))
    assert {one.batch_size for one in results.measurements} == {1, 4}
    assert {one.preprocessing for one in results.measurements} == {False, True}
    assert results.networks[0].weights == "random weights, seed 0"
    ours = {(s.engine, s.bare) for s in results.subjects}
    assert {("paddle", False), ("auto", False), ("paddle", True)} <= ours

    by_place = {
        (results.subjects[one.subject].engine, results.subjects[one.subject].bare): one
        for one in results.measurements
        if (one.scenario, one.batch_size, one.preprocessing) == ("single", 4, False)
    }
    one = by_place["paddle", False]
    assert one.queries >= 7 and one.seconds > 0
    assert one.percentile is not None and one.percentile.value is None
    assert one.percentile.reason == f"n = {one.queries}, and p90 needs 36"
    assert one.images_per_second == pytest.approx(4 * one.queries / one.seconds)
    assert one.to_bare is not None and one.to_bare.count >= 7
    server = [one for one in results.measurements if one.scenario == "server"]
    assert {tuple(one.notes)[-1:] for one in server} == {("n = 7, and p99 needs 368",)}

    with open(out / "results.csv", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(results.measurements)
    assert {line["network"] for line in lines} == {"LeNet"}
    assert not (out / "plot.png").exists(), "random weights know nothing, and none are published"

    kept = read_measured(tmp_path / "measured.json")
    assert {(row.engine, row.batch_size) for row in kept.rows} == {
        (engine, size) for engine in ("paddle", "auto") for size in (1, 4)
    }


@pytest.mark.slow
def test_a_bundle_with_labels_has_accuracy_start_and_a_plot(
    trained: Any, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    given = ["--model_dir", trained.bundle, "--images", digits / "val.txt", "--engines", "paddle"]
    quick = [*QUICK[:-1], "1", "--preprocessing", "excluded"]
    assert deploy(*given, *quick, "--output", out) == 0
    (row,) = rows_of(capsys.readouterr().out, "Accuracy, and start of a new process")
    assert row[:4] == ["LeNet", "paddle", "fp32", "40"]

    from ppcls.inference import Predictor

    lines = [line.split() for line in (digits / "val.txt").read_text().splitlines()]
    found = Predictor(trained.bundle)([str(digits / path) for path, _ in lines])
    right = [one.class_ids[0] == int(label) for one, (_, label) in zip(found, lines)]
    assert row[4] == f"{100 * np.mean(right):.2f} %"
    total, imports, opening, first = map(float, row[6:10])
    assert total == pytest.approx(imports + opening + first, abs=0.02)
    assert 50 < float(row[10].split()[0]) < 5000
    assert cv2.imread(str(out / "plot.png")).shape == (780, 1200, 3)


def test_accuracy_by_hand() -> None:
    probabilities = np.array([[0.1, 0.6, 0.1, 0.1, 0.05, 0.05], [0.9, 0.02, 0.02, 0.02, 0.02, 0.0]])
    batches: List[int] = []

    def run(images: np.ndarray) -> np.ndarray:
        batches.append(len(images))
        return probabilities[[int(image[0]) for image in images]]

    one = Opened(Subject(network="n", engine="e", precision="fp32"), run)
    found = accuracy(one, np.array([[0], [1], [1]]), np.array([1, 1, 5]), batch=2)
    assert (found.images, found.top1, found.top5) == (3, pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert batches == [2, 1]


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


def test_networks_must_be_named(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy("--images", photos) == 2
    assert "--models AlexNet,ResNet50" in capsys.readouterr().err


def test_a_missing_engine_names_its_extra(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ppcls.benchmark.subjects.is_installed", lambda name: False)
    assert deploy("--models", "LeNet", "--images", photos, "--engines", "openvino") == 2
    assert "pip install 'ppcls[openvino]'" in capsys.readouterr().err


@pytest.mark.slow
def test_float16_on_a_cpu_is_left_out_with_the_reason(
    photos: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--models", "LeNet", "--images", photos, "--cache", cache, "--precision", "fp16"]
    assert deploy(*given, "--engines", "paddle_plain", *QUICK) == 2
    assert "fp16" in capsys.readouterr().err


@pytest.mark.slow
def test_the_script_runs_without_installation(
    photos: Path, cache: Path, root: Path, run_python: Callable[..., Any], tmp_path: Path
) -> None:
    given = ["--models", "LeNet", "--images", photos, "--cache", cache, "--engines", "paddle"]
    done: subprocess.CompletedProcess[str] = run_python(
        root / "deploy/benchmark.py", *given, *QUICK, cwd=tmp_path, env={"PYTHONPATH": ""}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Deployment, measured\n")
