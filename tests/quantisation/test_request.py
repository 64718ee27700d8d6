"""What is refused before any work is done."""

from __future__ import annotations

import importlib.util
from typing import Any, Dict

import pytest

from ppcls.errors import UsageError
from ppcls.quantisation import Request


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let packages be installed, besides some."""
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in names else object()
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"formats": ["onnx_int4"]}, "unknown format 'onnx_int4'. Did you mean 'onnx_int8'?"),
        ({"formats": []}, "name each format once. Accepted: onnx_int8, openvino_int8"),
        ({"formats": ["onnx_int8"] * 2}, "name each format once"),
        ({"precisions": ["fp16"]}, "unknown precision 'fp16'."),
        ({"images": 0}, "images is at least 1, got 0"),
        ({"max_drop": -0.1}, "max_drop is a fraction between 0 and 1"),
        ({"max_drop": float("nan")}, "max_drop is a fraction between 0 and 1"),
    ],
)
def test_wrong_requests(
    monkeypatch: pytest.MonkeyPatch, changes: Dict[str, Any], message: str
) -> None:
    without(monkeypatch)
    with pytest.raises(UsageError) as caught:
        Request("bundle", "photos", "list.txt", **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "gone", "message"),
    [
        (
            {"formats": ["onnx_int8"]},
            ["onnx"],
            "onnx_int8 needs onnx, not installed here: pip install 'ppcls[int8]'",
        ),
        ({}, ["ml_dtypes", "onnxruntime", "nncf"], "needs onnxruntime and ml_dtypes"),
        (
            {"formats": ["openvino_int8"]},
            ["nncf"],
            "openvino_int8 needs nncf, not installed here: pip install 'ppcls[nncf]'",
        ),
        ({"precisions": ["bf16"]}, ["openvino"], "pip install 'ppcls[openvino]'"),
    ],
)
def test_missing_packages_name_the_extra(
    monkeypatch: pytest.MonkeyPatch, changes: Dict[str, Any], gone: Any, message: str
) -> None:
    without(monkeypatch, *gone)
    with pytest.raises(UsageError) as caught:
        Request("bundle", "photos", "list.txt", **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("gone", "formats"),
    [
        ([], ["onnx_int8", "openvino_int8"]),
        (["nncf"], ["onnx_int8"]),
        (["ml_dtypes"], ["openvino_int8"]),
    ],
)
def test_formats_that_nobody_names_are_those_that_can_be_written(
    monkeypatch: pytest.MonkeyPatch, gone: Any, formats: Any
) -> None:
    without(monkeypatch, *gone)
    assert Request("bundle", "photos", "list.txt").wanted == formats
