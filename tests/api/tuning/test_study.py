"""`ppcls tune`: real trials of LeNet on digits."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest
import yaml

from ppcls.cli import main
from ppcls.engine.loggers.jsonl import read_records
from ppcls.engine.selection import ModelSelection
from ppcls.errors import ConfigError, UsageError

ROOT = Path(__file__).resolve().parents[3]
RATE = "Optimizer.lr.learning_rate"

pytest.importorskip("optuna", reason="optuna is not installed")
study = pytest.importorskip("ppcls.api.tuning.study")


@pytest.fixture
def short(recipe: Dict[str, Any], write_recipe: Callable[..., Path]) -> Path:
    """A recipe of two epochs of two batches, without pictures."""
    recipe["DataLoader"]["Train"]["sampler"]["batch_size"] = 40
    recipe["Loggers"] = ["Console", "JsonLines"]
    return write_recipe(recipe)


def rows(folder: Path) -> List[Dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_trials_are_runs_and_the_best_is_a_recipe(short: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run/tune"
    search = [f"{RATE}=log(0.001,0.1)", "DataLoader.Train.sampler.batch_size=[20, 40]"]
    found = study.tune(str(short), trials=2, search=search)
    assert found.folder == folder
    for trial in found.study.trials:
        run = folder / f"trial_{trial.number:03d}"
        used = yaml.safe_load((run / "config.yaml").read_text())
        assert used["Optimizer"]["lr"]["learning_rate"] == trial.params[RATE]
        evals = [one for one in read_records(run / "train_log.jsonl") if one["event"] == "eval"]
        assert trial.value == max(one["metrics"]["top1"] for one in evals)
        assert sorted(trial.intermediate_values) == [1, 2]
    written = rows(folder)
    assert [float(row["top1"]) for row in written] == sorted(
        (trial.value for trial in found.study.trials), reverse=True
    )
    assert found.best == int(written[0]["trial"])
    best = yaml.safe_load(found.recipe.read_text())
    assert best["Optimizer"]["lr"]["learning_rate"] == float(written[0][RATE])
    assert best["Global"]["output_dir"] == f"{tmp_path}/run_best"
    # Another call counts those that are there, and draws others.
    again = study.tune(str(short), trials=3, search=search)
    rates = {trial.params[RATE] for trial in again.study.trials}
    assert len(again.study.trials) == len(rates) == 3
    with pytest.raises(
        UsageError, match=f"the study that is there tries {RATE}=log.*, not Global.seed"
    ):
        study.tune(str(short), trials=3, search=["Global.seed=int(0,9)"])


@pytest.mark.slow
def test_nan_fails_a_trial_and_not_the_study(
    short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["tune", "-c", str(short), "--trials", "2", "--search", f"{RATE}=(1e30,2e30)"]
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert len(re.findall(r"warning: trial \d failed: the loss", out)) == 2
    assert "no trial was trained to its end" in out
    assert [row["state"] for row in rows(tmp_path / "run/tune")] == ["failed", "failed"]


@pytest.mark.slow
def test_a_trial_that_promises_little_is_ended(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import optuna

    pruner = optuna.pruners.ThresholdPruner(lower=1.1)  # no accuracy is as good
    monkeypatch.setattr(study, "_pruner", lambda *arguments: pruner)
    found = study.tune(str(short), ["Global.epochs=3"], trials=1, search=[f"{RATE}=(0.01,0.02)"])
    assert [trial.state.name for trial in found.study.trials] == ["PRUNED"]
    assert found.best is None and found.recipe is None
    records = read_records(tmp_path / "run/tune/trial_000/train_log.jsonl")
    assert max(record["epoch"] for record in records) == 1
    assert list((tmp_path / "run/tune/trial_000/checkpoints").iterdir())


@pytest.mark.slow
def test_ctrl_c_keeps_all_and_the_same_command_goes_on(
    short: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run/tune"
    command = [sys.executable, "-m", "ppcls", "tune", "-c", str(short), "--trials", "1"]
    command += ["--search", f"{RATE}=(0.01,0.02)", "-o", "Global.epochs=2000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(folder.glob("trial_000/checkpoints/*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert out.splitlines()[-1] == "all trials are kept; the same command goes on"
    (before,) = rows(folder)
    assert before["state"] == "interrupted"
    reached = max(record["step"] for record in read_records(folder / "trial_000/train_log.jsonl"))
    epochs = reached // 2 + 1
    search = [f"{RATE}=(0.01,0.02)"]
    found = study.tune(str(short), [f"Global.epochs={epochs}"], trials=1, search=search)
    assert [trial.state.name for trial in found.study.trials] == ["COMPLETE"]
    assert rows(folder)[0][RATE] == before[RATE]
    assert "is not that of the trials before" in caplog.text  # it has fewer epochs now
    assert "resumed from" in (folder / "trial_000/train.log").read_text()


def test_values_that_the_recipe_refuses_are_said_before_the_first_trial(
    short: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"--search Global.epochs=\(0.5,3\): 1 mistake in .*"):
        study.tune(str(short), search=["Global.epochs=(0.5,3)"])
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_what_lies_in_the_folder_is_not_lost(short: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run/tune"
    folder.mkdir(parents=True)
    (folder / "tune.db").write_text("no database")
    with pytest.raises(UsageError, match="tune.db cannot be used: .*not a database.*--overwrite"):
        study.tune(str(short), trials=1)
    assert (folder / "tune.db").read_text() == "no database"
    (folder / "tune.db").unlink()
    (folder / "trial_000").mkdir()
    with pytest.raises(UsageError, match="holds runs of trials, but their study, tune.db, is gone"):
        study.tune(str(short), trials=1)


def test_a_missing_package_is_said(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"needs the package optuna.*pip install 'ppcls\[tune\]'"):
        study.tune(str(short))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "--trials 0: there must be one at least"),
        ({"pruner": "median "}, "^unknown pruner 'median '; accepted: median, hyperband, none"),
    ],
)
def test_options_without_sense_are_refused_before_anything_is_made(
    options: Dict[str, Any], message: str, short: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        study.tune(str(short), **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("none", "NopPruner"), ("hyperband", "HyperbandPruner"), ("median", "MedianPruner")],
)
def test_each_name_is_a_pruner_of_optuna(name: str, kind: str) -> None:
    import optuna

    assert isinstance(study._pruner(optuna, name, epochs=20), getattr(optuna.pruners, kind))


def test_overwriting_deletes_the_study_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "trial_003/checkpoints").mkdir(parents=True)
    ours = ["tune.db", "results.csv", "best.yaml"]
    for name in (*ours, "notes.txt"):
        (tmp_path / name).write_text(name)
    with study._claimed(tmp_path, overwrite=False):
        assert all((tmp_path / name).exists() for name in (*ours, "trial_003"))
        words = r"in use by process \d+ .*; wait for it, or stop it"
        with pytest.raises(UsageError, match=words), study._claimed(tmp_path, overwrite=True):
            pass
        assert (tmp_path / "tune.db").exists(), "another process works with it"
    with study._claimed(tmp_path, overwrite=True):
        left = {path.name for path in tmp_path.iterdir()} - {".lock"}
    assert left == {"notes.txt"}


@pytest.mark.parametrize(
    ("value", "pruned", "state"),
    [(0.5, False, "COMPLETE"), (0.5, True, "PRUNED"), (None, False, "FAIL")],
)
def test_a_trial_without_an_evaluation_has_failed(
    value: Optional[float], pruned: bool, state: str, tmp_path: Path
) -> None:
    import optuna

    found = optuna.create_study(direction="maximize")
    selection = ModelSelection("top1", True)
    runner = study._Runner(optuna, found, tmp_path, lambda given: None, [], [], selection)
    runner._tell(found.ask(), value, pruned)
    assert [trial.state.name for trial in found.trials] == [state]
