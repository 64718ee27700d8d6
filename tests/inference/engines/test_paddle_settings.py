"""What each device and precision makes of Paddle's `Config`, against the Paddle that is here."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import List

import paddle
import pytest
from paddle import inference

from ppcls.inference.engines import EngineOptions, NetworkInput
from ppcls.inference.engines.paddle_settings import (
    NAMES,
    Precision,
    Setting,
    common_settings,
    conversion,
    cpu_settings,
    gpu_settings,
    tensorrt_settings,
)

INPUT = NetworkInput("x", (3, 224, 224))
IS_NEW = int(paddle.__version__.split(".")[0]) >= 3


def test_cpu_settings() -> None:
    calls = dict(cpu_settings(3, "fp32", onednn=True))
    assert calls["set_cpu_math_library_num_threads"] == (3,)
    assert {"disable_gpu", "enable_mkldnn"} <= set(calls)
    assert not {"enable_mkldnn_bfloat16", "enable_use_gpu"} & set(calls)
    assert "enable_mkldnn_bfloat16" in dict(cpu_settings(3, "bf16", onednn=True))
    assert "enable_mkldnn" not in dict(cpu_settings(3, "fp32", onednn=False))


def test_program_of_paddle_3_needs_the_new_executor() -> None:
    calls = dict(common_settings(".json"))
    assert calls["enable_new_ir"] == calls["enable_new_executor"] == (True,)
    assert not {"enable_new_ir", "enable_new_executor"} & set(dict(common_settings(".pdmodel")))


def test_gpu_settings() -> None:
    calls = dict(gpu_settings("gpu:2", "fp16"))
    memory, index, precision = calls["enable_use_gpu"]
    assert memory > 0 and index == 2 and precision == "Half"
    assert not {"disable_gpu", "enable_mkldnn"} & set(calls)


def test_tensorrt_settings(tmp_path: Path) -> None:
    options = EngineOptions("gpu", precision="fp16", batch_size=4)
    calls = dict(tensorrt_settings(options, INPUT, tmp_path))
    workspace, most, smallest, precision, is_static, calibrates = calls["enable_tensorrt_engine"]
    assert (workspace, most, smallest, precision) == (1 << 30, 4, 3, "Half")
    assert is_static and not calibrates
    least, largest, usual = calls["set_trt_dynamic_shape_info"]
    assert least == {"x": [1, 3, 224, 224]}
    assert largest == usual == {"x": [4, 3, 224, 224]}
    assert calls["set_optim_cache_dir"] == (str(tmp_path),)


def test_conversion_of_programs_of_paddle_3(tmp_path: Path) -> None:
    """Names: the page that `conversion` cites; Paddle for CPUs does not have the module."""
    given = conversion(EngineOptions("gpu", precision="fp16", batch_size=4), INPUT, tmp_path / "a")
    assert given == {
        "inputs": [
            {
                "min_input_shape": (1, 3, 224, 224),
                "optim_input_shape": (4, 3, 224, 224),
                "max_input_shape": (4, 3, 224, 224),
                "input_data_type": "float32",
                "name": "x",
            }
        ],
        "precision_mode": "FP16",
        "min_subgraph_size": 3,
        "workspace_size": 1 << 30,
        "save_model_dir": str(tmp_path / "a"),
    }


def _everything(tmp_path: Path) -> List[Setting]:
    options = EngineOptions("gpu", batch_size=4)
    suffixes = [".pdmodel", ".json"] if IS_NEW else [".pdmodel"]
    return [
        *(call for suffix in suffixes for call in common_settings(suffix)),
        *(call for onednn in (True, False) for call in cpu_settings(2, "bf16", onednn)),
        *gpu_settings("gpu:0", "fp32"),
        *tensorrt_settings(options, INPUT, tmp_path),
    ]


def test_every_setting_is_a_call_that_this_paddle_has(tmp_path: Path) -> None:
    """The native methods state their signature in the first line of their documentation."""
    for name, arguments in _everything(tmp_path):
        method = getattr(inference.Config, name)
        written = inspect.getdoc(method) or ""
        accepted = written.partition("(self")[2].partition(") ->")[0].count(": ") - 1
        assert len(arguments) <= accepted, (name, arguments, written)
        for argument in arguments:
            if isinstance(argument, Precision):
                assert hasattr(inference.PrecisionType, argument)


@pytest.mark.parametrize("precision", sorted(NAMES))
def test_every_precision_has_its_name_in_paddle(precision: str) -> None:
    assert NAMES[precision] in dir(inference.PrecisionType)
