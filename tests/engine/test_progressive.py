"""Training in stages: images grow, augmentation and dropout too, exactly through a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest
from safetensors.numpy import load_file

from ppcls.config import as_config
from ppcls.engine.builder import build_job
from ppcls.engine.progressive import dropouts_of_head
from ppcls.engine.world import World
from ppcls.errors import ConfigError

Run = Callable[..., int]
Recipe = Dict[str, Any]


@pytest.fixture
def staged(recipe: Recipe) -> Recipe:
    """Four epochs in two stages, on images of 16 and then 24 pixels."""
    recipe["Arch"] = {"name": "MobileNetV3_small_x0_35", "dropout_mode": "upscale_in_train"}
    recipe["Global"].update(
        epochs=4, progress_dropout=[0.1, 0.5], save_steps=1, keep_checkpoints=99
    )
    train = recipe["DataLoader"]["Train"]["dataset"]
    train["transform_ops"] = [
        train["transform_ops"][0],
        {"RandCropImage": {"size": 16, "progress_size": [16, 24]}},
        {"RandAugmentV2": {"num_layers": 1, "progress_magnitude": [2, 8]}},
        *train["transform_ops"][2:],
    ]
    return recipe


def sizes(recipe: Recipe) -> List[List[int]]:
    """The sides of all images, epoch by epoch."""
    train = build_job(as_config(recipe), "cpu", World()).train
    return [[batch.images.shape[-1] for batch in train.epoch(epoch)] for epoch in range(4)]


@pytest.mark.parametrize("isolate", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_images_grow_with_the_stages(isolate: bool, staged: Recipe) -> None:
    staged["DataLoader"]["Train"]["loader"]["isolate"] = isolate
    found = sizes(staged)
    assert [set(side) for side in found] == [{16}, {16}, {24}, {24}]
    assert len({len(side) for side in found}) == 1


def test_the_head_drops_more_and_more(staged: Recipe) -> None:
    job = build_job(as_config(staged), "cpu", World())
    rates = []
    for epoch in range(4):
        job.begin_epoch(epoch)
        rates.append({layer.p for layer in dropouts_of_head(job.network)})
    assert rates == [{0.1}, {0.1}, {0.5}, {0.5}]


def test_a_paper_gives_the_stages(staged: Recipe) -> None:
    staged["Arch"] = {"name": "EfficientNetV2_S", "depth": 0.3, "width": 0.3}
    staged["Global"].update(train_mode="progressive", progress_dropout=None)
    job = build_job(as_config(staged), "cpu", World())
    assert job.settings.progress_dropout == pytest.approx(np.linspace(0.1, 0.3, 4))
    for epoch, rate in enumerate(np.linspace(0.1, 0.3, 4)):
        job.begin_epoch(epoch)
        (layer,) = dropouts_of_head(job.network)
        assert layer.p == pytest.approx(rate)


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_bytes(ppcls: Run, staged: Recipe, tmp_path: Path) -> None:
    """From within the first stage and from the border, with other threads."""
    assert ppcls("train", staged) == 0
    whole = Path(staged["Global"]["output_dir"]) / "checkpoints"
    files = sorted(whole.glob("*.safetensors"))
    staged["DataLoader"]["Train"]["loader"]["num_workers"] = 2
    for number in (len(files) // 4, len(files) // 2 - 1, len(files) // 2):
        staged["Global"]["output_dir"] = str(tmp_path / f"from{number}")
        assert ppcls("train", staged, "--resume", str(files[number])) == 0
        again = load_file(Path(staged["Global"]["output_dir"]) / "checkpoints" / files[-1].name)
        for name, array in load_file(files[-1]).items():
            assert array.tobytes() == again[name].tobytes(), (number, name)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"progress_dropout": [0.1], "arch": "LeNet"}, "no dropout that could change"),
        (
            {"progress_dropout": [0.1, 0.5], "arch": "MobileNetV3_small_x0_35"},
            "write Arch.dropout_mode: upscale_in_train",
        ),
        ({"train_mode": "progressive"}, "nothing changes on the way"),
    ],
)
def test_what_makes_no_sense(changes: Dict[str, Any], says: str, recipe: Recipe) -> None:
    recipe["Arch"] = {"name": changes.pop("arch", "LeNet")}
    recipe["Global"].update(changes)
    with pytest.raises(ConfigError, match=says):
        build_job(as_config(recipe), "cpu", World())


def test_every_stage_is_checked_before_training(staged: Recipe) -> None:
    """Images of a later stage that are too small for the crop after them, or for the network."""
    ops = staged["DataLoader"]["Train"]["dataset"]["transform_ops"]
    ops[1] = {"RandCropImage": {"size": 24, "progress_size": [24, 16]}}
    ops.insert(2, {"CropImage": {"size": 20}})
    with pytest.raises(ConfigError, match="CropImage cuts out 20 x 20 pixels"):
        build_job(as_config(staged), "cpu", World())
    ops[2] = {"RandFlipImage": {}}
    ops[1]["RandCropImage"]["progress_size"] = [80, 70]
    staged["Arch"] = {"name": "InceptionV3"}
    with pytest.raises(ConfigError, match="InceptionV3"):
        build_job(as_config(staged), "cpu", World())


def test_a_dry_run_takes_the_largest_images(
    ppcls: Run, staged: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", staged, "--dry-run") == 0
    assert ", 24, 24]" in capsys.readouterr().out
