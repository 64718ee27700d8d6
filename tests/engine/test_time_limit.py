"""`Global.max_hours`: how many epochs fit, by hand, and that measuring leaves no trace."""

from __future__ import annotations

import filecmp
import logging
import math
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import pytest

from ppcls.api.train import train
from ppcls.config import Config, as_config
from ppcls.engine import time_limit
from ppcls.engine.builder import build_job
from ppcls.engine.job import TrainSettings
from ppcls.engine.pace import Pace
from ppcls.engine.time_limit import RunLength, kept_length, length_within, measured_length
from ppcls.engine.world import World
from ppcls.errors import ConfigError, UsageError
from ppcls.weights import read

Recipe = Dict[str, Any]

PACE = Pace(batch=2.0, evaluation=5.0, batches=10, saving=1.0)
"""26 s an epoch: 20 of training, 5 of evaluation, 1 for a checkpoint."""


def limited(recipe: Recipe, epochs: int, hours: Optional[float], **changes: Any) -> Config:
    recipe["Global"].update(epochs=epochs, max_hours=hours, **changes)
    return as_config(recipe)


def length_of(config: Config, pace: Pace = PACE, spent: float = 0.0) -> RunLength:
    section = config.Global
    names = [name for name in TrainSettings.__dataclass_fields__ if name != "progress_dropout"]
    settings = TrainSettings(**{name: getattr(section, name) for name in names})
    return length_within(config, settings, pace, spent)


def test_so_many_epochs_as_fit_into_nine_tenths_of_the_time(recipe: Recipe) -> None:
    # 0.9 x 3600 s = 3240 s = 124.6 epochs; after 100 s, 120.8.
    found = length_of(limited(recipe, 200, 1))
    assert found.config.Global.epochs == found.config.data["Global"]["epochs"] == 124
    assert found.asked == 200
    assert found.note == (
        "Global.max_hours: measured 2 s/step and 5 s for an evaluation: 200 epochs would take "
        "about 87 min, more than 1 h allow; training has 124 instead (about 54 min), with the "
        "schedule of a run of so many"
    )
    assert length_of(limited(recipe, 200, 1), spent=100.0).config.Global.epochs == 120
    assert recipe["Global"]["epochs"] == 200


def test_a_run_that_fits_is_not_changed(recipe: Recipe) -> None:
    config = limited(recipe, 124, 1)
    found = length_of(config)
    assert found.config is config and found.asked is None
    assert found.note.endswith("124 epochs would take about 54 min, which fits into 1 h")


def test_evaluations_and_checkpoints_count_as_often_as_they_come(recipe: Recipe) -> None:
    # 20 s of training an epoch; every 10th epoch, and the last, 5 s more: 159 epochs are
    # 3180 + 16 x 5 = 3260 s, 158 are 3160 + 16 x 5 = 3240 s.
    pace = PACE._replace(saving=0.0)
    assert length_of(limited(recipe, 300, 1, eval_interval=10), pace).config.Global.epochs == 158
    assert length_of(limited(recipe, 300, 1, eval_during_train=False), pace).note.endswith(
        "training has 162 instead (about 54 min), with the schedule of a run of so many"
    )
    two = limited(recipe, 300, 1, eval_during_train=True, update_freq=2)
    assert "measured 4 s/step" in length_of(two).note


def test_no_time_for_an_epoch_is_an_error(recipe: Recipe) -> None:
    config = limited(recipe, 3, 0.005)
    with pytest.raises(ConfigError) as caught:
        length_of(config, spent=1.0)
    text = str(caught.value)
    assert text.startswith(
        "Global.max_hours: 0.005 h are too short for one epoch: with its evaluation and "
        "checkpoint it takes about 26 s here (10 batches of 2 s). Give at least "
    )
    # (26 + 1) / 0.9 s = 30 s = 0.00833 h, and no less.
    assert "Give at least 0.0084, or make an epoch shorter" in text
    enough = length_of(limited(recipe, 3, 0.0084), spent=1.0)
    assert enough.config.Global.epochs == 1


