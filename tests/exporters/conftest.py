"""A small network and its preprocessing, for the tests of export."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import paddle
import pytest

from ppcls import registry
from ppcls.arch import create_model
from ppcls.data.dataset import ClassMap
from ppcls.data.transforms import Pipeline
from ppcls.exporters import Processing

Ops = List[Dict[str, Any]]


@pytest.fixture(scope="session")
def pipeline() -> Callable[[Ops], Pipeline]:
    """Build preprocessing from plain mappings."""

    def build(ops: Ops) -> Pipeline:
        return Pipeline([registry.parse("transform", op) for op in ops])

    return build


@pytest.fixture
def transform(pipeline: Callable[[Ops], Pipeline]) -> Pipeline:
    """Photos to 3 x 32 x 32, as an ImageNet recipe does it in small."""
    normalize = {"scale": "1.0/255.0", "mean": [0.5] * 3, "std": [0.25] * 3, "order": ""}
    return pipeline(
        [
            {"DecodeImage": {"to_rgb": True, "channel_first": False}},
            {"ResizeImage": {"resize_short": 36}},
            {"CropImage": {"size": 32}},
            {"NormalizeImage": normalize},
            {"ToCHWImage": None},
        ]
    )


@pytest.fixture
def network() -> paddle.nn.Layer:
    """LeNet with ten classes of colour images, untrained."""
    paddle.seed(0)
    return create_model("LeNet", in_channels=3)


@pytest.fixture
def class_map() -> ClassMap:
    """Ten names, some of which YAML would read as something else than text."""
    return ClassMap(
        ["no", "1", "null", "tench, Tinca tinca", "crane", "crane", "狗", "a: b", "#", ""]
    )


@pytest.fixture
def processing(transform: Pipeline, class_map: ClassMap) -> Processing:
    """Both, as export takes them."""
    return Processing(transform, class_map)
