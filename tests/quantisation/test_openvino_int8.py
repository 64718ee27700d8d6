"""What OpenVINO's files hold after quantisation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ppcls.errors import ExportError
from ppcls.inference.bundle import read_bundle
from ppcls.inference.programs import check_file
from ppcls.quantisation.attempts import ATTEMPTS, Attempt
from ppcls.quantisation.openvino_int8 import write_openvino_int8
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