def test_schedules_that_count_epochs_keep_their_shape(recipe: Recipe) -> None:
    lr = {"name": "Piecewise", "decay_epochs": [62, 124], "values": [0.1, 0.01, 0.001]}
    recipe["Optimizer"]["lr"] = lr
    config = limited(recipe, 248, 1, start_eval_epoch=100)
    found = length_of(config)
    # Fewer evaluations than epochs, of which more fit.
    epochs = found.config.Global.epochs
    begins = round(100 * epochs / 248)
    assert found.config.Global.start_eval_epoch == begins
    total = epochs * 21 + (epochs - begins + 1) * 5
    assert total <= 3240 < total + 21 + 5
    written = found.config.data["Optimizer"]["lr"]
    assert written["decay_epochs"] == pytest.approx([epochs / 4, epochs / 2], rel=1e-5)
    assert written["values"] == lr["values"] and config.data["Optimizer"]["lr"] == lr


def test_what_cannot_be_shortened_is_refused_only_where_it_has_to_be(recipe: Recipe) -> None:
    recipe["Optimizer"]["lr"] = {"name": "ReduceOnPlateau", "learning_rate": 0.1}
    assert length_of(limited(recipe, 124, 1)).asked is None
    with pytest.raises(ConfigError, match="ReduceOnPlateau lowers the rate when evaluation"):
        length_of(limited(recipe, 125, 1))


@pytest.mark.slow
def test_a_warm_up_that_is_too_long_is_shortened_as_ever(
    recipe: Recipe, caplog: pytest.LogCaptureFixture
) -> None:
    recipe["Optimizer"]["lr"]["warmup_epoch"] = 5
    found = length_of(limited(recipe, 100, 56 / 3240))
    assert found.config.Global.epochs == 2
    with caplog.at_level(logging.WARNING, "ppcls"):
        schedule = build_job(found.config, "cpu", World()).optimizer.schedule
    assert "a warm-up of 5 epochs does not end within the 2 epochs" in caplog.text
    assert (schedule.epochs, schedule.warmup_epoch) == (2, 1.0)
    # Half a cosine over the five steps of the second epoch.
    expected = [0.05 * i / 5 for i in range(5)]
    expected += [0.05 * (1 + math.cos(math.pi * i / 5)) / 2 for i in range(5)]
    assert [schedule.at(step) for step in range(10)] == pytest.approx(expected)


def test_nothing_is_measured_without_a_limit(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limit, "build_job", None)
    for config in (as_config(recipe), limited(recipe, 0, 1.0)):
        assert measured_length(config, "cpu", World()) == RunLength(config)


# --- going on ------------------------------------------------------------------------------------

PATH = Path("step_5.safetensors")
NOTED = {"asked_epochs": 200, "kept_epochs": 124}


def test_a_run_that_goes_on_keeps_its_epochs(recipe: Recipe) -> None:
    recipe["Optimizer"]["lr"] = {"name": "Step", "learning_rate": 0.1, "step_size": 50}
    found = kept_length(limited(recipe, 200, 1), PATH, NOTED)
    assert found.config.Global.epochs == 124 and found.asked == 200
    assert found.config.data["Optimizer"]["lr"]["step_size"] == 31
    assert "keeps the 124 epochs" in found.note and "step_5.safetensors" in found.note
    assert "-o Global.max_hours=null Global.epochs=200" in found.note


@pytest.mark.parametrize(("epochs", "hours"), [(200, None), (150, 1), (124, 1)])
def test_who_asks_for_other_epochs_gets_them(
    recipe: Recipe, epochs: int, hours: Optional[float]
) -> None:
    config = limited(recipe, epochs, hours)
    found = kept_length(config, PATH, NOTED)
    assert found.config is config and found.asked is None
    assert ("a run that goes on is not measured" in found.note) == (hours is not None)
    assert kept_length(config, PATH, {}).config is config


# --- whole runs ----------------------------------------------------------------------------------


def arrays_equal(one: Path, other: Path) -> bool:
    """Whether two files hold the same arrays, bit by bit."""
    first, second = read(one).arrays, read(other).arrays
    assert first.keys() == second.keys() and len(first) > 5
    return all(first[name].tobytes() == second[name].tobytes() for name in first)


