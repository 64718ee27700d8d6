"""``ppcls.export``: what Python users call, with a checked configuration or a file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
import yaml

import ppcls
from ppcls.api import export as export_api
from ppcls.config import as_config, load_config
from ppcls.data.dataset import ClassMap
from ppcls.data.transforms import Pipeline, Transform
from ppcls.errors import ConfigError, UsageError
from ppcls.inference import Predictor, read_bundle
from ppcls.registry import register


@pytest.mark.slow
def test_a_file_and_a_checked_configuration_give_the_same_bundle(
    trained: Any, tmp_path: Path
) -> None:
    first = ppcls.export(trained.config, tmp_path / "first")
    second = ppcls.export(load_config(str(trained.config)), tmp_path / "second")
    assert first.folder == tmp_path / "first" and first.parity == second.parity
    assert first.parity["paddle"]["paddle"].kind_of_images == "real images"
    described = [yaml.safe_load((r.folder / "inference.yml").read_text()) for r in (first, second)]
    for one in described:
        del one["Bundle"]["provenance"]["exported"]
        del one["Bundle"]["files"]  # Paddle counts names, and their order is that of the weights
    assert described[0] == described[1]


@pytest.mark.slow
def test_every_format_gives_the_same_predictions(
    trained: Any, digits: Path, tmp_path: Path
) -> None:
    pytest.importorskip("paddle2onnx", reason="the extra 'onnx' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    report = ppcls.export(trained.config, tmp_path / "bundle", ["paddle", "onnx"])
    assert list(report.parity) == list(read_bundle(report.folder).formats) == ["paddle", "onnx"]
    measured = [one for engines in report.parity.values() for one in engines.values()]
    assert all(parity.passed and parity.images == 16 for parity in measured)
    for what in ("paddle in paddle", "paddle in paddle_plain", "onnx in onnxruntime"):
        assert f"Parity of {what} on 16 images (real images): " in report.summary()
    photos = sorted((digits / "val").rglob("*.png"))
    paddle, onnx = [
        list(Predictor(report.folder, engine=name, device="cpu")(photos))
        for name in ("paddle", "onnxruntime")
    ]
    for one, other in zip(paddle, onnx):
        assert one.error is None and one.class_ids == other.class_ids
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


@pytest.mark.parametrize(
    ("formats", "message"),
    [
        (
            ["padle"],
            "unknown format 'padle'. Did you mean 'paddle'. Accepted: paddle, onnx, openvino",
        ),
        (["paddle", "paddle"], "'paddle' is named twice"),
        ([], "at least one format. Accepted: paddle, onnx, openvino"),
    ],
)
def test_wrong_formats_are_refused(
    trained: Any, tmp_path: Path, formats: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        ppcls.export(trained.config, tmp_path / "bundle", formats)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_usual_formats_are_those_that_can_be_written(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstacle = "ONNX Runtime is not installed: pip install 'ppcls[onnx]'"
    monkeypatch.setattr("ppcls.api.export.format_obstacle", lambda name: obstacle)
    report = ppcls.export(trained.config, tmp_path / "alone")
    assert list(report.parity) == ["paddle"] and report.left_out == obstacle
    assert f"Written as paddle only: {obstacle}" in report.summary()
    monkeypatch.undo()
    pytest.importorskip("paddle2onnx", reason="the extra 'onnx' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    report = ppcls.export(trained.config, tmp_path / "both")
    assert list(report.parity) == ["paddle", "onnx"] and report.left_out is None


def test_another_size_reaches_network_and_preprocessing(trained: Any, tmp_path: Path) -> None:
    report = ppcls.export(trained.config, tmp_path / "b", ["paddle"], input_size=(40, 48))
    assert report.parity["paddle"]["paddle"].images == 16
    bundle = read_bundle(tmp_path / "b")
    assert bundle.input_shape == (1, 40, 48)
    assert {"ResizeImage": {"size": [48, 40], "backend": "cv2"}} in bundle.transform_ops


def test_a_wrong_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("Arch: {name: LeNt}\n")
    with pytest.raises(ConfigError, match=r"recipe.yaml:1: .*LeNet"):
        ppcls.export(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    ("dataset", "is_elsewhere"),
    [
        ({}, False),
        ({"image_root": "."}, False),
        ({"image_root": "none"}, True),
        ({"image_root": ".", "cls_label_path": "none.txt"}, True),
        ({"image_root": ".", "cls_label_path": "here.txt"}, False),
        ({"image_root": ".", "cls_label_path": "gone.txt"}, True),
    ],
)
def test_a_data_set_of_another_machine_is_told_from_one_with_mistakes(
    dataset: Dict[str, str],
    is_elsewhere: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.png").touch()
    Path("here.txt").write_text("none.png 0\na.png 0\n")
    Path("gone.txt").write_text("none.png 0\nnor this.png 0\n")
    assert export_api._is_elsewhere(dataset) == is_elsewhere


@pytest.fixture
def images_of(recipe: Dict[str, Any], caplog: pytest.LogCaptureFixture) -> Callable[[str], Any]:
    """The images that a bundle is checked with, where `Infer.infer_imgs` alone names some."""

    def find(where: str, train: bool = False) -> Any:
        recipe["DataLoader"]["Eval"] = None
        if not train:
            recipe["DataLoader"]["Train"] = None
        ops = [{"DecodeImage": {"channel_num": 1}}, {"ResizeImage": {"size": 32}}]
        recipe["Infer"] = {"infer_imgs": where, "transforms": ops}
        class_map = ClassMap(["0", "1", "2", "3"])
        with caplog.at_level("INFO", "ppcls"):
            return export_api._real_images(as_config(recipe), class_map, Pipeline(ops))

    return find


def test_a_bundle_is_checked_with_images_that_can_be_read(
    images_of: Callable[[str], Any],
    digits: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.copy(digits / "val/d0/0.png", tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"")
    (image,) = images_of(str(tmp_path))
    assert image.shape == (1, 32, 32)
    assert caplog.messages == [
        f"left out of the check of the bundle: {tmp_path}/bad.png: the file is empty (0 bytes)"
    ]


def test_why_a_bundle_is_checked_with_random_numbers(
    images_of: Callable[[str], Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert images_of(str(tmp_path / "none.png")) is None
    (message,) = caplog.messages
    assert "uses random numbers, because there are no images: " in message
    assert f"{tmp_path}/none.png: no such file or folder" in message


def test_a_bundle_is_checked_with_images_of_training_where_there_are_no_others(
    images_of: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = images_of(str(tmp_path / "none.png"), train=True)
    assert len(images) == export_api.PARITY_IMAGES
    assert {image.shape for image in images} == {(1, 32, 32)} and not caplog.messages


def test_preprocessing_of_ones_own_is_warned_of(
    own_parts: None, caplog: pytest.LogCaptureFixture
) -> None:
    """A bundle holds no code."""

    @register("transform")
    class Unchanged(Transform):
        def __call__(self, image: np.ndarray, rng: Any) -> np.ndarray:
            return image

    export_api._warn_of_own_transforms(Pipeline([{"DecodeImage": None}]))
    assert not caplog.messages
    export_api._warn_of_own_transforms(Pipeline([{"DecodeImage": None}, {"Unchanged": None}]))
    assert "prepares images with Unchanged of your own" in caplog.text
