"""Preprocessing that follows another size of images."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from ppcls.arch import create_model
from ppcls.data.transforms import Pipeline
from ppcls.errors import UsageError
from ppcls.exporters.input_size import check_network_takes, resized

Ops = List[Dict[str, Any]]
Build = Callable[[Ops], Pipeline]
_NORMALIZE: Dict[str, Any] = {"NormalizeImage": {"order": ""}}


def _sizes(transform: Pipeline) -> Ops:
    """The numbers of the ops that settle the size."""
    return [
        {key: arguments[key] for key in ("resize_short", "size") if arguments.get(key)}
        for op in transform.spec()
        for name, arguments in op.items()
        if name in ("ResizeImage", "CropImage")
    ]


@pytest.mark.parametrize(
    ("ops", "size", "expected"),
    [
        (
            [{"ResizeImage": {"resize_short": 256}}, {"CropImage": {"size": 224}}],
            (256, 256),
            [{"resize_short": 293}, {"size": 256}],
        ),
        (
            [{"ResizeImage": {"resize_short": 256}}, {"CropImage": {"size": 224}}],
            (112, 224),
            [{"resize_short": 256}, {"size": [224, 112]}],
        ),
        (
            [{"ResizeImage": {"size": [100, 50]}}, {"CropImage": {"size": [80, 40]}}],
            (80, 160),
            [{"size": [200, 100]}, {"size": [160, 80]}],
        ),
        ([{"ResizeImage": {"size": 32}}], (20, 30), [{"size": [30, 20]}]),
    ],
)
def test_sizes_follow(pipeline: Build, ops: Ops, size: Any, expected: Ops) -> None:
    found = resized(pipeline([*ops, _NORMALIZE]), size)
    assert found.output_size == size and _sizes(found) == expected
    photo = np.zeros((500, 375, 3), np.uint8)
    assert found(photo).shape == (3, *size)


def test_the_same_size_changes_nothing(pipeline: Build) -> None:
    crop: Ops = [{"ResizeImage": {"resize_short": 256}}, {"CropImage": {"size": 224}}]
    transform = pipeline([*crop, _NORMALIZE])
    assert resized(transform, (224, 224)).spec() == transform.spec()


def test_preprocessing_without_a_size_is_refused(pipeline: Build) -> None:
    with pytest.raises(UsageError, match="--input-size: the Eval transforms do not settle one"):
        resized(pipeline([{"ResizeImage": {"resize_short": 256}}, _NORMALIZE]), (224, 224))


@pytest.mark.slow
def test_a_size_below_the_networks_smallest_is_refused() -> None:
    network = create_model("AlexNet")
    with pytest.raises(UsageError, match=r"--input-size 16,224: AlexNet takes images of at least"):
        check_network_takes(network, (16, 224))
    check_network_takes(network, (network.min_input_size,) * 2)


def test_the_middle_of_a_square_follows(pipeline: Build) -> None:
    ops: Ops = [{"CropImageAtRatio": {"size": 384, "pad": 32}}, _NORMALIZE]
    found = resized(pipeline(ops), (192, 192))
    assert found.output_size == (192, 192)
    (spec,) = (op for op in found.spec() if "CropImageAtRatio" in op)
    assert spec["CropImageAtRatio"]["pad"] == 16
    with pytest.raises(UsageError, match="--input-size 192,224: CropImageAtRatio cuts out squares"):
        resized(pipeline(ops), (192, 224))