def checkpoints(folder: Path) -> List[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


@pytest.fixture
def new_run(new_recipe: Callable[[Path], Recipe], tmp_path: Path) -> Callable[[str], Recipe]:
    """Make recipes of a folder each that differ in nothing else."""

    def make(name: str) -> Recipe:
        recipe = new_recipe(tmp_path / name)
        recipe["EMA"] = {"decay": 0.9}
        recipe["DataLoader"]["Train"]["loader"] = {"num_workers": 2}
        return recipe

    return make


@pytest.mark.slow
def test_measuring_changes_nothing_of_a_run(
    new_run: Callable[[str], Recipe], tmp_path: Path
) -> None:
    measured, plain = new_run("measured"), new_run("plain")
    measured["Global"]["max_hours"] = 100.0
    np.random.seed(5)
    train(measured)
    np.random.seed(7)
    train(plain)
    written = [f"checkpoints/{name}" for name in checkpoints(tmp_path / "plain")]
    for name in ("best_model.safetensors", *written):
        assert arrays_equal(tmp_path / "measured" / name, tmp_path / "plain" / name)
    log = (tmp_path / "measured/train.log").read_text()
    assert log.count("Global.max_hours: measured ") == 1 and "which fits into 100 h" in log
    assert log.count("training LeNet") == 1


@pytest.mark.slow
def test_a_shortened_run_is_one_of_so_many_epochs_also_through_a_resume(
    new_run: Callable[[str], Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 5000 s an epoch, and 12000 s: two of six.
    monkeypatch.setattr(time_limit, "pace_of", lambda job, clock: Pace(1000.0, 0.0, len(job.train)))
    monkeypatch.setattr(time_limit, "seconds_to_save", lambda job, clock: 0.0)
    lr = {"name": "Piecewise", "decay_epochs": [3], "values": [0.05, 0.005], "warmup_epoch": 0.4}
    shortened, by_hand = new_run("shortened"), new_run("by_hand")
    shortened["Optimizer"]["lr"], by_hand["Optimizer"]["lr"] = lr, {**lr, "decay_epochs": [1]}
    shortened["Global"].update(epochs=6, max_hours=12000 / 3240)
    by_hand["Global"]["epochs"] = 2
    assert train(shortened).state.epoch == train(by_hand).state.epoch == 2
    names = ["step_00000005.safetensors", "step_00000010.safetensors"]
    assert checkpoints(tmp_path / "shortened") == checkpoints(tmp_path / "by_hand") == names
    last = [tmp_path / run / "checkpoints" / names[1] for run in ("shortened", "by_hand")]
    assert arrays_equal(*last)
    kept = as_config(str(tmp_path / "shortened/config.yaml"))
    assert kept.Global.epochs == 2 and kept.data["Optimizer"]["lr"]["decay_epochs"] == [1]
    noted = read(last[0]).metadata
    assert (noted["asked_epochs"], noted["kept_epochs"]) == (6, 2)
    assert "asked_epochs" not in read(last[1]).metadata

    def refuse(*given: Any) -> Any:
        raise AssertionError("a run that goes on is not measured")

    monkeypatch.setattr(time_limit, "pace_of", refuse)
    before = tmp_path / "before.safetensors"
    last[0].rename(before)
    assert train(shortened, resume="auto").state.epoch == 2
    assert filecmp.cmp(before, last[0], shallow=False)
    log = (tmp_path / "shortened/train.log").read_text()
    assert "keeps the 2 epochs that its start decided on" in log
    assert "resumed with another" not in log
    # It is complete, and goes on where that is asked for.
    assert train(shortened, resume="auto").state.epoch == 2
    shortened["Global"].update(max_hours=None, epochs=3)
    assert train(shortened, resume="auto").state.epoch == 3


def test_a_folder_that_holds_a_run_is_refused_before_measuring(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limit, "build_job", None)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/train.log").write_text("a run\n")
    recipe["Global"]["max_hours"] = 1.0
    with pytest.raises(UsageError, match="already holds a run"):
        train(recipe)
