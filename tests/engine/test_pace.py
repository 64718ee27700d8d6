"""How long training takes, by clocks that a test moves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Dict, List

import pytest

from ppcls.config import as_config
from ppcls.engine import pace as pace_module
from ppcls.engine.builder import build_job
from ppcls.engine.job import TrainSettings
from ppcls.engine.pace import Pace, pace_of, seconds_to_save
from ppcls.engine.world import World


class Clock:
    """Goes on by `tick` seconds with each look, and by whatever is added."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


def settings(**changes: Any) -> TrainSettings:
    """Those of ten epochs, with an evaluation and a checkpoint after each."""
    usual: Dict[str, Any] = {
        "epochs": 10, "seed": 0, "update_freq": 1, "print_batch_step": 1, "save_interval": 1,
        "save_steps": None, "keep_checkpoints": 3, "eval_during_train": True, "eval_interval": 1,
        "start_eval_epoch": 0, "eval_at_start": False, "max_bad_samples": 0.0,
    }  # fmt: skip
    return TrainSettings(**{**usual, **changes})


@pytest.mark.parametrize(("seconds", "epochs"), [(0, 0), (23, 0), (24, 1), (130, 7), (1e6, 56666)])
def test_epochs_with_their_evaluations_and_that_of_the_start(seconds: float, epochs: int) -> None:
    pace = Pace(batch=1.0, evaluation=5.0, batches=10)
    assert pace.epoch == 15.0
    found = pace.epochs_within(seconds)
    assert found == epochs
    assert found == 0 or found * 15 + 5 <= 0.85 * seconds


@pytest.mark.parametrize("epochs", [1, 4, 9, 10])
@pytest.mark.parametrize("start", [0, 1, 3, 9, 10, 11])
@pytest.mark.parametrize("interval", [1, 3, 20])
def test_evaluations_and_checkpoints_are_counted(epochs: int, start: int, interval: int) -> None:
    one = settings(
        epochs=epochs, start_eval_epoch=start, eval_interval=interval, save_interval=interval
    )
    judged = {n for n in range(1, epochs + 1) if n >= start and n % interval == 0} | {epochs}
    assert {n for n in range(1, epochs + 1) if one.evaluates_after(n)} == judged
    assert one.evaluations() == len(judged)
    saved = [n for n in range(1, epochs + 1) if n % interval == 0 or n == epochs]
    assert one.checkpoints(updates=7) == len(saved)


def test_those_besides_are_counted() -> None:
    assert settings(eval_at_start=True).evaluations() == 11
    assert settings(eval_at_start=True, eval_during_train=False).evaluations() == 1
    saves = settings(save_steps=4)
    after_steps = sum(saves.saves_after_step(step) for step in range(1, 10 * 7 + 1))
    assert saves.checkpoints(updates=7) == 10 + after_steps == 27


def test_a_run_is_its_steps_evaluations_and_checkpoints() -> None:
    pace = Pace(batch=2.0, evaluation=5.0, batches=30, saving=1.0)
    assert pace.of_run(settings()) == 10 * 30 * 2 + 10 * 5 + 10 * 1
    few = settings(eval_interval=4, save_interval=10, eval_at_start=True)
    assert pace.of_run(few) == 600 + (3 + 1) * 5 + 1
    # 8 updates an epoch of 4 batches each, and a checkpoint after every 20.
    assert pace.of_run(settings(update_freq=4, save_steps=20)) == 600 + 50 + 10 + 4


@pytest.mark.slow
def test_each_look_at_the_clock_is_a_second(recipe: Dict[str, Any]) -> None:
    job = build_job(as_config(recipe), "cpu", World())
    # A step takes 1 s, but 8 images are read in 1 s by the caller's thread: 16 in 2 s, 12 in 1.5 s.
    assert pace_of(job, Clock(tick=1.0)) == Pace(batch=2.0, evaluation=4 * 1.5, batches=5)
    assert seconds_to_save(job, Clock(tick=1.0)) == 1.0


@pytest.mark.slow
def test_the_first_steps_do_not_count(
    recipe: Dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe["EMA"] = {"decay": 0.9}
    del recipe["DataLoader"]["Eval"]
    clock, learn, seconds = Clock(), pace_module.learn, [90.0, 9.0, 9.0, 9.0, 3.0, 2.0, 4.0, 3.0]

    def slow(*given: Any) -> Any:
        clock.now += seconds.pop(0)
        return learn(*given)

    monkeypatch.setattr(pace_module, "learn", slow)
    job = build_job(as_config(recipe), "cpu", World())
    # Five batches make an epoch: the other three are of the next one.
    assert pace_of(job, clock) == Pace(batch=3.0, evaluation=0.0, batches=5)
    assert seconds == []


def test_every_size_of_images_counts_as_long_as_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Train(List[int]):
        epochs = 10

        def stages(self) -> Dict[int, None]:
            return {0: None, 5: None, 8: None}

    job: Any = SimpleNamespace(
        network=SimpleNamespace(train=lambda: None), train=Train([0] * 7), eval=None
    )
    monkeypatch.setattr(
        pace_module, "_of_stage", lambda job, epoch, clock: {0: 1.0, 5: 2.0, 8: 4.0}[epoch]
    )
    assert pace_of(job) == Pace(batch=(5 * 1 + 3 * 2 + 2 * 4) / 10, evaluation=0.0, batches=7)
