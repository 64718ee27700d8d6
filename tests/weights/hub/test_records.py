"""The table of published checkpoints: complete, plausible, and true to what was published."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ppcls.arch.family_data import families
from ppcls.data.transforms import Pipeline
from ppcls.errors import UsageError
from ppcls.registry import Part
from ppcls.web.http import check_address
from ppcls.weights.hub.records import Record, find_network_record, find_record, record_names

RECORDS = [find_record(name) for name in record_names()]
LEGENDARY = re.compile(r"ResNet\d|VGG|MobileNetV[13]|InceptionV3")
ELSEWHERE = ("EfficientNetLite", "EfficientNetV2")
"""Families with a preprocessing of their own."""


def test_every_publication_with_an_address_has_its_record() -> None:
    published = {
        name: (network, publication)
        for family in families().values()
        for name, network, publication in family.publications()
        if family.publishers[publication.by].weights
    }
    assert len(published) > 80
    assert sorted(published) == sorted(record.name for record in RECORDS)
    for record in RECORDS:
        network, publication = published[record.name]
        assert (record.network, record.top1) == (network, publication.top1)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_record_is_plausible(record: Record) -> None:
    assert record.licence in ("Apache-2.0", "BSD-3-Clause", "MIT")
    check_address(record.source)
    assert record.crop < record.resize < 2 * record.crop
    for fraction in (record.top1, record.top5):
        assert fraction is None or 0.4 < fraction < 1
    assert record.top1 is None or record.top5 is None or record.top1 < record.top5
    assert record.sha256 is None or re.fullmatch("[0-9a-f]{64}", record.sha256)
    assert re.fullmatch(rf"{record.name}\.(pdparams|pth)", record.filename)
    network = find_record(record.network)
    assert (network.resize, network.crop) == (record.resize, record.crop)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_address_follows_the_pattern(record: Record) -> None:
    if record.in_package:
        assert record.install and record.sha256
        return
    folder = "legendary_models/" if LEGENDARY.match(record.name) else ""
    host = "https://paddle-imagenet-models-name.bj.bcebos.com"
    assert record.address == f"{host}/dygraph/{folder}{record.name}_pretrained.pdparams"


@pytest.mark.parametrize(
    "name", ["ResNet50", "InceptionV3", "EfficientNetV2_S", "EfficientNetLite0"]
)
def test_preprocessing_turns_an_image_into_what_the_network_reads(name: str) -> None:
    record = find_record(name)
    parts = [Part("transform", *item) for op in record.transform_ops() for item in op.items()]
    pipeline = Pipeline(parts)
    assert pipeline.output_size == (record.crop, record.crop)
    image = np.full((record.resize, record.resize + 9, 3), [255, 0, 128], np.uint8)
    middle = pipeline(image, np.random.default_rng(0))[:, record.crop // 2, record.crop // 2]
    mean, std = np.array(record.mean), np.array(record.std)
    np.testing.assert_allclose(middle, (np.array([1, 0, 128 / 255]) - mean) / std, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "resize", "crop"),
    [("ResNet50", 256, 224), ("InceptionV3", 320, 299), ("InceptionV4", 320, 299)]
    + [("DarkNet53", 292, 256), ("EfficientNetV2_S", 416, 384), ("EfficientNetLite0", 256, 224)]
    + [
        (f"EfficientNetB{index}", crop + 32, crop)
        for index, crop in enumerate([224, 240, 260, 300, 380, 456, 528, 600])
    ],
)
def test_sizes_are_the_recipes(name: str, resize: int, crop: int) -> None:
    record = find_record(name)
    assert (record.resize, record.crop) == (resize, crop)


def test_mean_and_std_are_imagenets_but_for_two_families() -> None:
    for record in RECORDS:
        imagenets = record.mean == (0.485, 0.456, 0.406) and record.std == (0.229, 0.224, 0.225)
        assert imagenets != record.name.startswith(ELSEWHERE), record.name
    lite = find_record("EfficientNetLite0")
    assert (lite.mean, lite.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert (lite.interpolation, lite.backend) == ("bicubic", "pil")
    small = find_record("EfficientNetV2_S")
    assert small.mean == small.std == pytest.approx([128 / 255] * 3)


def test_metrics_that_nobody_published_are_left_out() -> None:
    without = {record.name for record in RECORDS if record.top1 is None}
    assert without >= {f"EfficientNetV2_{size}" for size in "SML"}
    lites = {f"EfficientNetLite{size}" for size in "012"}
    assert {r.name for r in RECORDS if r.top5 is None} >= without | lites


def test_metrics_are_the_published_ones(shared_dir: Path) -> None:
    page = next(shared_dir.glob("seeds/000*")).read_text("utf-8")
    rows = re.findall(r"^\| (\w+) +\| (0\.\d+) +\| (0\.\d+) +\|", page, re.MULTILINE)
    published = {name: (float(top1), float(top5)) for name, top1, top5 in rows}
    ours = {record.name: (record.top1, record.top5) for record in RECORDS}
    compared = published.keys() & ours.keys()
    assert len(compared) == 8
    assert {name: ours[name] for name in compared} == {name: published[name] for name in compared}


def test_further_checkpoints_name_their_network() -> None:
    distilled = record_names("*_ssld")
    assert len(distilled) >= 8
    for name in distilled:
        record = find_record(name)
        network = find_record(record.network)
        assert record.network == name[: -len("_ssld")]
        assert record.top1 and network.top1 and record.top1 > network.top1


def test_order_is_by_family_and_size() -> None:
    for order in (
        ["ResNet18_vd", "ResNet34_vd", "ResNet50_vd", "ResNet101_vd", "ResNeXt50_32x4d"],
        ["MobileNetV1_x0_25", "MobileNetV1_x0_5", "MobileNetV1_x0_75"],
    ):
        assert [name for name in record_names() if name in order] == order


def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'resnet5'\. Did you mean 'ResNet50'\? `ppcls weights l"):
        find_record("resnet5")
    assert record_names("NoSuch*") == []


def test_a_network_without_weights_is_not_taken_for_a_misspelling() -> None:
    with pytest.raises(UsageError, match="no weights of LeNet are published") as caught:
        find_network_record("LeNet")
    assert "Did you mean" not in str(caught.value)
    assert find_network_record("ResNet50") == find_record("ResNet50")
