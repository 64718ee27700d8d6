"""Statistics of batch normalisation that are taken anew before each evaluation."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import paddle
import pytest

from ppcls.config import as_config
from ppcls.engine.builder import build_job
from ppcls.engine.checkpoint import load_checkpoint
from ppcls.engine.pace import _statistics
from ppcls.engine.world import World
from ppcls.errors import ConfigError
from ppcls.weights import read


@pytest.fixture
def precise(recipe: Dict[str, Any]) -> Dict[str, Any]:
    recipe["Global"].update(epochs=3, precise_bn=2)
    recipe["Arch"] = {"name": "MobileNetV3_small_x0_35", "class_num": 4, "in_channels": 1}
    return recipe


def job_of(recipe: Dict[str, Any]) -> Any:
    return build_job(as_config(copy.deepcopy(recipe)), "cpu", World())


def arrays_of(network: Any) -> Dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def is_statistic(name: str) -> bool:
    return name.endswith(("._mean", "._variance"))


def test_they_are_those_of_the_weights_as_they_are(precise: Dict[str, Any]) -> None:
    job = job_of(precise)
    network, average = job.network, job.ema
    network.train()
    for parameter in network.parameters():
        parameter.set_value(parameter + 0.05 * paddle.randn(parameter.shape))
    before = arrays_of(network)
    average.update(1)
    stem = network.stem
    with average.applied(2):
        batches = [batch for _, batch in zip(range(2), job.train.epoch(1))]
        maps = [stem.conv(paddle.to_tensor(batch.images)).numpy() for batch in batches]
        means = np.mean([one.mean(axis=(0, 2, 3)) for one in maps], axis=0)
        np.testing.assert_allclose(stem.bn._mean.numpy(), means, rtol=1e-4, atol=1e-5)
        judged = arrays_of(network)
    assert all(np.array_equal(judged[name], value) for name, value in average.arrays().items())
    for name, value in before.items():
        assert np.array_equal(judged[name], value) != is_statistic(name), name
    # Training goes on with its own.
    assert all(np.array_equal(arrays_of(network)[name], value) for name, value in before.items())


def test_what_training_starts_from_is_judged_as_it_is(precise: Dict[str, Any]) -> None:
    job = job_of(precise)
    before = arrays_of(job.network)
    with job.ema.applied(0):
        assert all(np.array_equal(arrays_of(job.network)[name], before[name]) for name in before)


def test_an_average_takes_them_for_itself(precise: Dict[str, Any]) -> None:
    precise["EMA"] = {"decay": 0.5, "ramp": False}
    job = job_of(precise)
    start = arrays_of(job.network)
    for parameter in job.network.parameters():
        parameter.set_value(parameter + 1.0)
    job.ema.update(1)
    with job.ema.applied(1):
        found = arrays_of(job.network)
    name = "stem.conv.weight"
    np.testing.assert_allclose(found[name], start[name] + 0.5, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(found["stem.bn._mean"], start["stem.bn._mean"])


def test_their_time_is_counted(precise: Dict[str, Any]) -> None:
    assert _statistics(job_of(precise), 3.0) == 6.0
    precise["Global"]["precise_bn"] = None
    assert _statistics(job_of(precise), 3.0) == 0.0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"SWA": {}}, "the section SWA takes statistics"),
        ({"EMA": {"keep_better": True}}, "EMA.keep_better compares averaged weights"),
        ({"Arch": {"name": "LeNet"}}, "the network has no batch normalisation"),
    ],
)
def test_what_makes_no_sense_is_refused(
    precise: Dict[str, Any], changes: Dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=rf"Global.precise_bn: {says}"):
        job_of({**precise, **changes})


def test_taking_them_can_be_left(precise: Dict[str, Any]) -> None:
    """The network has its own weights and mode again, and its own momentum."""
    job = job_of(precise)
    job.network.train()
    before, momentum = arrays_of(job.network), job.network.stem.bn._momentum

    def left(batches: Any) -> Any:
        yield next(batches)
        raise KeyboardInterrupt

    job.ema.statistics.watch = left
    with pytest.raises(KeyboardInterrupt), job.ema.applied(1):
        pass
    assert all(np.array_equal(arrays_of(job.network)[name], before[name]) for name in before)
    assert job.network.training and job.network.stem.bn._momentum == momentum


@pytest.mark.slow
def test_a_run_keeps_them_and_resumes_to_the_same_bytes(
    precise: Dict[str, Any], ppcls: Callable[..., int], tmp_path: Path
) -> None:
    assert ppcls("train", precise) == 0
    run = tmp_path / "run"
    paths = sorted((run / "checkpoints").iterdir())
    last = load_checkpoint(paths[-1])
    best = read(run / "best_model.safetensors")
    own = load_checkpoint(paths[best.metadata["epoch"] - 1]).model
    for name, value in best.network_arrays().items():
        assert np.array_equal(value, own[name]) != is_statistic(name), name
    precise["Global"]["output_dir"] = str(tmp_path / "again")
    assert ppcls("train", precise, "--resume", str(paths[0])) == 0
    again = load_checkpoint(tmp_path / "again/checkpoints" / paths[-1].name)
    for group in ("model", "optimizer", "ema"):
        mine, theirs = getattr(again, group), getattr(last, group)
        assert all(np.array_equal(mine[name], theirs[name]) for name in theirs), group
