"""Networks for OpenVINO: what is written, and what is said when there can be none."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from ppcls.arch import create_model
from ppcls.errors import ExportError
from ppcls.exporters.onnx import write_onnx
from ppcls.exporters.openvino import write_openvino
from ppcls.inference.programs import check_file


def _needed() -> None:
    for package, extra in (("paddle2onnx", "onnx"), ("openvino", "openvino")):
        pytest.importorskip(package, reason=f"the extra '{extra}' is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("beside", [False, True])
def test_files_hold_float32_and_take_any_number_of_images(tmp_path: Path, beside: bool) -> None:
    _needed()
    import openvino

    network = create_model("LeNet")
    if beside:
        write_onnx(network, tmp_path / "lenet", (1, 32, 32))
    files = write_openvino(network, tmp_path / "lenet", (1, 32, 32))
    assert files == [tmp_path / "lenet.xml", tmp_path / "lenet.bin"]
    assert len(list(tmp_path.iterdir())) == 2 + beside
    for path in files:
        check_file(path)
    floats = sum(value.size for value in network.state_dict().values())
    assert files[1].stat().st_size >= 4 * floats
    assert str(tmp_path) not in files[0].read_text() and "/tmp" not in files[0].read_text()
    images = np.random.default_rng(0).standard_normal((3, 1, 32, 32)).astype("float32")
    compiled = openvino.Core().compile_model(
        str(files[0]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    expected = paddle.nn.functional.softmax(network(paddle.to_tensor(images))).numpy()
    np.testing.assert_allclose(compiled(images)[0], expected, rtol=1e-5, atol=1e-7)


def test_a_missing_library_is_named_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ExportError, match=r"pip install 'ppcls\[openvino\]'"):
        write_openvino(create_model("LeNet"), tmp_path / "lenet", (1, 32, 32))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_converted_leaves_nothing(tmp_path: Path) -> None:
    _needed()
    (tmp_path / "lenet.onnx").write_bytes(b"\x3a\x02\x0a\x00")
    with pytest.raises(ExportError, match="OpenVINO cannot convert the network: "):
        write_openvino(create_model("LeNet"), tmp_path / "lenet", (1, 32, 32))
    assert [path.name for path in tmp_path.iterdir()] == ["lenet.onnx"]
