"""Versions that cannot work together are named before any work."""

from __future__ import annotations

import sys
from collections import namedtuple
from importlib import metadata
from typing import Optional

import pytest

from ppcls.errors import UsageError
from ppcls.exporters import tools
from ppcls.exporters.formats import check_formats, format_obstacle, writing_order
from ppcls.exporters.tools import OPSETS, opsets, tool_missing


@pytest.mark.parametrize(
    ("converter", "paddle", "remedy"),
    [
        ("1.3.1", "3.3.1", "pip install 'paddle2onnx>=2.0.1,<3'"),
        ("2.1.0", "2.6.2", "pip install 'paddle2onnx>=1.2.11,<2'"),
        ("1.2.11", "2.6.2", None),
        ("2.0.1", "3.1.0", None),
        ("2.1.0", "3.3.1", None),
    ],
)
def test_versions_of_converter_and_paddle(
    monkeypatch: pytest.MonkeyPatch, converter: str, paddle: str, remedy: Optional[str]
) -> None:
    monkeypatch.setattr(tools, "find_spec", lambda name: object())
    monkeypatch.setattr(metadata, "version", lambda name: converter)
    for format in ("onnx", "openvino"):
        found = tool_missing(format, paddle)
        if remedy is None:
            assert found is None
        else:
            assert found and found.startswith(f"paddle2onnx {converter} ") and remedy in found
            assert f"Paddle {paddle} is installed" in found
    assert tool_missing("paddle", paddle) is None


_Version = namedtuple("_Version", "major minor micro")


@pytest.mark.parametrize(
    ("version", "format", "missing", "message"),
    [
        ((3, 13, 0), "onnx", {"paddle2onnx"}, "no version for Python 3.13: export with Python 3.9"),
        ((3, 11, 0), "onnx", {"paddle2onnx"}, r"paddle2onnx, which is not .*'ppcls\[onnx\]'"),
        ((3, 11, 0), "openvino", {"openvino"}, r"openvino, which is not .*'ppcls\[openvino\]'"),
        (
            (3, 11, 0),
            "openvino",
            {"openvino", "paddle2onnx"},
            r"openvino and paddle2onnx, which are not .*'ppcls\[onnx,openvino\]'",
        ),
    ],
)
def test_missing_tools_name_their_extra(
    monkeypatch: pytest.MonkeyPatch, version: tuple, format: str, missing: set, message: str
) -> None:
    monkeypatch.setattr(sys, "version_info", _Version(*version))
    monkeypatch.setattr(tools, "find_spec", lambda name: None if name in missing else object())
    with pytest.raises(UsageError, match=message):
        check_formats([format], 13)
    assert format_obstacle(format) is not None


def test_operators_that_the_converter_does_not_write(monkeypatch: pytest.MonkeyPatch) -> None:
    for version, accepted in (("1.3.1", "7 to 19"), ("2.1.0", "7 to 21"), ("9.0", "7 to 21")):
        monkeypatch.setattr(metadata, "version", lambda name, version=version: version)
        with pytest.raises(UsageError, match=rf"--opset 22: .* Accepted: {accepted}"):
            check_formats(["paddle"], 22)
    monkeypatch.setitem(OPSETS, "9", range(1, 3))
    assert opsets() == range(1, 3)


def test_formats_are_written_after_what_they_are_made_of() -> None:
    assert writing_order(["openvino", "onnx", "paddle"]) == ["paddle", "onnx", "openvino"]
