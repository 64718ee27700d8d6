"""The recipes for ImageNet-1k: published hyper-parameters, and what their comments say of them."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path
from typing import Callable, List, NamedTuple, Tuple

import cv2
import numpy as np
import pytest

from ppcls.arch.family_data import networks
from ppcls.cli import main
from ppcls.config import Config, load_config
from ppcls.config.schema import SplitSection
from ppcls.registry import Part
from tests.recipes import CONFIGS, all_recipes

OF_IMAGENET = all_recipes("ImageNet")

Rate = Callable[[float, int], float]
"""A learning rate after t of n epochs."""


def cosine(peak: float, warmup: int = 0) -> Rate:
    def rate(t: float, n: int) -> float:
        if t < warmup:
            return peak * t / warmup
        return peak * 0.5 * (1 + math.cos(math.pi * (t - warmup) / (n - warmup)))

    return rate


def tenths(peak: float, every: int = 30) -> Rate:
    return lambda t, n: peak / 10 ** min(t // every, (n - 1) // every)


def powers(peak: float, factor: float, every: int) -> Rate:
    return lambda t, n: peak * factor ** (t // every)


class Row(NamedTuple):
    """Published hyper-parameters: of which networks, and what; the last ones are tricks."""

    networks: str
    epochs: int
    batch: Tuple[int, int]
    rate: Rate
    decay: float
    size: Tuple[int, int] = (224, 256)
    smoothing: float = 0.0
    mixup: float = 0.0
    augment: Tuple[str, ...] = ()
    optimizer: str = "Momentum"
    first_size: int = 0


BAG = {"smoothing": 0.1, "mixup": 0.2}
V3 = {"smoothing": 0.1}
EFFICIENT = {"smoothing": 0.1, "augment": ("AutoAugment",), "optimizer": "RMSProp"}
SIDES = (224, 240, 260, 300, 380, 456, 528, 600)
PUBLISHED = [
    Row("AlexNet", 120, (64, 4), tenths(0.01), 1e-4),
    Row("VGG11", 90, (128, 4), cosine(0.1), 2e-4),
    Row("VGG13", 90, (64, 4), cosine(0.01), 3e-4),
    Row("VGG16", 90, (64, 4), cosine(0.01), 4e-4),
    Row("VGG19", 150, (64, 4), cosine(0.01), 4e-4),
    Row("SqueezeNet1_[01]", 120, (128, 4), cosine(0.02), 1e-4),
    Row("ResNet(18|34|50|50_ACNet|101|152)", 120, (64, 4), tenths(0.1), 1e-4),
    Row("ResNet(18|34|50)_vd", 200, (64, 4), cosine(0.1), 7e-5, **BAG),
    Row("ResNet(101|152|200)_vd", 200, (64, 4), cosine(0.1), 1e-4, **BAG),
    Row("ResNeXt(50_32x4d|50_64x4d|101_32x4d|152_32x4d)", 120, (64, 4), tenths(0.1), 1e-4),
    Row("ResNeXt101_64x4d", 120, (64, 4), tenths(0.1), 1.5e-4),
    Row("ResNeXt152_64x4d", 120, (64, 4), tenths(0.1), 1.8e-4),
    Row("ResNeXt(50|101|152)_vd_(32|64)x4d", 200, (64, 4), cosine(0.1), 1e-4, **BAG),
    Row("DarkNet53", 200, (64, 4), cosine(0.1), 1e-4, size=(256, 292), **BAG),
    Row("GoogLeNet", 200, (64, 4), cosine(0.01, warmup=5), 1e-4),
    Row("InceptionV[34]", 200, (64, 4), cosine(0.045), 1e-4, size=(299, 320), **BAG),
    Row(r"DenseNet\d+", 120, (64, 4), tenths(0.1), 1e-4),
    Row("MobileNetV1(_x0_25|_x0_5|_x0_75|)", 120, (64, 4), tenths(0.1), 3e-5),
    Row("MobileNetV2_(x0_25|x0_5)", 240, (64, 4), cosine(0.045), 3e-5),
    Row("MobileNetV2(_x0_75|_x1_5|_x2_0|)", 240, (64, 4), cosine(0.045), 4e-5),
    Row("MobileNetV3_small_x0_(35|5)", 360, (512, 4), cosine(1.3, 5), 1e-5, **V3),
    Row("MobileNetV3_small_x(0_75|1_0|1_25)", 360, (512, 4), cosine(1.3, 5), 2e-5, **V3),
    Row("MobileNetV3_large_x0_(35|5|75)", 360, (512, 4), cosine(1.3, 5), 2e-5, **V3),
    Row("MobileNetV3_large_x1_25", 360, (512, 4), cosine(1.3, 5), 4e-5, **V3),
    Row(
        "MobileNetV3_large_x1_0", 360, (256, 4), cosine(0.65, 5), 2e-5, augment=("AutoAugment",),
        **V3,
    ),
    Row("ShuffleNetV2_x0_(25|33|5)", 240, (256, 4), cosine(0.5, 5), 3e-5),
    Row("ShuffleNetV2_(swish|x1_0)", 240, (256, 4), cosine(0.5, 5), 4e-5),
    Row("ShuffleNetV2_(x1_5|x2_0)", 240, (128, 4), cosine(0.25, 5), 4e-5),
    *(
        Row(f"EfficientNetB{i}", 360, (128, 4), cosine(0.032, 5), 1e-5, size, **EFFICIENT)
        for i, size in enumerate((side, side + 32) for side in SIDES)
    ),
    Row(
        "EfficientNetLite0", 360, (128, 4), cosine(0.032, 5), 1e-5, smoothing=0.1,
        optimizer="RMSProp",
    ),
    Row(
        "EfficientNetV2_S", 350, (128, 8), cosine(0.65, 5), 1e-5, (384, 416), smoothing=0.1,
        augment=("RandAugmentV2",), first_size=171,
    ),
    Row("ShuffleNetV1_.*", 240, (256, 4), lambda t, n: 0.5 * (1 - t / n), 4e-5),
    Row("ResNet(18|34)_tv", 90, (32, 8), tenths(0.1), 1e-4),
    Row("ResNeXt101_32x8d", 100, (32, 64), tenths(0.1), 1e-4),
    Row(r"AlexNet_tv|VGG\d\d_(tv|bn)", 90, (32, 8), tenths(0.01), 1e-4),
    Row("MobileNetV2_tv", 300, (32, 8), powers(0.045, 0.98, every=1), 4e-5),
    Row(
        "MobileNetV3_(large|small)_x1_0_tv", 600, (128, 8), powers(0.064, 0.973, every=2), 1e-5,
        augment=("AutoAugment", "RandomErasing"), optimizer="RMSProp",
    ),
]  # fmt: skip


@cache
def recipe(path: Path) -> Config:
    return load_config(str(path))


def transform_ops(loader: SplitSection) -> List[Part]:
    return loader.dataset.arguments["transform_ops"]


def row_of(path: Path) -> Row:
    (row,) = [row for row in PUBLISHED if re.fullmatch(row.networks, path.stem)]
    return row


@pytest.mark.parametrize("path", OF_IMAGENET)
def test_hyper_parameters_are_the_published_ones(path: Path) -> None:
    config, row = recipe(path), row_of(path)
    assert config.Arch.name == path.stem
    optimizer, loaders = config.Optimizer, config.DataLoader
    assert (optimizer.name, config.Global.epochs) == (row.optimizer, row.epochs)
    assert optimizer.arguments["momentum"] == 0.9
    assert optimizer.arguments["regularizer"].name == "L2"
    assert optimizer.arguments["regularizer"].arguments == {"coeff": row.decay}
    assert (loaders.Train.sampler.arguments["batch_size"], config.Global.update_freq) == row.batch
    assert config.Loss.Train[0].arguments.get("epsilon", 0) == row.smoothing
    mixing = [part.arguments["alpha"] for part in loaders.Train.batch_transform_ops]
    assert mixing == [row.mixup] * bool(row.mixup)
    train, evaluation = map(transform_ops, (loaders.Train, loaders.Eval))
    usual = ["DecodeImage", "RandCropImage", "RandFlipImage"]
    assert [op.name for op in train] == [*usual, *row.augment, "NormalizeImage", "ToCHWImage"]
    sizes = {op.name: op.arguments for op in (*train, *evaluation)}
    crop, resize = row.size
    assert sizes["RandCropImage"]["size"] == (row.first_size or crop)
    is_torchvisions = "torchvision" in path.read_text().splitlines()[0]
    assert sizes["RandCropImage"].get("use_log_aspect", False) == is_torchvisions
    if "CropImageAtRatio" in sizes:
        assert sizes["CropImageAtRatio"]["size"] == crop
        assert sizes["CropImageAtRatio"]["pad"] == resize - crop
    else:
        assert sizes["CropImage"]["size"] == crop
        assert sizes["ResizeImage"]["resize_short"] == resize


@pytest.mark.parametrize("path", OF_IMAGENET)
def test_the_rate_follows_the_published_formula(path: Path) -> None:
    row, steps = row_of(path), 1252
    end = steps * row.epochs
    rates = recipe(path).Optimizer.arguments["lr"]
    schedule = rates.build(epochs=row.epochs, steps_per_epoch=steps)
    for step in (0, 1, 3 * steps, 29 * steps, 30 * steps, end // 2 + 7, end - 1):
        assert schedule.at(step) == pytest.approx(row.rate(step / steps, row.epochs), rel=1e-9)


@pytest.mark.parametrize("path", OF_IMAGENET)
def test_the_comment_says_what_the_recipe_says(path: Path) -> None:
    config, published = recipe(path), networks()[path.stem].published
    lines = [line[2:] for line in path.read_text().splitlines() if line.startswith("# ")]
    text = " ".join(lines)
    figures = re.findall(r"([\d.]+) % top-\d", lines[0])
    assert bool(figures) == ("published" in lines[0])
    if figures:
        assert published
        expected = [100 * one for one in (published.top1, published.top5) if one]
        assert [float(figure) for figure in figures] == pytest.approx(expected, abs=0.0051)
    batch = config.DataLoader.Train.sampler.arguments["batch_size"]
    times = config.Global.update_freq
    assert f" {config.Global.epochs} epochs on one device, {times} batches of {batch} for" in text
    if path.stem != "EfficientNetLite0":
        assert f"the learning rate belongs to {batch * times} images an update" in text
        assert "Trained here: no." in text
    assert lines[-1].strip() == f"python tools/train.py -c {path.relative_to(CONFIGS.parent)}"


PARTS = ("Train", "Eval")


@pytest.mark.slow
@pytest.mark.parametrize("path", all_recipes("ImageNet", pytest.mark.exhaustive))
def test_it_trains(path: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = [
        *("Global.device=cpu", "Global.update_freq=1"),
        *(f"DataLoader.{part}.dataset.image_root={photos}" for part in PARTS),
        *(f"DataLoader.{part}.dataset.cls_label_path={photos}/list.txt" for part in PARTS),
        *(f"DataLoader.{part}.sampler.batch_size=2" for part in PARTS),
    ]
    assert main(["train", "-c", str(path), "--dry-run", "-o", *changes]) == 0
    printed = capsys.readouterr().out
    side = 300 if row_of(path).first_size else row_of(path).size[0]
    assert re.search(rf"training batch +\[2, 3, {side}, {side}\]", printed)
    loss = re.search(r"loss +([\d.]+), forward", printed)
    assert loss and 0 < float(loss[1]) < 100


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    names = [f"{index}.jpg" for index in range(4)]
    for name in names:
        cv2.imwrite(str(folder / name), rng.integers(0, 256, (320, 400, 3), dtype=np.uint8))
    (folder / "list.txt").write_text("".join(f"{name} {i * 300}\n" for i, name in enumerate(names)))
    return folder
