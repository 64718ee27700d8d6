"""The example in C++ compiles, and says what the predictor says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import List

import cv2
import numpy as np
import pytest

from ppcls import registry
from ppcls.data.dataset import ClassMap
from ppcls.data.transforms import Pipeline
from ppcls.inference import Predictor

RESIZE, CROP = 36, 32


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet for colour images, with ImageNet's preprocessing in small."""
    pytest.importorskip("paddle2onnx", reason="the extra 'onnx' is not installed")
    import paddle

    from ppcls.arch import create_model
    from ppcls.exporters import Processing, export_bundle

    ops = [
        {"DecodeImage": None},
        {"ResizeImage": {"resize_short": RESIZE}},
        {"CropImage": {"size": CROP}},
        {"NormalizeImage": {"order": ""}},
        {"ToCHWImage": None},
    ]
    around = Processing(
        Pipeline([registry.parse("transform", op) for op in ops]), ClassMap.numbered(10)
    )
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    paddle.seed(0)
    export_bundle(create_model("LeNet", in_channels=3), folder, around, formats=["onnx"])
    return folder


@pytest.fixture(scope="module")
def program(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, compiled by the command that it states."""
    openvino = pytest.importorskip("openvino", reason="the extra 'openvino' is not installed")
    if shutil.which("g++") is None or not (Path(openvino.__path__[0]) / "include").is_dir():
        pytest.skip("there is no g++, or this OpenVINO has no headers")
    source = root / "deploy/cpp/classify.cpp"
    folder = tmp_path_factory.mktemp("compiled")
    shutil.copy(source, folder)
    lines = re.findall(r"^// {3,}(.*)$", source.read_text("utf-8"), re.MULTILINE)
    command = " ".join(line.rstrip("\\") for line in lines if "classify BUNDLE" not in line)
    done = subprocess.run(
        ["bash", "-c", f"OV={shlex.quote(openvino.__path__[0])}; {command}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder / "classify"


def _said(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(part) for part in (program, *arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_the_same_classes_as_the_predictor(bundle: Path, program: Path, tmp_path: Path) -> None:
    predictor = Predictor(bundle, engine="onnxruntime", threads=1, topk=5)
    for height, width in ((50, 70), (91, 40), (36, 36)):
        noise = np.random.default_rng(0).integers(0, 256, (height // 5, width // 5, 3), np.uint8)
        photo = cv2.resize(noise, (width, height))
        cv2.imwrite(str(tmp_path / "photo.ppm"), photo)
        done = _said(program, bundle / "inference.onnx", tmp_path / "photo.ppm", RESIZE, CROP)
        rows = [line.split() for line in done.stdout.splitlines()]
        expected = predictor(photo[:, :, ::-1])
        assert [int(index) for index, _ in rows] == expected.class_ids, done.stderr
        assert [float(score) for _, score in rows] == pytest.approx(expected.scores, abs=5e-3)


@pytest.mark.slow
def test_bad_input_is_one_line(bundle: Path, program: Path, tmp_path: Path) -> None:
    network, photo = bundle / "inference.onnx", tmp_path / "photo.ppm"
    for content, words in ((b"P5 1 1 255 x", "expected a binary PPM"), (b"P6 9 9 255 x", "trunc")):
        photo.write_bytes(content)
        done = _said(program, network, photo, RESIZE, CROP)
        assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1
    assert _said(program).returncode == 2
    lists: List[str] = [str(path) for path in tmp_path.iterdir()]
    assert lists == [str(photo)]
