"""What ONNX files hold after quantisation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from ppcls.errors import ExportError
from ppcls.inference.bundle import read_bundle
from ppcls.inference.programs import check_file
from ppcls.quantisation.attempts import ATTEMPTS, Attempt
from ppcls.quantisation.onnx_int8 import floating_nodes, write_onnx_int8

onnx = pytest.importorskip("onnx")
pytest.importorskip("ml_dtypes")
pytest.importorskip("onnxruntime")


def drawn() -> List[np.ndarray]:
    """Ten images of LeNet."""
    random = np.random.default_rng(0)
    return [random.standard_normal((1, 1, 32, 32), dtype=np.float32) for _ in range(10)]


@pytest.mark.slow
@pytest.mark.parametrize("attempt", ATTEMPTS["onnx_int8"], ids=lambda row: row.name)
def test_each_attempt_gives_a_file_that_bundles_accept(
    trained: Path, tmp_path: Path, attempt: Attempt
) -> None:
    source = read_bundle(trained).formats["onnx"][0]
    (path,) = write_onnx_int8(source, tmp_path, drawn(), attempt)
    check_file(path)
    model = onnx.load(str(path))
    assert [one.domain for one in model.opset_import] == [""]
    found = Counter(node.op_type for node in model.graph.node)
    assert found["QuantizeLinear"] and found["DequantizeLinear"]
    types = {one.data_type for one in model.graph.initializer}
    assert onnx.TensorProto.INT8 in types and onnx.TensorProto.UINT8 in types
    floats = [one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT]
    # The first layer's weights, 6 x 1 x 5 x 5, and the last one's.
    large = sorted(int(np.prod(one.dims)) for one in floats if np.prod(one.dims) > 130)
    assert large == ([150, 336] if attempt.float_ends else [])


def model_of(*nodes: Any) -> Any:
    graph = onnx.helper.make_graph(list(nodes), "g", [], [])
    return onnx.helper.make_model(graph)


def node(kind: str, **attributes: Any) -> Any:
    return onnx.helper.make_node(kind, ["a"], ["b"], name=kind.lower(), **attributes)


def test_what_stays_in_float32() -> None:
    model = model_of(
        node("Sub"),
        node("Conv"),
        node("Add"),
        node("Gemm"),
        node("Softmax"),
    )
    assert floating_nodes(model, Attempt("plain")) == ["sub", "softmax"]
    ends = Attempt("ends", float_ends=True)
    assert floating_nodes(model, ends) == ["sub", "conv", "gemm", "softmax"]
    assert floating_nodes(model_of(node("Softmax")), ends) == ["softmax"]


def test_what_cannot_be_quantised_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ExportError, match=r"broken\.onnx: ONNX Runtime cannot quantise it: \S"):
        write_onnx_int8(path, tmp_path, drawn(), Attempt("plain"))
    assert list(tmp_path.iterdir()) == [path]
