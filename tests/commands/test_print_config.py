"""``--print-config``: what is printed loads, and means the same as what it was printed from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import yaml

from ppcls.cli import main
from ppcls.config import load_config
from tests.recipes import all_recipes


@pytest.mark.parametrize("path", all_recipes())
def test_every_recipe_survives_the_round_trip(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "-c", str(path), "--print-config"]) == 0
    printed = tmp_path / "printed.yaml"
    printed.write_text(capsys.readouterr().out)
    again, before = load_config(str(printed)), load_config(str(path))
    assert again.data == before.data
    assert dict(again) == dict(before)
    assert main(["train", "-c", str(printed), "--print-config"]) == 0
    assert capsys.readouterr().out == printed.read_text()


@pytest.mark.parametrize("verb", ["train", "eval", "infer", "export"])
def test_overrides_are_in_what_is_printed(
    verb: str,
    ppcls: Callable[..., int],
    recipe: Dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changes = ["Global.epochs=7", "Loss.Train.0.CELoss.epsilon=1e-2", "~Loss.Eval"]
    assert ppcls(verb, recipe, "--print-config", "-o", *changes) == 0
    found = yaml.safe_load(capsys.readouterr().out)
    recipe["Global"]["epochs"] = 7
    recipe["Loss"] = {"Train": [{"CELoss": {"epsilon": 0.01}}]}
    assert found == recipe
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml"]


def test_mistakes_are_errors_here_too(
    ppcls: Callable[..., int], recipe: Dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe["Global"]["epoch"] = 3
    assert ppcls("train", recipe, "--print-config") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "unknown key 'epoch'" in captured.err


def test_paddleclas_profiler_is_passed_over(
    ppcls: Callable[..., int], recipe: Dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["-p", "batch_range=[10, 20]; profile_path=model.profile"]
    assert ppcls("train", recipe, "--print-config", *given, "-o", "Global.epochs=7") == 0
    captured = capsys.readouterr()
    assert yaml.safe_load(captured.out)["Global"]["epochs"] == 7
    assert "profiler_options has no effect here: `ppcls profile -c FILE`" in captured.err
