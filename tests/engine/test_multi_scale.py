"""Training on batches of several sizes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from ppcls.benchmark.training.batch_size import Tried, find_batch_size
from ppcls.benchmark.training.results import BatchTrial
from ppcls.config import as_config
from ppcls.engine.builder import build_job
from ppcls.engine.checkpoint import load_checkpoint
from ppcls.engine.world import World
from ppcls.errors import ConfigError


@pytest.fixture
def scaled(recipe: Dict[str, Any]) -> Dict[str, Any]:
    """A recipe with images of 32 and 48 pixels."""
    train = recipe["DataLoader"]["Train"]
    train["dataset"]["name"] = "MultiScaleDataset"
    train["sampler"] = {"name": "MultiScaleSampler", "scales": [32, 48], "first_bs": 16}
    train["sampler"]["divided_factor"] = 16
    return recipe


def job_of(recipe: Dict[str, Any]) -> Any:
    return build_job(as_config(copy.deepcopy(recipe)), "cpu", World())


@pytest.mark.parametrize("isolate", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_batches_come_in_their_sizes(isolate: bool, scaled: Dict[str, Any]) -> None:
    scaled["DataLoader"]["Train"]["loader"]["isolate"] = isolate
    train = job_of(scaled).train
    for epoch in (0, 1):
        batches = list(train.epoch(epoch))
        assert len(batches) == len(train)
        for batch in batches:
            width, height = train.sampler.sizes_of(epoch)[batch.number]
            assert batch.images.shape[2:] == (height, width)
        assert {batch.images.shape[2] for batch in batches} == {32, 48}
        seen = np.concatenate([batch.indices for batch in batches])
        assert sorted(seen.tolist()) == list(range(80))
    # From the middle of an epoch on, the same.
    rest = next(train.epoch(1, start=2))
    assert np.array_equal(rest.images, batches[2].images)


def test_a_trial_takes_the_batch_with_the_most_pixels(scaled: Dict[str, Any]) -> None:
    scaled["DataLoader"]["Train"]["sampler"].update(scales=[32, 64], first_bs=4)
    train = job_of(scaled).train
    epoch, number = train.largest_batch()
    assert epoch == 0
    batches = list(train.epoch(0))
    pixels = [batch.images[0, 0].size * len(batch) for batch in batches]
    assert pixels[number] == max(pixels)


def test_the_batch_size_goes_by_its_own_name(scaled: Dict[str, Any]) -> None:
    config = as_config(scaled)
    tried: List[int] = []

    def measure(size: int) -> Tried:
        tried.append(size)
        trial = {"images_per_second": 10, "step": 0.1, "peak_memory": 1, "images": 4}
        return Tried(size, BatchTrial(**trial, device_memory=None))

    found = find_batch_size("c.yaml", [], [], config, measure)
    assert tried == [1, 2, 4] and found.current == 16
    assert "-o DataLoader.Train.sampler.first_bs=1" in found.summary()


def test_what_does_not_fit_is_refused(scaled: Dict[str, Any]) -> None:
    train = scaled["DataLoader"]["Train"]
    train["sampler"]["scales"] = [32, 16]
    with pytest.raises(ConfigError, match="LeNet needs at least 32x32"):
        job_of(scaled)
    train["sampler"]["scales"] = [32, 48]
    train["dataset"]["transform_ops"].insert(2, {"CropImage": {"size": 32}})
    with pytest.raises(ConfigError, match="wanted in 48x48 pixels, but this list settles another"):
        job_of(scaled)
    del train["dataset"]["transform_ops"][2]
    scaled["DataLoader"]["Eval"]["sampler"] = train["sampler"]
    with pytest.raises(ConfigError, match="evaluation judges every image once, in one size"):
        job_of(scaled)


@pytest.mark.slow
def test_a_run_resumes_to_the_same_bytes(
    scaled: Dict[str, Any], ppcls: Callable[..., int], tmp_path: Path
) -> None:
    scaled["Global"].update(save_steps=2, keep_checkpoints=99)
    assert ppcls("train", scaled) == 0
    paths = sorted((tmp_path / "run/checkpoints").iterdir())
    scaled["Global"]["output_dir"] = str(tmp_path / "again")
    assert ppcls("train", scaled, "--resume", str(paths[0])) == 0
    again = load_checkpoint(tmp_path / "again/checkpoints" / paths[-1].name)
    whole = load_checkpoint(paths[-1])
    assert all(np.array_equal(again.model[name], whole.model[name]) for name in whole.model)
