"""Logits against those that the published implementations computed with the same weights."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, Tuple

import numpy as np
import paddle
import pytest

from ppcls.arch.summary import count_parameters
from ppcls.weights import from_reference

_REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
_FURTHER = Path(__file__).parents[1] / "fixtures" / "references.json.gz"
"""The same of further variants, as PaddleClas 2.6, torchvision 0.29 and timm 1.0.31 gave them:
names and shapes of all arrays, and the first logits of both images.
"""
_ROUGH = {("paddleclas", "EfficientNetV2_S"): 0.2}
"""What rounding alone makes of a reference whose random weights amplify it 100,000 times.

PaddleClas itself gives other logits with another number of threads or another code path of MKL.
With those that `runtime.prepare` chooses on the machine where the reference was made, ours are
equal to the last bit; with less random weights, in the further variants, they agree to 1e-6.
"""


def _fill_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_fill", _REFERENCE / "fill.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _published() -> List[Any]:
    """Every manifest of the folder, as (source, name), each on whichever worker is free."""
    found = sorted(_REFERENCE.glob("*/*.json"))
    return [_marked(path.parent.name, path.stem) for path in found] or [
        _missing("any", "reference")
    ]


def _further() -> List[Any]:
    if not _REFERENCE.is_dir():
        return [_missing("any", "reference")]
    return [_marked(*key.split("/")) for key in _further_manifests()]


def _further_manifests() -> Dict[str, Any]:
    manifests: Dict[str, Any] = json.loads(gzip.decompress(_FURTHER.read_bytes()))
    return manifests


def _missing(source: str, name: str) -> Any:
    reason = "the folder '../shared/reference' is not on this machine"
    return pytest.param(source, name, marks=pytest.mark.skip(reason=reason))


def _marked(source: str, name: str) -> Any:
    marks = [pytest.mark.slow, pytest.mark.xdist_group(f"logits {source} {name}")]
    return pytest.param(source, name, marks=marks)


def _filled(manifest: Dict[str, Any]) -> Dict[str, np.ndarray]:
    fill, layout, gain = _fill_module().fill, manifest["layout"], manifest["gain"]
    entries = [(key, tuple(shape)) for key, shape in manifest["parameters"]]
    return {key: fill(key, shape, layout, gain) for key, shape in entries}


def _logits(network: paddle.nn.Layer, manifest: Dict[str, Any]) -> np.ndarray:
    images = _fill_module().batch(manifest["input_size"])
    with paddle.no_grad():
        return network(paddle.to_tensor(images)).numpy()


def _errors(got: np.ndarray, expected: np.ndarray) -> Tuple[float, float]:
    """Return the relative errors of the logits, and of the difference of the two images' logits."""
    both = (got, expected), (got[0] - got[1], expected[0] - expected[1])
    first, second = (np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in both)
    return float(first), float(second)


@pytest.mark.parametrize(("source", "name"), _published())
def test_published_networks_give_their_logits(source: str, name: str) -> None:
    manifest = json.loads((_REFERENCE / source / f"{name}.json").read_text())
    network = from_reference(source, name, _filled(manifest))
    assert not network.training
    assert count_parameters(network) == manifest["trainable_params"]
    expected = np.load(_REFERENCE / source / f"{name}.npy")
    logits, difference = _errors(_logits(network, manifest), expected)
    rough = _ROUGH.get((source, name), 0.0)
    assert logits < max(1e-4, rough) and difference < max(1e-2, rough)


@pytest.mark.parametrize(("source", "name"), _further())
def test_further_variants_give_their_first_logits(source: str, name: str) -> None:
    manifest = _further_manifests()[f"{source}/{name}"]
    network = from_reference(source, name, _filled(manifest))
    assert count_parameters(network) == manifest["trainable_params"]
    expected = np.array(manifest["logits"])
    logits, difference = _errors(_logits(network, manifest)[:, : expected.shape[1]], expected)
    assert logits < 1e-4 and difference < 1e-2
