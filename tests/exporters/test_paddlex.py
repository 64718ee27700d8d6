from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from ppcls.arch import create_model, list_models
from ppcls.data.dataset import ClassMap
from ppcls.data.transforms import Pipeline
from ppcls.exporters import Processing, export_bundle
from ppcls.exporters.paddlex import (
    name_for_paddlex,
    name_obstacle,
    paddlex_models,
    portable,
)
from ppcls.inference import Predictor
from ppcls.inference.bundle import build_pipeline

Ops = List[Dict[str, Any]]
Build = Callable[[Ops], Pipeline]

_ACCEPTED = {
    "ResizeImage": {"resize_short", "size", "backend", "interpolation"},
    "CropImage": {"size"},
    "NormalizeImage": {"mean", "std", "scale", "order", "channel_num"},
    "ToCHWImage": set(),
}
"""The ops of PaddleX 3.7.2's image-classification predictor and their arguments."""

_FILTERS = {
    "cv2": {"NEAREST", "LINEAR", "BICUBIC", "AREA", "LANCZOS4"},
    "pil": {"NEAREST", "BILINEAR", "BICUBIC", "BOX", "LANCZOS4"},
}

_RESIZE: Dict[str, Any] = {"ResizeImage": {"size": [40, 32]}}
_NORMALIZE: Dict[str, Any] = {"NormalizeImage": {"scale": "1.0/255.0", "order": "hwc"}}
_CROP: Dict[str, Any] = {"CropImage": {"size": [30, 20]}}

_RUNS = {
    "plain": [_RESIZE, _NORMALIZE, {"ToCHWImage": {}}],
    "crop": [{"ResizeImage": {"resize_short": 40}}, _CROP, _NORMALIZE],
    "chw": [_RESIZE, _CROP, {"ToCHWImage": {}}, {"NormalizeImage": {"order": "chw"}}],
    "both sizes": [{"ResizeImage": {"resize_short": 40, "size": 5}}, _CROP, _NORMALIZE],
    "area": [{"ResizeImage": {"size": 32, "interpolation": "area"}}, _NORMALIZE],
    "Pillow": [{"ResizeImage": {"size": 32, "backend": "pil"}}, _NORMALIZE],
    "words": [
        {"ResizeImage": {"size": 32, "interpolation": "BILINEAR", "return_numpy": False}},
        _NORMALIZE,
    ],
}

_CANNOT = {
    "decode to grey": [
        {"DecodeImage": {"channel_num": 1}},
        _RESIZE,
        {"NormalizeImage": {"mean": [0.5], "std": [0.5], "order": ""}},
    ],
    "BGR": [{"DecodeImage": {"to_rgb": False}}, _RESIZE, _NORMALIZE],
    "output_fp16": [_RESIZE, {"NormalizeImage": {"order": "", "output_fp16": True}}],
    "three channels": [_RESIZE, {"NormalizeImage": {"order": "", "channel_num": 4}}],
    "'lanczos'": [{"ResizeImage": {"size": 32, "interpolation": "lanczos"}}, _NORMALIZE],
    "'hamming'": [
        {"ResizeImage": {"size": 32, "interpolation": "hamming", "backend": "pil"}},
        _NORMALIZE,
    ],
    "not NormalizeImage > ToCHWImage": [_NORMALIZE],
    "not CropImage > ResizeImage": [_CROP, _RESIZE, _NORMALIZE],
}


def _same_numbers(original: Pipeline, rebuilt: Pipeline) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (61, 83, 3), dtype=np.uint8)
    np.testing.assert_array_equal(rebuilt(photo), original(photo))


@pytest.mark.parametrize("name", list(_RUNS))
def test_written_with_what_paddlex_accepts(pipeline: Build, name: str) -> None:
    if name == "Pillow":
        pytest.importorskip("PIL")
    written = portable(pipeline(_RUNS[name]).spec())
    assert written.obstacles == []
    for op in written.transform_ops:
        ((op_name, arguments),) = op.items()
        assert set(arguments) <= _ACCEPTED[op_name]
        assert None not in arguments.values()
    merged = {key: value for op in written.transform_ops for key, value in op.items()}
    assert merged["NormalizeImage"]["order"] == "" and merged["NormalizeImage"]["channel_num"] == 3
    assert merged["NormalizeImage"]["scale"] == 1 / 255
    resize = merged["ResizeImage"]
    assert resize.get("interpolation", "linear").upper() in _FILTERS[resize["backend"]]


@pytest.mark.parametrize("ops", [*_RUNS.values(), *_CANNOT.values()], ids=[*_RUNS, *_CANNOT])
def test_rewriting_changes_no_number(pipeline: Build, ops: Ops) -> None:
    if "pil" in str(ops):
        pytest.importorskip("PIL")
    original = pipeline(ops)
    written = portable(original.spec())
    decode = {"DecodeImage": written.decode}
    _same_numbers(original, build_pipeline([decode, *written.transform_ops], "inference.yml"))


@pytest.mark.parametrize("obstacle", list(_CANNOT))
def test_obstacles_are_named(pipeline: Build, obstacle: str) -> None:
    if "hamming" in obstacle:
        pytest.importorskip("PIL")
    assert any(obstacle in line for line in portable(pipeline(_CANNOT[obstacle]).spec()).obstacles)


def test_paddlex_predicts_the_same(
    tmp_path: Path, imagenet_sample: Path, pipeline: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real thing, where it is installed; its scores are rounded to five decimals."""
    monkeypatch.setenv("PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK", "True")
    paddlex = pytest.importorskip("paddlex")
    resize: Ops = [{"ResizeImage": {"resize_short": 256}}, {"CropImage": {"size": 224}}]
    transform = pipeline([*resize, {"NormalizeImage": {"order": ""}}])
    labels = ClassMap([f"class {index}" for index in range(1000)])
    report = export_bundle(create_model("ResNet18"), tmp_path / "b", Processing(transform, labels))
    assert report.paddlex_obstacles == []
    photos = [str(path) for path in sorted(imagenet_sample.glob("*.JPEG"))[:4]]
    theirs = paddlex.create_model("ResNet18", model_dir=str(tmp_path / "b"), device="cpu")
    ours = Predictor(tmp_path / "b", device="cpu")(photos)
    for photo, mine in zip(photos, ours):
        (result,) = theirs.predict(photo)
        found = result.json["res"]
        assert np.ravel(found["class_ids"]).tolist() == mine.class_ids
        assert list(np.ravel(found["label_names"])) == mine.names
        np.testing.assert_allclose(np.ravel(found["scores"]), mine.scores, atol=2e-5)


def test_names_of_paddlex() -> None:
    assert {"MobileNetV2_x1_0", "ResNet50_vd", "PP-LCNet_x1_0"} < paddlex_models()
    assert len(paddlex_models()) == 84 and "" not in paddlex_models()
    known = {name for name in list_models() if name_for_paddlex(name) in paddlex_models()}
    assert {"MobileNetV1", "MobileNetV2", "ResNet50"} < known and "AlexNet" not in known
    # No network of ours is called by a name that is another network's.
    ours = [name_for_paddlex(name) for name in list_models()]
    assert len(set(ours)) == len(ours)
    assert name_obstacle("ResNet50") is None
    assert "knows no model 'AlexNet'" in (name_obstacle("AlexNet") or "")
