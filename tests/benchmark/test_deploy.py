"""A tiny network, timed from end to end."""

from __future__ import annotations

import csv
import functools
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List

import cv2
import numpy as np
import pytest

from ppcls.arch import latency
from ppcls.arch.latency import read_measured
from ppcls.benchmark import deploy as program
from ppcls.benchmark.deploy import accuracy
from ppcls.benchmark.images import prepare_images
from ppcls.benchmark.loadgen import Load
from ppcls.benchmark.networks import bundle_of
from ppcls.benchmark.results import Results, Start, Subject
from ppcls.benchmark.subjects import Opened
from ppcls.cli import main
from ppcls.errors import BundleError
from ppcls.exporters.form import ExportOptions
from ppcls.inference.bundle import Bundle
from ppcls.inference.engines import EngineOptions, auto, installed_engines
from tests.benchmark.test_tables import results

QUICK = ["--queries", "7", "--duration", "0", "--cold-starts", "0"]


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
    monkeypatch.setattr(latency, "MEASURED", tmp_path / "measured.json")
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


def lines_left_out(folder: Path) -> List[str]:
    """What a run left out, with its reasons."""
    return Results.model_validate_json((folder / "results.json").read_bytes()).left_out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("batch", "scenario"),
    [(3, "multi"), pytest.param(4, "server", marks=pytest.mark.exhaustive)],
)
def test_batches_that_are_not_full_stop_no_engine(
    batch: int, scenario: str, photos: Path, cache: Path, tmp_path: Path
) -> None:
    given = ["--models", "LeNet", "--images", photos, "--cache", cache, "--scenario", scenario]
    given += ["--batch-sizes", batch, "--preprocessing", "excluded", "--output", tmp_path]
    assert deploy(*given, *QUICK, "--latency-bound", 1000, "--server-percentile", 50) == 0
    assert lines_left_out(tmp_path) == []


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_bundle_for_one_image_runs_where_eight_are_asked_for(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = functools.partial(ExportOptions, dynamic_batch=False)
    monkeypatch.setattr("ppcls.exporters.form.ExportOptions", fixed)
    bundle = bundle_of("LeNet", tmp_path / "cache")
    assert bundle.input.batch == 1
    given = ["--model_dir", bundle.folder, "--images", photos, "--batch-sizes", "4,1"]
    given += ["--scenario", "multi,offline", "--engines", "paddle", "--output", tmp_path]
    assert deploy(*given, *QUICK, "--server-percentile", 50, "--latency-bound", 1000) == 0
    assert lines_left_out(tmp_path) == ["LeNet, batch 4: it takes batches of 1 only"]


@pytest.mark.slow
def test_what_fails_is_left_out_and_the_rest_written(
    photos: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> Any:
        raise BundleError("it fails")

    monkeypatch.setattr(program, "cold_start", fail)
    given = ["--models", "LeNet", "--images", photos, "--cache", cache, "--engines", "paddle"]
    assert deploy(*given, *QUICK[:-1], "1", "--output", tmp_path) == 0
    assert lines_left_out(tmp_path) == ["LeNet, paddle, fp32, start: it fails"]


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("error", [BundleError("it fails"), RuntimeError(), KeyboardInterrupt()])
def test_what_ends_a_later_network_leaves_the_results_of_those_before(
    error: BaseException,
    photos: Path,
    cache: Path,
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared = iter([prepare_images])

    def once(*given: Any) -> np.ndarray:
        function = next(prepared, None)
        if function is None:
            raise error
        return function(*given)

    monkeypatch.setattr(program, "prepare_images", once)
    monkeypatch.setattr(latency, "MEASURED", tmp_path / "measured.json")
    given = ["--models", "LeNet", "--cache", cache, "--model_dir", bundle.folder, "--engines"]
    given += ["paddle", "--images", photos, *QUICK, "--output", tmp_path, "--write-tables"]
    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError):
            deploy(*given)
    else:
        assert deploy(*given) == (0 if isinstance(error, BundleError) else 130)
    with open(tmp_path / "results.csv", encoding="utf-8") as file:
        assert {line["network"] for line in csv.DictReader(file)} == {"LeNet"}
    assert "| LeNet " in (tmp_path / "results.md").read_text("utf-8")
    left_out = ["LeNet_2: it fails"] if isinstance(error, BundleError) else []
    assert lines_left_out(tmp_path) == left_out
    assert {row.network for row in read_measured(tmp_path / "measured.json").rows} == {"LeNet"}


@pytest.mark.slow
@pytest.mark.exhaustive
def test_auto_has_measured_before_a_start_is_timed(
    photos: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    known: List[Dict[str, float]] = []

    def recall(bundle: Bundle, image: str, engine: str, options: EngineOptions, _: int) -> Start:
        names = installed_engines(bundle.formats, options.device, options.precision)
        known.append(auto._recalled(auto._place(bundle, options, names), names))
        return Start(repeats=1, imports=1, opening=1, first=1, total=3, peak_memory=1)

    monkeypatch.setenv("PPCLS_HOME", str(tmp_path))
    monkeypatch.setattr(program, "cold_start", recall)
    given = ["--models", "LeNet", "--images", photos, "--cache", cache, "--engines", "auto"]
    assert deploy(*given, "--batch-sizes", 4, *QUICK[:-1], "1") == 0
    assert len(known) == 1 and len(known[0]) >= 2


@pytest.mark.slow
def test_the_load_generator_is_compared_with_what_was_measured(
    photos: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one that stands in for MLPerf's, and fails in the end."""
    asked: List[Any] = []

    def generate(scenario: str, answer: Callable[[List[int]], Any], load: Load) -> float:
        answered = answer([0, 1, 2])
        assert load.images == 12 and load.expected > 0
        asked.append((scenario, load.queries, [len(one) for one in answered]))
        if len(asked) == 3:
            raise BundleError("it fails")
        return 0.002 if scenario == "single" else 500.0

    monkeypatch.setattr("ppcls.benchmark.request.check_loadgen", lambda: None)
    monkeypatch.setattr(program, "run_loadgen", generate)
    given = ["--models", "LeNet", "--images", photos, "--cache", cache, "--engines", "paddle"]
    given += ["--scenario", "single,offline", "--batch-sizes", "1,2", "--loadgen"]
    given += ["--preprocessing", "excluded", "--no-bare", "--output", tmp_path]
    assert deploy(*given, *QUICK) == 0
    # The single stream has no place for batches of two.
    assert asked == [
        ("single", 7, [1, 1, 1]),
        ("offline", 7, [1, 1, 1]),
        ("offline", 8, [2, 1]),
    ]
    assert lines_left_out(tmp_path) == ["LeNet, paddle, fp32, MLPerf's load generator: it fails"]
    found = Results.model_validate_json((tmp_path / "results.json").read_bytes())
    single, offline = found.loadgen
    assert (single.unit, single.theirs) == ("s", 0.002)
    assert single.ours is None, "7 queries are too few for a percentile"
    assert (offline.unit, offline.theirs) == ("images/s", 500.0) and offline.ours
    rows = rows_of(capsys.readouterr().out, "Beside MLPerf's load generator")
    ratio = f"{offline.ours / 500:.3f}"
    assert [[*row[4:7], row[8]] for row in rows] == [
        ["single stream", "p90 (ms)", "2", "-"],
        ["offline", "images/s", "500", ratio],
    ]


def test_results_that_cannot_be_written_yet_are_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The disk may have room again after the next network."""

    def fail(results: Results) -> None:
        raise OSError(28, "No space left on device")

    request: Any = SimpleNamespace(outputs=SimpleNamespace(write=fail))
    program._keep(results(), request)
    assert caplog.messages == [
        "the results so far cannot be written: [Errno 28] No space left on device"
    ]
    nothing = results()
    nothing.measurements.clear()
    program._keep(nothing, request)
    assert len(caplog.messages) == 1


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
