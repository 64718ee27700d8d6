"""OpenVINO gives what Paddle Inference gives, in the precision that was asked for."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Callable, List

import numpy as np
import pytest

from ppcls.errors import BundleError, UsageError
from ppcls.inference.bundle import Bundle, read_bundle
from ppcls.inference.engines import EngineOptions, NetworkInput, open_engine

openvino = pytest.importorskip("openvino", reason="the extra 'openvino' is not installed")
pytest.importorskip("paddle2onnx", reason="the extra 'onnx' is not installed")


@pytest.fixture(scope="module")
def bundle(bundled: Callable[[List[str]], Path]) -> Bundle:
    """The bundle of these tests in two formats."""
    return read_bundle(bundled(["paddle", "onnx"]))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Five images of noise."""
    return np.random.default_rng(0).standard_normal((5, 3, 32, 32), dtype=np.float32)


@pytest.mark.slow
def test_the_same_probabilities_as_paddle_inference(bundle: Bundle, images: np.ndarray) -> None:
    engine = open_engine("openvino", bundle, EngineOptions("cpu", 1, batch_size=2))
    expected = open_engine("paddle", bundle, EngineOptions("cpu", 1)).run(images)
    first = engine.run(images[:1])
    for count in (5, 2, 1):
        found = engine.run(images[:count])
        assert found.shape == (count, 10) and found.dtype == np.float32
        np.testing.assert_allclose(found, expected[:count], atol=1e-6)
    np.testing.assert_allclose(first, expected[:1], atol=1e-6, err_msg="overwritten by later runs")
    flipped = images[::-1].astype(np.float64)
    np.testing.assert_allclose(engine.run(flipped), expected[::-1], atol=1e-6)


@pytest.mark.slow
def test_float32_is_pinned_and_bfloat16_offered(bundle: Bundle, images: np.ndarray) -> None:
    exact = open_engine("openvino", bundle, EngineOptions("cpu", 2))
    described = exact.describe()
    assert (described["device"], described["threads"]) == ("cpu", 2)
    assert "INFERENCE_PRECISION_HINT: f32" in described["report"]
    half = EngineOptions("cpu", 2, "bf16")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(UsageError, match="does not compute in bfloat16.*--precision fp32"):
            open_engine("openvino", bundle, half)
        return
    faster = open_engine("openvino", bundle, half)
    assert "INFERENCE_PRECISION_HINT: bf16" in faster.describe()["report"]
    assert 1e-6 < np.abs(faster.run(images) - exact.run(images)).max() < 1e-2


def test_images_that_do_not_fit(bundle: Bundle) -> None:
    engine = open_engine("openvino", bundle, EngineOptions("cpu"))
    with pytest.raises(BundleError, match="the network fails on images of shape 1x5x32x32: "):
        engine.run(np.zeros((1, 5, 32, 32), np.float32))


def test_files_that_are_no_network(tmp_path: Path, bundle: Bundle) -> None:
    from ppcls.inference.engines.openvino_runtime import OpenVinoEngine

    path = tmp_path / "inference.onnx"
    for damaged in (b"", b"x" * 1000, bundle.formats["onnx"][0].read_bytes()[:5000]):
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match="inference.onnx: OpenVINO cannot load the network"):
            OpenVinoEngine([path], EngineOptions(), NetworkInput("x", (3, 32, 32)))


@pytest.mark.slow
def test_predicts_where_paddle_is_not_installed(
    bundle: Bundle, photos: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    code = (
        "import sys; sys.modules['paddle'] = sys.modules['onnxruntime'] = None\n"
        "from ppcls.inference import Predictor\n"
        f"predictor = Predictor({str(bundle.folder)!r}, threads=1)\n"
        f"row = predictor({str(photos / '2.png')!r})\n"
        "print(predictor.described['name'], predictor.reason, row.error)"
    )
    done = run_python("-c", code)
    expected = ["openvino no other is installed for it None"]
    assert done.stdout.splitlines()[-1:] == expected, done.stderr


def test_unknown_properties_would_be_noticed(bundle: Bundle) -> None:
    from ppcls.inference.engines.openvino_runtime import settings

    given = settings("fp32", 3)
    supported: Any = openvino.Core().get_property("CPU", "SUPPORTED_PROPERTIES")
    assert set(given) <= set(supported)
