"""Averages over the ends of epochs: the mean, its statistics, its rate, and resuming."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import paddle
import pytest

from ppcls.api.plot import plot_learning_rate
from ppcls.config import as_config
from ppcls.engine.builder import build_job
from ppcls.engine.checkpoint import load_checkpoint
from ppcls.engine.ema import ExponentialMovingAverage
from ppcls.engine.swa import StochasticWeightAverage, first_averaged
from ppcls.engine.world import World
from ppcls.errors import ConfigError
from ppcls.weights import read

STEPS = 5
"""Updates of an epoch."""


@pytest.fixture
def swa(recipe: Dict[str, Any]) -> Dict[str, Any]:
    """Four epochs, of which the ends of the last two are averaged."""
    recipe["Global"]["epochs"] = 4
    recipe["Arch"] = {"name": "MobileNetV3_small_x0_35", "class_num": 4, "in_channels": 1}
    recipe["SWA"] = {"start": 0.5, "learning_rate": 0.02, "batches": 3}
    return recipe


def job_of(recipe: Dict[str, Any]) -> Any:
    return build_job(as_config(copy.deepcopy(recipe)), "cpu", World())


def redrawn(network: Any, rng: np.random.Generator) -> Dict[str, np.ndarray]:
    """Change all weights, and return them."""
    for value in network.state_dict().values():
        value.set_value(rng.uniform(0.5, 1.5, value.shape).astype(np.float32))
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def test_it_is_the_mean_over_the_ends_of_epochs(swa: Dict[str, Any]) -> None:
    job = job_of(swa)
    average, rng = job.ema, np.random.default_rng(0)
    assert isinstance(average, StochasticWeightAverage) and average.begin == 2
    ends: List[Dict[str, np.ndarray]] = []
    for step in range(1, 4 * STEPS + 1):
        now = redrawn(job.network, rng)
        average.update(step)
        if step % STEPS == 0:
            ends.append(now)
            kept = ends[2:] or ends[-1:]
            for name, value in average.arrays().items():
                expected = np.mean([end[name] for end in kept], axis=0)
                np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert len(ends) == 4


def test_statistics_are_those_of_the_averaged_network(swa: Dict[str, Any]) -> None:
    job = job_of(swa)
    network, average = job.network, job.ema
    for step in range(1, 4 * STEPS + 1):
        for parameter in network.parameters():
            if not parameter.stop_gradient:
                parameter.set_value(parameter + 0.01 * paddle.randn(parameter.shape))
        average.update(step)
    before = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    network.train()
    first, conv = network.stem.bn, network.stem.conv
    momentum = first._momentum
    with average.applied(4):
        batches = [batch for _, batch in zip(range(3), job.train.epoch(3))]
        maps = [conv(paddle.to_tensor(batch.images)).numpy() for batch in batches]
        means = np.mean([one.mean(axis=(0, 2, 3)) for one in maps], axis=0)
        np.testing.assert_allclose(first._mean.numpy(), means, rtol=1e-4, atol=1e-5)
        assert first._momentum == momentum, "as it was"
        kept = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    # What the best model is saved with, and what training goes on with.
    assert all(np.array_equal(kept[name], value) for name, value in average.arrays().items())
    after = network.state_dict()
    assert all(np.array_equal(after[name].numpy(), value) for name, value in before.items())
    assert network.training and all(layer.training for layer in network.sublayers())


def test_the_rate_is_constant_at_the_end(swa: Dict[str, Any], tmp_path: Path) -> None:
    swa["SWA"]["anneal_epochs"] = 0.4
    schedule = job_of(swa).optimizer.schedule
    plain = job_of({**swa, "SWA": None}).optimizer.schedule
    begin = 2 * STEPS
    assert [schedule.at(i) for i in range(begin)] == [plain.at(i) for i in range(begin)]
    last = plain.at(begin - 1)
    assert schedule.at(begin) == pytest.approx(last)
    assert schedule.at(begin + 1) == pytest.approx((last + 0.02) / 2)
    assert {schedule.at(i) for i in range(begin + 2, 4 * STEPS)} == {0.02}
    drawn = plot_learning_rate(swa, tmp_path / "lr.png")
    assert drawn.at(4 * STEPS - 1) == 0.02
    swa["Optimizer"]["lr"] = {"name": "ReduceOnPlateau", "learning_rate": 0.1}
    with pytest.raises(ConfigError, match=r"SWA.learning_rate: ReduceOnPlateau follows evaluat"):
        job_of(swa)


@pytest.mark.parametrize(
    ("start", "epochs", "first"), [(0.75, 100, 75), (0.5, 1, 0), (0.99, 4, 3), (0.75, 0, 0)]
)
def test_where_averaging_begins(start: float, epochs: int, first: int) -> None:
    assert first_averaged(start, epochs) == first


def test_one_average_at_a_time(swa: Dict[str, Any]) -> None:
    swa["EMA"] = {}
    with pytest.raises(ConfigError, match=r"SWA: the section EMA averages weights too"):
        job_of(swa)
    del swa["SWA"]
    assert isinstance(job_of(swa).ema, ExponentialMovingAverage)


@pytest.mark.slow
def test_a_run_resumes_to_the_same_bytes(
    swa: Dict[str, Any], ppcls: Callable[..., int], tmp_path: Path
) -> None:
    swa["Global"].update(save_steps=4, keep_checkpoints=99)
    assert ppcls("train", swa) == 0
    run = tmp_path / "run"
    paths = sorted((run / "checkpoints").iterdir())
    last = load_checkpoint(paths[-1])
    changed = [name for name in last.model if not np.array_equal(last.model[name], last.ema[name])]
    assert changed, "the average is another network than the last one"
    best = read(run / "best_model.safetensors").network_arrays()
    assert set(best) == set(last.ema)
    middle = next(path for path in paths if path.stem.endswith("12"))
    swa["Global"]["output_dir"] = str(tmp_path / "again")
    assert ppcls("train", swa, "--resume", str(middle)) == 0
    again = load_checkpoint(tmp_path / "again/checkpoints" / paths[-1].name)
    assert again.state == last.state
    for group in ("model", "optimizer", "ema"):
        mine, theirs = getattr(again, group), getattr(last, group)
        assert all(np.array_equal(mine[name], theirs[name]) for name in theirs), group


def test_a_run_that_stopped_before_its_evaluation_takes_statistics_too(swa: Dict[str, Any]) -> None:
    job, other = job_of(swa), job_of(swa)
    rng = np.random.default_rng(0)
    for step in range(1, 4 * STEPS + 1):
        redrawn(job.network, rng)
        job.ema.update(step)
    # What a checkpoint behind the last update has.
    other.ema.load(job.ema.arrays())
    before = job.ema.arrays()
    for one in (job.ema, other.ema):
        with one.applied(4):
            pass
    found = other.ema.arrays()
    assert all(np.array_equal(found[name], value) for name, value in job.ema.arrays().items())
    assert any(not np.array_equal(found[name], value) for name, value in before.items())


@pytest.mark.slow
def test_without_an_evaluation_the_last_average_has_its_statistics(
    swa: Dict[str, Any], ppcls: Callable[..., int], tmp_path: Path
) -> None:
    arrays = []
    for judged in (True, False):
        swa["Global"].update(eval_during_train=judged, output_dir=str(tmp_path / str(judged)))
        assert ppcls("train", swa) == 0
        newest = sorted((tmp_path / str(judged) / "checkpoints").iterdir())[-1]
        arrays.append(load_checkpoint(newest).ema)
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
