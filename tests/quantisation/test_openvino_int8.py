"""What OpenVINO's files hold after quantisation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppcls.errors import ExportError
from ppcls.inference.bundle import read_bundle
from ppcls.inference.programs import check_file
from ppcls.quantisation.attempts import ATTEMPTS, Attempt
from ppcls.quantisation.openvino_int8 import _of_openvino, prepared_network, write_openvino_int8
from tests.quantisation.test_onnx_int8 import drawn

pytest.importorskip("openvino")
pytest.importorskip("nncf")


@pytest.mark.slow
@pytest.mark.parametrize("attempt", ATTEMPTS["openvino_int8"], ids=lambda row: row.name)
def test_each_attempt_gives_files_that_bundles_accept(
    trained: Path, tmp_path: Path, attempt: Attempt, capsys: pytest.CaptureFixture[str]
) -> None:
    source = read_bundle(trained).formats["onnx"][0]
    files = write_openvino_int8(source, tmp_path, drawn(), attempt)
    assert [path.name for path in files] == ["inference_int8.xml", "inference_int8.bin"]
    for path in files:
        check_file(path)
    text = files[0].read_text()
    assert text.count('type="FakeQuantize"') >= 5 and 'element_type="i8"' in text
    assert str(source) not in text and capsys.readouterr().out == ""
    assert os.environ["NNCF_CI"]  # nothing is reported to anybody


def test_what_cannot_be_quantised_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ExportError, match=r"broken\.onnx: NNCF cannot quantise it: \S"):
        write_openvino_int8(path, tmp_path, drawn(), Attempt("plain"))


def depthwise_and_swish() -> Any:
    """A depthwise convolution with reshaped weights, x * sigmoid(x), and a product of others."""
    import openvino

    ops = _of_openvino("opset8")
    weights = np.random.default_rng(0).standard_normal((4, 1, 3, 3)).astype("float32")
    image = ops.parameter([1, 4, 8, 8], np.float32)
    grouped = ops.reshape(weights, np.array([4, 1, 1, 3, 3]), special_zero=False)
    maps = ops.group_convolution(image, grouped, [1, 1], [1, 1], [1, 1], [1, 1])
    swish = ops.multiply(ops.sigmoid(maps), maps)
    gate = ops.multiply(swish, ops.sigmoid(ops.reduce_mean(swish, np.array([2, 3]), True)))
    return openvino.Model([gate], [image], "network")


def test_networks_get_the_form_that_is_computed_in_integers() -> None:
    import openvino

    network, image = depthwise_and_swish(), np.ones((1, 4, 8, 8), "float32")
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    before = openvino.compile_model(network, "CPU", settings)(image)[0]
    prepared = prepared_network(network)
    kinds = {op.get_type_name(): op for op in prepared.get_ordered_ops()}
    assert {"Swish", "Sigmoid", "Multiply"} <= set(kinds) and "Reshape" not in kinds
    assert kinds["Multiply"].input_value(0).get_node().get_type_name() == "Swish"  # of the gate
    weights = kinds["GroupConvolution"].input_value(1).get_node()
    assert weights.get_type_name() == "Constant"
    after = openvino.compile_model(prepared, "CPU", settings)(image)[0]
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-7)
