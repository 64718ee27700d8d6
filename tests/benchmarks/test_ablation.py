"""The recipes and figures of the ablation, and one run of it in small."""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from ppcls.config import load_config


@pytest.fixture(scope="module")
def ablation(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ablation", root / "benchmarks/ablation.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("cifar"), np.random.default_rng(0)
    for split in ("train", "test"):
        for name in "ab":
            (folder / split / name).mkdir(parents=True)
            for number in range(8):
                image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                cv2.imwrite(str(folder / split / name / f"{number}.jpg"), image)
    return folder


@pytest.fixture
def arguments(cifar: Path, tmp_path: Path) -> argparse.Namespace:
    return argparse.Namespace(cifar=cifar, images=8, epochs=4, output=tmp_path)


def test_every_variant_is_a_recipe_that_differs_from_the_baseline(
    ablation: ModuleType, arguments: Any, tmp_path: Path
) -> None:
    recipes = {
        name: ablation.recipe_of(name, 0, tmp_path / name / "run", arguments)
        for name in ablation.VARIANTS
    }
    for name, recipe in recipes.items():
        path = tmp_path / "recipe.yaml"
        path.write_text(json.dumps(recipe))
        assert load_config(str(path)).Arch.name == "LeNet"
        same = {key: value for key, value in recipe.items() if key != "Global"}
        for other, theirs in recipes.items():
            changed = {key: value for key, value in theirs.items() if key != "Global"}
            text, others = json.dumps(same), json.dumps(changed)
            text = text.replace(str(tmp_path / name), "")
            others = others.replace(str(tmp_path / other), "")
            assert (text == others) == (name == other), (name, other)


def test_lists_are_drawn_by_class_and_seed(
    ablation: ModuleType, cifar: Path, tmp_path: Path
) -> None:
    texts = [
        ablation.lists(cifar, 8, seed, tmp_path / str(i)).read_text()
        for i, seed in enumerate((0, 0, 1))
    ]
    assert texts[0] == texts[1] != texts[2]
    assert sorted(line[-1] for line in texts[0].splitlines()) == [*"aaaabbbb"]


def test_the_table_compares_with_the_baseline_of_the_same_seed(ablation: ModuleType) -> None:
    rows = [
        {"variant": name, "seed": seed, "seconds": 10.0, "eval": value, "train": 0.9}
        for name, values in (("baseline", (0.5, 0.6)), ("EMA 0.99", (0.52, 0.61)))
        for seed, value in enumerate(values)
    ]
    line = ablation.table(rows).splitlines()[-1]
    assert line == (
        "| EMA 0.99 | 56.50 % | 52.00 to 61.00 | +1.50 (+1.00 to +2.00) | 90.0 % | 10 |"
    )


@pytest.mark.slow
def test_a_run_gives_its_last_accuracies(ablation: ModuleType, arguments: Any) -> None:
    found = ablation.measure("label smoothing 0.1", 0, arguments)
    assert found["variant"] == "label smoothing 0.1" and 0 <= found["eval"] <= 1
    assert 0 <= found["train"] <= 1 and found["seconds"] > 0
    ablation.plot([found], arguments.output / "plot.png")
    assert (arguments.output / "plot.png").stat().st_size > 1000
