"""ONNX Runtime gives what Paddle Inference gives, without Paddle."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable, List

import numpy as np
import pytest

from ppcls.errors import BundleError
from ppcls.inference.bundle import Bundle, read_bundle
from ppcls.inference.engines import EngineOptions, open_engine

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
pytest.importorskip("paddle2onnx", reason="the extra 'onnx' is not installed")


@pytest.fixture(scope="module")
def bundle(bundled: Callable[[List[str]], Path]) -> Bundle:
    """The bundle of these tests in both formats."""
    return read_bundle(bundled(["onnx", "paddle"]))


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
    known = {"name": "onnxruntime", "version": version, "device": "cpu", "threads": 3}
    assert engine.describe() == known
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
            OnnxRuntimeEngine([path], EngineOptions())
    with pytest.raises(BundleError, match="'onnx' is one file, the bundle has a.onnx, b.bin"):
        OnnxRuntimeEngine([Path("a.onnx"), Path("b.bin")], EngineOptions())


def test_predicts_where_paddle_is_not_installed(
    bundle: Bundle, photos: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    code = (
        "import sys; sys.modules['paddle'] = None\n"
        "from ppcls.inference import Predictor\n"
        f"predictor = Predictor({str(bundle.folder)!r}, threads=1)\n"
        f"(row,) = predictor({str(photos / '2.png')!r})\n"
        "print(predictor.engine.describe()['name'], row.error)"
    )
    done = run_python("-c", code)
    assert done.stdout.splitlines()[-1:] == ["onnxruntime None"], done.stderr
