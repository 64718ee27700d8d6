"""``ppcls train --dry-run``, and what a run leaves behind; training itself is in tests/engine."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import yaml

LENET_PARAMETERS = {
    "C1, 5x5, 1 to 6": 5 * 5 * 6 + 6,
    "C3, 5x5, 6 to 16": 5 * 5 * 6 * 16 + 16,
    "C5, 5x5, 16 to 120": 5 * 5 * 16 * 120 + 120,
    "F6, 120 to 84": 120 * 84 + 84,
    "output, 84 to 4": 84 * 4 + 4,
}
LENET_MACS = {
    "C1, 28x28": 28 * 28 * 5 * 5 * 6,
    "C3, 10x10": 10 * 10 * 5 * 5 * 6 * 16,
    "C5, 1x1": 5 * 5 * 16 * 120,
    "F6": 120 * 84,
    "output": 84 * 4,
}


def rows(text: str) -> Dict[str, str]:
    """The lines of a dry run's report: what it is about, and what it says."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("  ")]
    return {name: rest.strip() for name, _, rest in (line.partition("  ") for line in lines)}


def test_dry_run_reports_shapes_sizes_and_costs(
    ppcls: Callable[..., int], recipe: Dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", recipe, "--dry-run") == 0
    found = rows(capsys.readouterr().out)
    macs = sum(LENET_MACS.values())
    assert found["network"] == "LeNet, 4 classes, on cpu"
    assert found["training batch"].startswith("[16, 1, 32, 32], float32; labels 0 to ")
    assert found["evaluation batch"] == "[12, 1, 32, 32]"
    assert found["output"] == "[16, 4]"
    assert found["parameters"] == f"{sum(LENET_PARAMETERS.values()):,} trainable"
    assert found["FLOPs"].startswith(f"{2 * macs / 1e6:.3f} M an image ({macs / 1e6:.3f} M ")
    assert found["data"] == "train 80 images in 5 batches; eval 40 images in 4 batches"
    assert found["learning rate"].startswith("0.05 at first")
    assert 0 < float(found["loss"].split(",")[0]) < 10
    assert float(found["peak memory"].split()[0]) > 0


def test_dry_run_lists_the_layers(
    ppcls: Callable[..., int], recipe: Dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", recipe, "--dry-run") == 0
    report, layers = capsys.readouterr().out.split("\n\n")
    lines = [line.split() for line in layers.splitlines()]
    assert lines[0] == ["layer", "type", "output", "parameters", "MACs"]
    assert lines[1] == ["c1.conv", "Conv2D", "6x28x28", "156", "117,600"]
    assert lines[-2] == ["head.fc", "Linear", "4", "340", "336"]
    assert lines[-1] == ["total", f"{sum(LENET_PARAMETERS.values()):,}", "416,016"]
    assert sum(LENET_MACS.values()) == 416016


@pytest.mark.parametrize(
    ("name", "count"),
    [("LeNet", 13), ("ResNet18", 16), pytest.param("ResNet152", 7, marks=pytest.mark.slow)],
)
def test_the_layers_of_big_networks_are_added_up(name: str, count: int) -> None:
    from ppcls.arch import create_model
    from ppcls.arch.summary import count_parameters, summarise
    from ppcls.engine.dry_run import condensed

    network = create_model(name, class_num=10)
    layers = summarise(network, [network.in_channels, 32, 32])
    rows = condensed(layers)
    assert len(rows) == count and rows[-1].output == (10,)
    assert sum(row.parameters for row in rows) == count_parameters(network)
    assert sum(row.macs for row in rows) == sum(row.macs for row in layers)


@pytest.mark.slow
@pytest.mark.parametrize(("batches", "updates"), [(1, 10), (2, 6), (64, 2)])
def test_dry_run_shows_the_rates_of_the_updates_that_there_are(
    batches: int,
    updates: int,
    ppcls: Callable[..., int],
    recipe: Dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two epochs of five batches; the cosine ends at zero after the last update."""
    assert ppcls("train", recipe, "--dry-run", "-o", f"Global.update_freq={batches}") == 0
    rate = rows(capsys.readouterr().out)["learning rate"]
    middle, last = (
        0.025 * (1 + math.cos(math.pi * i / updates)) for i in (updates // 2, updates - 1)
    )
    assert rate == f"0.05 at first, {middle:g} half-way, {last:g} at last"


def test_dry_run_writes_nothing(
    ppcls: Callable[..., int],
    recipe: Dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)
    recipe["Global"]["output_dir"] = "output"
    assert ppcls("train", recipe, "--dry-run") == 0
    assert list(working.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml", "working"]


def test_dry_run_leaves_a_run_as_it_is(trained: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from ppcls.cli import main

    def state() -> List[Any]:
        files = [path for path in trained.folder.rglob("*") if path.is_file()]
        return sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files)

    before = state()
    assert main(["train", "-c", str(trained.config), "--dry-run"]) == 0
    assert "all parts fit together" in capsys.readouterr().out
    assert state() == before


def test_a_run_leaves_what_its_end_says(trained: Any) -> None:
    names = {path.name for path in trained.folder.iterdir()}
    assert names == {
        "best_model.safetensors",
        "checkpoints",
        "config.yaml",
        "curves.png",
        "inference",
        "train.log",
        "train_log.jsonl",
    }
    assert yaml.safe_load((trained.folder / "config.yaml").read_text()) == trained.recipe
    lines = (trained.folder / "train_log.jsonl").read_text().splitlines()
    assert {json.loads(line)["event"] for line in lines} == {"train", "epoch", "eval"}
    assert (trained.folder / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_what_fails_at_once_does_not_occupy_the_folder(
    ppcls: Callable[..., int], recipe: Dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", recipe, "-o", "AMP.dtype=float16") == 2
    assert ppcls("train", recipe, "--resume", "nothing.safetensors") == 1
    capsys.readouterr()
    assert ppcls("train", recipe, "-o", "Global.epochs=1") == 0
    assert ppcls("train", recipe) == 2
    assert "already holds a run" in capsys.readouterr().err
