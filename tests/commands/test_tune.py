"""``ppcls tune``: what it hands over and says at the end; the search is in tests/api/tuning."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional

import pytest

from ppcls.api.tuning import study
from ppcls.cli import main
from ppcls.engine.interrupt import Interrupted


@pytest.fixture
def command(recipe: Dict[str, Any], write_recipe: Callable[..., Path]) -> List[str]:
    return ["tune", "-c", str(write_recipe(recipe)), "--trials", "3", "--pruner", "none"]


def result(folder: Path, best: Optional[int]) -> Any:
    trial = SimpleNamespace(params={"Optimizer.lr.learning_rate": 0.1}, user_attrs={})
    recipe = folder / "best recipe.yaml"
    return SimpleNamespace(
        best=best, folder=folder, recipe=recipe, study=SimpleNamespace(best_trial=trial)
    )


def test_the_best_trial_and_what_can_be_done_with_it(
    command: List[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given: List[Any] = []

    def tuned(*arguments: Any) -> Any:
        given.extend(arguments)
        return result(tmp_path, 2)

    monkeypatch.setattr(study, "tune", tuned)
    assert main([*command, "--search", "EMA.decay=(0.9,0.99)", "-o", "Global.epochs=1"]) == 0
    _, overrides, trials, search, pruner, overwrite, imports = given
    assert (overrides, trials, pruner) == (["Global.epochs=1"], 3, "none")
    assert (search, overwrite, imports) == (["EMA.decay=(0.9,0.99)"], False, [])
    out = capsys.readouterr().out
    assert "best: trial 2, with Optimizer.lr.learning_rate=0.1" in out
    assert f"ppcls eval -c {tmp_path}/trial_002/config.yaml" in out
    assert f"ppcls train -c '{tmp_path}/best recipe.yaml'" in out


def test_no_best_trial_is_status_1(
    command: List[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(study, "tune", lambda *given: result(tmp_path, None))
    assert main(command) == 1
    assert "no trial was trained to its end" in capsys.readouterr().out


def test_an_interruption_keeps_all(
    command: List[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*given: Any) -> Any:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(study, "tune", interrupted)
    assert main(command) == 130
    assert "all trials are kept; the same command goes on" in capsys.readouterr().out
