"""ONNX Runtime gives what Paddle Inference gives, without Paddle."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable, List

import numpy as np
import pytest

from ppcls.errors import BundleError, UsageError
from ppcls.inference.bundle import Bundle, read_bundle
from ppcls.inference.engines import EngineOptions, NetworkInput, open_engine

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
pytest.importorskip("paddle2onnx", reason="the extra 'onnx' is not installed")

INPUT = NetworkInput("x", (3, 32, 32))


@pytest.fixture(scope="module")
def bundle(bundled: Callable[[List[str]], Path]) -> Bundle:
    """The bundle of these tests in both formats."""
    return read_bundle(bundled(["onnx", "paddle"]))


@pytest.mark.slow
def test_the_same_probabilities_as_paddle_inference(bundle: Bundle) -> None:
    assert list(bundle.formats) == ["onnx", "paddle"]
    assert [path.name for path in bundle.formats["onnx"]] == ["inference.onnx"]
    engine = open_engine("onnxruntime", bundle, EngineOptions("cpu", 1))
    images = np.random.default_rng(0).standard_normal((5, 3, 32, 32), dtype=np.float32)
    expected = open_engine("paddle", bundle, EngineOptions("cpu", 1)).run(images)
    for count in (1, 5):
        found = engine.run(images[:count])
        assert found.shape == (count, 10) and found.dtype == np.float32
        np.testing.assert_allclose(found, expected[:count], atol=1e-6)
    # A view that is not contiguous, and another type.
    flipped = images[::-1].astype(np.float64)
    np.testing.assert_allclose(engine.run(flipped), expected[::-1], atol=1e-6)


def test_describes_itself_with_its_threads(bundle: Bundle) -> None:
    engine = open_engine("onnxruntime", bundle, EngineOptions("auto", 3))
    version = onnxruntime.__version__
    assert engine.describe() == {
        "name": "onnxruntime",
        "version": version,
        "device": "cpu",
        "precision": "fp32",
        "threads": 3,
        "report": "CPUExecutionProvider",
    }
    session = engine._session  # type: ignore[attr-defined]
    assert session.get_session_options().intra_op_num_threads == 3


def test_images_that_do_not_fit(bundle: Bundle) -> None:
    engine = open_engine("onnxruntime", bundle, EngineOptions("cpu"))
    with pytest.raises(BundleError, match="the network fails on images of shape 1x5x32x32: "):
        engine.run(np.zeros((1, 5, 32, 32), np.float32))


def test_files_that_are_no_network(tmp_path: Path, bundle: Bundle) -> None:
    from ppcls.inference.engines.onnx_runtime import OnnxRuntimeEngine

    path = tmp_path / "inference.onnx"
    for damaged in (b"", b"x" * 1000, bundle.formats["onnx"][0].read_bytes()[:5000]):
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match="inference.onnx: ONNX Runtime cannot load the"):
            OnnxRuntimeEngine([path], EngineOptions(), INPUT)
    with pytest.raises(BundleError, match="'onnx' is one file, the bundle has a.onnx, b.bin"):
        OnnxRuntimeEngine([Path("a.onnx"), Path("b.bin")], EngineOptions(), INPUT)


def test_predicts_where_paddle_is_not_installed(
    bundle: Bundle, photos: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    code = (
        "import sys; sys.modules['paddle'] = None\n"
        "from ppcls.inference import Predictor\n"
        f"predictor = Predictor({str(bundle.folder)!r}, threads=1, engine='onnxruntime')\n"
        f"row = predictor({str(photos / '2.png')!r})\n"
        "print(predictor.engine.describe()['name'], row.error)"
    )
    done = run_python("-c", code)
    assert done.stdout.splitlines()[-1:] == ["onnxruntime None"], done.stderr


def test_a_gpu_that_is_not_there_is_never_replaced_by_the_cpu(bundle: Bundle) -> None:
    """No GPU here: the message of this ONNX Runtime, and of one whose provider does not start."""
    from ppcls.inference.engines.onnx_runtime import _check_enabled

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    expected = "needs CUDAExecutionProvider for a GPU, .*Install onnxruntime-gpu instead"
    with pytest.raises(UsageError, match=expected):
        open_engine("onnxruntime", bundle, EngineOptions("gpu:1"))
    with pytest.raises(UsageError, match="needs TensorrtExecutionProvider for a GPU"):
        open_engine("onnxruntime_tensorrt", bundle, EngineOptions("gpu", precision="fp16"))
    with pytest.raises(UsageError, match="could not start CUDAExecutionProvider, and took CPUExec"):
        _check_enabled("CUDAExecutionProvider", ["CPUExecutionProvider"])


def test_settings_of_the_providers_for_gpus(tmp_path: Path) -> None:
    """Names: https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html"""
    from ppcls.inference.engines.onnx_runtime import providers, tensorrt_provider

    assert providers("gpu:2") == [
        ("CUDAExecutionProvider", {"device_id": "2", "use_tf32": "0"}),
    ]
    for precision, (half, eight) in {"fp32": "00", "fp16": "10", "int8": "01"}.items():
        options = EngineOptions("gpu:1", precision=precision, batch_size=4)
        name, given = tensorrt_provider("gpu:1", options, INPUT, tmp_path)
        assert name == "TensorrtExecutionProvider"
        assert given == {
            "device_id": "1",
            "trt_fp16_enable": half,
            "trt_int8_enable": eight,
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(tmp_path),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(tmp_path),
            "trt_profile_min_shapes": "x:1x3x32x32",
            "trt_profile_opt_shapes": "x:4x3x32x32",
            "trt_profile_max_shapes": "x:4x3x32x32",
        }
