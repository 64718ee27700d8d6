"""A small trained network as a bundle in ONNX, and real images of its classes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest

SIZE = 32


@pytest.fixture(scope="session")
def trained(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet that tells digits 0 to 3 apart, in the format that is quantised; not to be changed."""
    for name in ("paddle", "paddle2onnx", "onnxruntime"):
        pytest.importorskip(name)
    import numpy as np
    import paddle

    from ppcls import registry
    from ppcls.arch import create_model
    from ppcls.data.dataset import ClassMap
    from ppcls.data.transforms import Pipeline
    from ppcls.data.transforms.imagefile import read_image_file
    from ppcls.exporters import Processing, export_bundle

    ops: List[Dict[str, Any]] = [
        {"DecodeImage": {"channel_num": 1}},
        {"ResizeImage": {"size": SIZE}},
        {"NormalizeImage": {"mean": [0.5], "std": [0.5], "order": "", "channel_num": 1}},
        {"ToCHWImage": None},
    ]
    transform = Pipeline([registry.parse("transform", op) for op in ops])
    files = sorted((digits / "train").glob("*/*.png"))
    images = np.stack([transform(read_image_file(str(path))) for path in files])
    classes = np.array([int(path.parent.name[1:]) for path in files])
    paddle.seed(0)
    network = create_model("LeNet", class_num=4, in_channels=1)
    adam = paddle.optimizer.Adam(0.003, parameters=network.parameters())
    for _ in range(25):
        logits = network(paddle.to_tensor(images))
        paddle.nn.functional.cross_entropy(logits, paddle.to_tensor(classes)).backward()
        adam.step()
        adam.clear_grad()
    network.eval()
    folder = tmp_path_factory.mktemp("trained") / "bundle"
    around = Processing(transform, ClassMap(["d0", "d1", "d2", "d3"]), topk=2)
    export_bundle(network, folder, around, formats=["onnx"], images=list(images[:4]))
    return folder


@pytest.fixture
def bundle(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "bundle"))
