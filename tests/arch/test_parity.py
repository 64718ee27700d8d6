"""Logits against those that the published implementations computed with the same weights."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List

import numpy as np
import paddle
import pytest

from ppcls.arch import create_model
from ppcls.weights.loading import load_into
from ppcls.weights.reference import reference_names

# What torchvision does otherwise than PaddleClas, whose networks the names mean.
_USUAL = {"dropout_mode": "upscale_in_train"}
_TORCHVISION = {
    # torchvision's      ours           arguments
    "alexnet": ("AlexNet", _USUAL),
    "vgg11": ("VGG11", {**_USUAL, "conv_bias": True}),
    "squeezenet1_1": ("SqueezeNet1_1", {**_USUAL, "ceil_mode": True}),
    "resnet18": ("ResNet18", {"first_projection": False}),
    "resnet50": ("ResNet50", {}),
}


@pytest.fixture(scope="module")
def reference(shared_dir: Path) -> Path:
    folder = shared_dir / "reference"
    if not folder.is_dir():
        pytest.skip("the folder '../shared/reference' with published logits is not on this machine")
    return folder


def _fill_module(reference: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_fill", reference / "fill.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _manifest(reference: Path, source: str, name: str) -> Dict[str, Any]:
    return json.loads((reference / source / f"{name}.json").read_text())


def _assert_same_logits(network: paddle.nn.Layer, reference: Path, source: str, name: str) -> None:
    expected = np.load(reference / source / f"{name}.npy")
    images = _fill_module(reference).batch(_manifest(reference, source, name)["input_size"])
    network.eval()
    with paddle.no_grad():
        got = network(paddle.to_tensor(images)).numpy()
    assert np.linalg.norm(got - expected) / np.linalg.norm(expected) < 1e-5
    difference = expected[0] - expected[1]
    error = np.linalg.norm((got[0] - got[1]) - difference)
    assert error / np.linalg.norm(difference) < 1e-2


def _marked(*names: str) -> List[Any]:
    slow = ("AlexNet", "alexnet", "VGG16", "vgg11", "ResNet50", "resnet50")
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in names]


@pytest.mark.parametrize(
    "name", _marked("AlexNet", "VGG16", "SqueezeNet1_0", "ResNet18", "ResNet50")
)
def test_published_paddleclas_checkpoints_load_and_give_their_logits(
    name: str, reference: Path
) -> None:
    manifest, fill = _manifest(reference, "paddleclas", name), _fill_module(reference).fill
    arrays = {
        key: fill(key, shape, "paddle", manifest["gain"]) for key, shape in manifest["parameters"]
    }
    network = create_model(name)
    assert list(reference_names("paddleclas", network).values()) == list(arrays)
    report = load_into(network, arrays)
    assert report.source == "paddleclas" and len(report.matched) == len(arrays)
    _assert_same_logits(network, reference, "paddleclas", name)


@pytest.mark.parametrize("theirs", _marked(*_TORCHVISION))
def test_arguments_make_torchvisions_networks(theirs: str, reference: Path) -> None:
    """Our parameters come in the same order as torchvision's, which stands in for import rules."""
    manifest, fill = _manifest(reference, "torchvision", theirs), _fill_module(reference).fill
    name, arguments = _TORCHVISION[theirs]
    network = create_model(name, **arguments)
    ours, entries = list(network.state_dict()), manifest["parameters"]
    entries = [(key, shape) for key, shape in entries if not key.endswith("num_batches_tracked")]
    assert len(ours) == len(entries)
    for own, (key, shape) in zip(ours, entries):
        array = fill(key, shape, "torch", manifest["gain"])
        network.state_dict()[own].set_value(array.T if array.ndim == 2 else array)
    _assert_same_logits(network, reference, "torchvision", theirs)
