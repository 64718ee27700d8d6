"""Which engine opens a bundle, and what is said when none does."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ppcls.errors import BundleError, UsageError
from ppcls.inference import Predictor, read_bundle
from ppcls.inference.engines import ENGINES, EngineOptions, choose_engine, open_engine


def test_the_first_format_is_preferred_if_its_engine_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert choose_engine(["paddle", "onnx"]) == "paddle"
    assert choose_engine(["tensorrt", "paddle"]) == "paddle"
    row = ENGINES["onnxruntime"]
    monkeypatch.setitem(ENGINES, "onnxruntime", row._replace(package="json"))
    assert choose_engine(["onnx", "paddle"]) == "onnxruntime"
    assert choose_engine(["onnx", "paddle"], "gpu:1") == "paddle"
    assert choose_engine(["onnx"], "gpu") == "onnxruntime"  # which then says what it lacks
    monkeypatch.setitem(ENGINES, "onnxruntime", row._replace(package="not_installed"))
    assert choose_engine(["onnx", "paddle"]) == "paddle"


def test_an_engine_that_is_not_installed_names_its_extra(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "paddle", None)
    bundle = read_bundle(exported)
    onnx = replace(bundle, formats={"onnx": [exported / "inference.onnx"]})
    for refused in (
        lambda: choose_engine(["onnx"]),
        lambda: open_engine("onnxruntime", onnx, EngineOptions()),
    ):
        with pytest.raises(UsageError, match=r"not installed: pip install 'ppcls\[onnx\]'"):
            refused()
    with pytest.raises(UsageError, match="Paddle is not installed: run `pip install"):
        Predictor(exported)


def test_unknown_formats_are_refused_with_those_that_have_engines() -> None:
    with pytest.raises(BundleError, match=r"no engine opens the format 'tensorrt'. .*paddle \("):
        choose_engine(["tensorrt"])


def test_a_format_that_the_bundle_does_not_hold_says_how_to_add_it(exported: Path) -> None:
    expected = (
        r"bundle: the engine 'onnxruntime' opens the format 'onnx', but the bundle holds paddle; "
        r"to add it: ppcls export -c CONFIG --formats paddle,onnx --overwrite"
    )
    with pytest.raises(UsageError, match=expected):
        Predictor(exported, engine="onnxruntime")


def test_an_engine_for_cpus_refuses_gpus(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "paddle", ENGINES["paddle"]._replace(on_gpu=False))
    with pytest.raises(UsageError, match="engine 'paddle' runs on CPUs only: --device cpu"):
        open_engine("paddle", read_bundle(exported), EngineOptions("gpu:1"))
