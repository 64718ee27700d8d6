"""ONNX files: what they hold, and what is said when there can be none."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from ppcls.arch import create_model
from ppcls.errors import ExportError
from ppcls.exporters.onnx import convert_program, write_onnx


@pytest.mark.parametrize("count", [1, 5])
def test_a_file_takes_batches_of_any_size_and_gives_probabilities(
    tmp_path: Path, count: int
) -> None:
    pytest.importorskip("paddle2onnx", reason="the extra 'onnx' is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    network = create_model("LeNet")
    assert write_onnx(network, tmp_path / "lenet", (1, 32, 32)) == [tmp_path / "lenet.onnx"]
    assert network.training
    assert [path.name for path in tmp_path.iterdir()] == ["lenet.onnx"]
    images = np.random.default_rng(0).standard_normal((count, 1, 32, 32)).astype("float32")
    session = runtime.InferenceSession(str(tmp_path / "lenet.onnx"))
    (got,) = session.run(None, {session.get_inputs()[0].name: images})
    expected = paddle.nn.functional.softmax(network(paddle.to_tensor(images))).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


def test_a_missing_converter_is_named_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "paddle2onnx", None)
    with pytest.raises(ExportError, match=r"pip install 'ppcls\[onnx\]'"):
        write_onnx(create_model("LeNet"), tmp_path / "lenet", (1, 32, 32))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_converted_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("paddle2onnx", reason="the extra 'onnx' is not installed")
    target = tmp_path / "files" / "net.onnx"
    target.parent.mkdir()
    with pytest.raises(ExportError, match="cannot convert"):
        convert_program(tmp_path / "missing", target)
    assert list(target.parent.iterdir()) == []
