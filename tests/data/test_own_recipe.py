"""Any recipe can be made one for images of one's own: nothing of it that refuses them survives."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import cv2
import numpy as np
import pytest
import yaml

from ppcls.config import find_recipe, load_config
from ppcls.data.own_recipe import OwnLists, own_recipe
from ppcls.data.split import split
from ppcls.errors import ConfigError
from tests.recipes import CONFIGS, all_recipes

LIGHT = {"LeNet", "SqueezeNet1_1"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of photos in different sizes."""
    folder = tmp_path_factory.mktemp("own") / "photos"
    rng = np.random.default_rng(0)
    for name, count in {"cat": 9, "dog": 8, "12": 4}.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (40 + i, 50, 3), np.uint8)
            cv2.imwrite(str(folder / name / f"{i}.png"), pixels)
    return folder


def lists(images: int = 300, classes: int = 3) -> OwnLists:
    return OwnLists("/p", "/p/train", "/p/val", "/p/labels", "/p/1.jpg", images, classes, "out")


def built(recipe: Path) -> Any:
    """What `ppcls train --dry-run` builds, with a network that takes a moment."""
    from ppcls.engine.builder import build_job
    from ppcls.engine.world import World

    config = load_config(str(recipe), ["Global.device=cpu"])
    if config.Arch.name not in LIGHT:
        config = load_config(str(recipe), ["Global.device=cpu", "Arch.name=SqueezeNet1_1"])
    return build_job(config, "cpu", World())


@pytest.mark.slow
@pytest.mark.parametrize("base", all_recipes(others=pytest.mark.exhaustive))
def test_every_recipe_takes_own_images(base: Path, photos: Path, tmp_path: Path) -> None:
    report = split(photos, base=str(base.relative_to(CONFIGS)), output_dir=tmp_path)
    job = built(report.recipes[0])
    assert job.class_map.names == ["12", "cat", "dog"]
    assert len(job.train) >= 2 and job.config["Global"]["output_dir"].startswith("output/")


HOSTILE_BASE = """\
_base_: quick_start/LeNet_digits.yaml
Global:
  image_shape: [1, 32, 32]
  class_id_map_file: none.txt
  checkpoints: none
  pretrained_model: none
  update_freq: 8
  epochs: 100
  start_eval_epoch: 90
Arch: {class_num: 10}
Teacher: {name: LeNet, pretrained: none}
Loss: {Train: [DistillationLoss, {RKDLoss: {weight: 2.0}}, {CELoss: {class_weights: {nine: 2.0}}}]}
DataLoader:
  Train:
    dataset: {delimiter: ',', relabel: true}
    sampler: {batch_size: 512, drop_last: true}
  Eval:
    dataset: {delimiter: ','}
Infer: {PostProcess: {class_id_map_file: none.txt}}
"""


def test_what_belongs_to_other_data_gives_way(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "base.yaml").write_text(HOSTILE_BASE)
    monkeypatch.chdir(tmp_path)
    report = split(photos, base="base.yaml", size=48, output_dir=tmp_path / "out")
    monkeypatch.chdir("/")
    config = load_config(str(report.recipes[0]))
    assert config.Arch.pretrained == "none" and config.Global.pretrained_model is None
    assert config.Teacher is None
    job = built_without_weights(report.recipes[0])
    assert (
        job.loss.notes
        and job.network.class_num == 3
        and job.train.dataset.transform.output_size == (48, 48)
    )
    assert config.Infer.PostProcess is not None
    assert config.Infer.PostProcess.arguments["class_id_map_file"] == str(
        tmp_path / "out/label_list.txt"
    )


def built_without_weights(recipe: Path) -> Any:
    data = load_config(str(recipe)).data
    data["Arch"]["pretrained"] = False
    recipe.with_name("plain.yaml").write_text(yaml.safe_dump(data))
    return built(recipe.with_name("plain.yaml"))


def test_parts_that_are_written_otherwise_are_replaced_too(photos: Path, tmp_path: Path) -> None:
    data = load_config("quick_start/LeNet_digits.yaml").data
    for section in data["DataLoader"].values():
        for key in ("dataset", "sampler"):
            name = section[key].pop("name")
            section[key] = {name: section[key]}
    data["Optimizer"]["lr"] = {"Cosine": {"learning_rate": 0.02, "warmup_epoch": 2}}
    base = tmp_path / "base.yaml"
    base.write_text(yaml.safe_dump(data))
    report = split(photos, base=str(base), output_dir=tmp_path / "out")
    assert "_base_" not in yaml.safe_load(report.recipes[0].read_text())
    assert len(built(report.recipes[0]).train) == 2


def merged(base: str, **options: Any) -> Dict[str, Any]:
    return own_recipe(base, lists(**options))


def test_batch_epochs_and_rates_follow_from_the_size_of_the_set() -> None:
    # The base has 4 batches of 64 for each update, at a rate of 0.1.
    found = merged("ImageNet/ResNet/ResNet18.yaml", images=300)
    assert found["DataLoader"]["Train"]["sampler"]["batch_size"] == 32
    assert found["Global"]["update_freq"] == 1 and "epochs" not in found["Global"]
    assert found["Optimizer"]["lr"]["values"] == [0.0125, 0.00125, 0.000125, 0.0000125]
    found = merged("ImageNet/ResNet/ResNet18.yaml", images=5000)
    assert found["Global"]["epochs"] == 60 and "update_freq" not in found["Global"]
    assert found["Optimizer"]["lr"] == {"decay_epochs": [15.0, 30.0, 45.0]}
    found = merged("ImageNet/EfficientNet/EfficientNetLite0.yaml", images=300)
    assert found["Optimizer"]["lr"]["learning_rate"] == pytest.approx(0.032 / 4)
    assert merged("quick_start/own_images.yaml", images=300).keys().isdisjoint({"Optimizer"})


def test_a_tiny_set_and_a_large_one() -> None:
    found = merged("quick_start/own_images.yaml", images=2)
    assert found["DataLoader"]["Train"]["sampler"]["batch_size"] == 8
    assert merged("quick_start/LeNet_cifar10.yaml", images=200)["Global"]["epochs"] == 30
    assert "epochs" not in merged("quick_start/LeNet_cifar10.yaml", images=50_000)["Global"]
    found = merged("ImageNet/VGG/VGG16.yaml", images=1_281_167, classes=1000)
    assert found["Global"]["epochs"] == 30
    assert "sampler" not in found["DataLoader"]["Train"]


def test_a_base_without_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("Arch: {name: LeNet}\n")
    with pytest.raises(ConfigError, match="no DataLoader.Train.dataset.transform_ops"):
        own_recipe(str(tmp_path / "base.yaml"), lists())
    with pytest.raises(ConfigError, match="Did you mean"):
        own_recipe("quick_start/own_image.yaml", lists())
    assert find_recipe("quick_start/own_images.yaml").is_file()


def test_the_size_of_progressive_recipes_is_the_asked_one(photos: Path, tmp_path: Path) -> None:
    base = "ImageNet/EfficientNetV2/EfficientNetV2_S.yaml"
    report = split(photos, base=base, size=96, output_dir=tmp_path)
    data = load_config(str(report.recipes[0])).data["DataLoader"]
    ops = {
        k: v
        for part in ("Train", "Eval")
        for op in data[part]["dataset"]["transform_ops"]
        for k, v in op.items()
    }
    assert ops["RandCropImage"]["size"] == ops["CropImageAtRatio"]["size"] == 96
    assert ops["RandCropImage"]["progress_size"] is None and ops["CropImageAtRatio"]["pad"] == 14
