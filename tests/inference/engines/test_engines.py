"""Which engines open a bundle, and what is said when none does."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppcls.errors import BundleError, UsageError
from ppcls.inference import Predictor, read_bundle
from ppcls.inference.engines import (
    ENGINES,
    PRECISIONS,
    EngineOptions,
    NetworkInput,
    engines_for,
    installed_engines,
    open_engine,
)


def test_engines_for_formats_devices_and_precisions() -> None:
    assert engines_for(["paddle"], "cpu") == ["paddle", "paddle_plain"]
    assert engines_for(["onnx", "paddle"], "cpu")[:2] == ["onnxruntime", "openvino"]
    assert engines_for(["openvino"]) == ["openvino"]
    assert engines_for(["paddle", "onnx"], "cpu", "bf16") == ["paddle", "openvino"]
    assert engines_for(["paddle", "onnx"], "cpu", "fp16") == []
    assert engines_for(["paddle", "onnx"], "cpu", "int8") == [], "quantised files are needed"
    assert engines_for(["onnx", "onnx_int8"], "cpu", "int8") == ["onnxruntime", "openvino"]
    on_gpu = ["paddle", "paddle_tensorrt", "onnxruntime", "onnxruntime_tensorrt"]
    assert engines_for(["paddle", "onnx"], "gpu:1") == on_gpu
    assert engines_for(["onnx_int8"], "gpu", "int8") == ["onnxruntime_tensorrt"]


def test_every_engine_computes_somewhere_in_known_precisions() -> None:
    for name, row in ENGINES.items():
        assert row.on_cpu or row.on_gpu, name
        assert set(row.precisions("auto")) == set(row.on_cpu + row.on_gpu) <= set(PRECISIONS)


def test_auto_is_about_installed_engines_without_those_that_build_for_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = ENGINES["onnxruntime"]
    monkeypatch.setitem(ENGINES, "openvino", ENGINES["openvino"]._replace(package="not_there"))
    monkeypatch.setitem(ENGINES, "onnxruntime", row._replace(package="json"))
    assert installed_engines(["onnx", "paddle"], "cpu") == ["onnxruntime", "paddle"]
    assert installed_engines(["onnx", "paddle"], "gpu:1") == ["onnxruntime", "paddle"]
    monkeypatch.setitem(ENGINES, "onnxruntime", row._replace(package="not_there"))
    assert installed_engines(["onnx", "paddle", "tensorrt"]) == ["paddle"]


def test_an_engine_that_is_not_installed_names_its_extra(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("onnxruntime", "openvino", "paddle"):
        monkeypatch.setitem(sys.modules, package, None)
    bundle = read_bundle(exported)
    onnx = replace(bundle, formats={"onnx": [exported / "inference.onnx"]})
    for refused in (
        lambda: installed_engines(["onnx"]),
        lambda: open_engine("onnxruntime", onnx, EngineOptions()),
    ):
        with pytest.raises(UsageError, match=r"not installed: pip install 'ppcls\[onnx\]'"):
            refused()
    with pytest.raises(UsageError, match=r"not installed: pip install 'ppcls\[openvino\]'"):
        open_engine("openvino", onnx, EngineOptions())
    with pytest.raises(UsageError, match="Paddle is not installed: run `pip install"):
        Predictor(exported)


def test_what_an_engine_cannot_do_is_said_with_those_that_can(exported: Path) -> None:
    bundle = read_bundle(exported)
    for name, options, words in (
        ("paddel", EngineOptions(), "unknown engine 'paddel'. Did you mean 'paddle'"),
        ("openvino", EngineOptions("gpu"), "engine 'openvino' runs on CPUs only: --device cpu"),
        ("paddle_tensorrt", EngineOptions("cpu"), "runs on GPUs only: --device gpu"),
        (
            "paddle_plain",
            EngineOptions("cpu", precision="bf16"),
            r"'paddle_plain' does not compute in bf16 on a CPU, but in fp32; engines that do: "
            r"paddle \(fp32, bf16\), openvino \(fp32, bf16, int8\)$",
        ),
        (
            "onnxruntime",
            EngineOptions("cpu", precision="fp16"),
            "does not compute in fp16 on a CPU, but in fp32, int8; engines that do: none$",
        ),
        ("openvino", EngineOptions(precision="int8"), "opens the format 'openvino_int8' or 'onnx_"),
        ("paddle", EngineOptions("auto", precision="fp16"), "the device 'gpu' is asked for, but"),
    ):
        with pytest.raises(UsageError, match=words):
            open_engine(name, bundle, options)
    with pytest.raises(UsageError, match="unknown precision 'fp61'. Did you mean 'fp16'"):
        EngineOptions(precision="fp61")


def test_batches_are_of_the_type_that_the_network_takes() -> None:
    given = NetworkInput("x", (3, 4, 5))
    images = np.zeros((2, 3, 4, 5))[:, ::-1]
    batch = given.batch(images)
    assert batch.dtype == np.float32 and batch.flags["C_CONTIGUOUS"]
    assert NetworkInput("x", (4, 5, 3), "uint8").batch(images).dtype == np.uint8
    assert given.range_of_shapes(8) == ([1, 3, 4, 5], [8, 3, 4, 5], [8, 3, 4, 5])


def test_unknown_formats_are_refused_with_those_that_have_engines() -> None:
    expected = r"no engine opens the format 'tensorrt' in fp32 on this device. .*paddle \("
    with pytest.raises(BundleError, match=expected):
        installed_engines(["tensorrt"])
    with pytest.raises(
        BundleError, match="holds 'onnx', and no INT8 network, which 'ppcls quantize'"
    ):
        installed_engines(["onnx"], "cpu", "int8")


def test_a_format_that_the_bundle_does_not_hold_says_how_to_add_it(exported: Path) -> None:
    expected = (
        r"bundle: the engine 'onnxruntime' opens the format 'onnx', but the bundle holds paddle; "
        r"to add it: ppcls export -c CONFIG --format paddle,onnx --overwrite"
    )
    with pytest.raises(UsageError, match=expected):
        Predictor(exported, engine="onnxruntime")
