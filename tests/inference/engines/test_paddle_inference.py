from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List

import numpy as np
import paddle
import pytest

from ppcls import runtime
from ppcls.errors import BundleError, UsageError
from ppcls.inference.bundle import file_record, read_bundle
from ppcls.inference.engines import EngineOptions, open_engine, paddle_inference
from ppcls.inference.engines.paddle_inference import (
    _BFLOAT16,
    _convert,
    check_version,
)
from ppcls.inference.engines.paddle_settings import cpu_settings

Edited = Callable[[Callable[[Dict[str, Any]], object]], Path]
IS_NEW = int(paddle.__version__.split(".")[0]) >= 3


def test_unknown_devices_are_refused() -> None:
    for wrong in ("tpu", "gpu:x", "gpu:", "", "CPU"):
        with pytest.raises(UsageError, match="accepted: auto, cpu, gpu, gpu:N"):
            EngineOptions(wrong)


def test_describes_itself(exported: Path) -> None:
    engine = open_engine("paddle", read_bundle(exported), EngineOptions("cpu"))
    described = engine.describe()
    assert described["version"] == paddle.__version__
    assert (described["device"], described["threads"]) == ("cpu", runtime.available_cores())
    assert described["settings"]["disable_glog_info"] == []
    assert "enable_mkldnn: true" in described["report"] and "false" not in described["report"]


@pytest.mark.skipif(not IS_NEW, reason="other figures than those of Paddle 3")
def test_plain_kernels_and_onednn_agree(exported: Path) -> None:
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    opened = [
        open_engine(name, read_bundle(exported), EngineOptions("cpu", 1))
        for name in ("paddle", "paddle_plain")
    ]
    assert "enable_mkldnn" not in opened[1].describe()["report"]
    np.testing.assert_allclose(opened[0].run(images), opened[1].run(images), atol=1e-6)


def test_bfloat16_where_the_processor_has_it(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EngineOptions("cpu", 1, "bf16")
    if IS_NEW and _BFLOAT16 & runtime.cpu_flags():
        images = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
        exact = open_engine("paddle", read_bundle(exported), EngineOptions("cpu", 1)).run(images)
        engine = open_engine("paddle", read_bundle(exported), options)
        assert engine.describe()["report"].endswith(", bfloat16: true")
        found = engine.run(images)
        assert 1e-6 < np.abs(found - exact).max() < 1e-2
    monkeypatch.setattr(runtime, "cpu_flags", lambda: frozenset({"avx2"}))
    with pytest.raises(
        UsageError, match="processor does not compute in bfloat16.*--precision fp32"
    ):
        open_engine("paddle", read_bundle(exported), options)


def test_tensorrt_is_never_replaced_by_the_cpu(exported: Path) -> None:
    if paddle.device.is_compiled_with_cuda():
        pytest.skip("this Paddle has CUDA")
    with pytest.raises(UsageError, match="the device 'gpu' is asked for, but the installed Paddle"):
        open_engine("paddle_tensorrt", read_bundle(exported), EngineOptions("gpu"))
    with pytest.raises(UsageError, match="this Paddle has no TensorRT; install paddlepaddle-gpu"):
        _convert(Path("program"), {})


class FakeTensorRt(SimpleNamespace):
    """What `paddle.tensorrt` has, which Paddle for CPUs has not; it writes the same program."""

    def __init__(self) -> None:
        modes = {"FP32": "of 32 bits", "FP16": "of 16 bits"}
        super().__init__(Input=dict, PrecisionMode=modes, TensorRTConfig=SimpleNamespace)
        self.converted: List[Any] = []
        self.fails = False

    def convert(self, program: str, config: Any) -> None:
        """Write the files one after the other, as Paddle does."""
        self.converted.append(config)
        for end in (".pdiparams", ".json"):
            Path(f"{config.save_model_dir}{end}").write_bytes(Path(f"{program}{end}").read_bytes())
            if self.fails:
                raise KeyboardInterrupt


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeTensorRt:
    """A machine with two GPUs and TensorRT, which computes on its CPU all the same."""
    fake = FakeTensorRt()
    monkeypatch.setitem(sys.modules, "paddle.tensorrt", fake)
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path))
    monkeypatch.setattr(runtime, "choose_device", lambda wanted, _: f"gpu:{wanted[4:] or 0}")
    on_cpu = cpu_settings(1, "fp32", onednn=True)
    monkeypatch.setattr(paddle_inference, "gpu_settings", lambda *_: on_cpu)
    return fake


@pytest.mark.skipif(not IS_NEW, reason="Paddle 2.6 has TensorRT inside its predictor")
def test_programs_are_converted_once_for_a_precision(
    exported: Path, tensorrt: FakeTensorRt, tmp_path: Path
) -> None:
    options = EngineOptions("gpu", precision="fp16", batch_size=4)
    for _ in range(2):
        engine = open_engine("paddle_tensorrt", read_bundle(exported), options)
    (config,) = tensorrt.converted
    assert config.precision_mode == "of 16 bits"
    assert config.inputs[0]["max_input_shape"] == (4, 3, 32, 32)
    (folder,) = (tmp_path / "tensorrt").iterdir()
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    assert found == {"converted", "converted/converted.json", "converted/converted.pdiparams"}
    described = engine.describe()
    assert described["report"].endswith(
        "tensorrt precision_mode: FP16, tensorrt min_subgraph_size: 3"
    )
    kept = described["settings"]["conversion"]
    assert kept["save_model_dir"] == str(folder / "converted/converted")
    assert engine.run(np.zeros((4, 3, 32, 32), np.float32)).shape == (4, 10)
    open_engine("paddle_tensorrt", read_bundle(exported), EngineOptions("gpu", batch_size=4))
    assert len(tensorrt.converted) == 2


@pytest.mark.skipif(not IS_NEW, reason="as above")
def test_a_conversion_that_was_stopped_is_done_again(
    exported: Path, tensorrt: FakeTensorRt, tmp_path: Path
) -> None:
    tensorrt.fails = True
    with pytest.raises(KeyboardInterrupt):
        open_engine("paddle_tensorrt", read_bundle(exported), EngineOptions("gpu"))
    (folder,) = (tmp_path / "tensorrt").iterdir()
    assert list(folder.iterdir()) == []
    (folder / ".partial-killed").mkdir()
    (folder / ".partial-killed/converted.pdiparams").write_bytes(b"half")
    tensorrt.fails = False
    open_engine("paddle_tensorrt", read_bundle(exported), EngineOptions("gpu"))
    assert [path.name for path in folder.iterdir()] == ["converted"]
    assert len(tensorrt.converted) == 2


@pytest.mark.skipif(not IS_NEW, reason="as above")
def test_a_conversion_that_writes_nothing_is_said(
    exported: Path, tensorrt: FakeTensorRt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "convert", lambda *_: None)
    with pytest.raises(
        BundleError, match=r"inference: Paddle wrote no \.json with TensorRT inside"
    ):
        open_engine("paddle_tensorrt", read_bundle(exported), EngineOptions("gpu"))


@pytest.mark.skipif(not IS_NEW, reason="as above")
def test_paddle_converts_on_the_first_gpu_only(exported: Path, tensorrt: FakeTensorRt) -> None:
    expected = "on the first GPU only, not on gpu:1: hide .* CUDA_VISIBLE_DEVICES=1 ppcls .* gpu:0$"
    with pytest.raises(UsageError, match=expected):
        open_engine("paddle_tensorrt", read_bundle(exported), EngineOptions("gpu:1"))
    assert tensorrt.converted == []


def test_batches_of_any_size(exported: Path) -> None:
    engine = open_engine("paddle", read_bundle(exported), EngineOptions("cpu", 1))
    images = np.random.default_rng(0).standard_normal((5, 3, 32, 32), dtype=np.float32)
    whole = engine.run(images)
    assert whole.shape == (5, 10) and whole.dtype == np.float32
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-5)
    for start, end in ((0, 1), (1, 4), (4, 5)):
        np.testing.assert_allclose(engine.run(images[start:end]), whole[start:end], rtol=1e-4)
    # A view that is not contiguous, and another type.
    flipped = images[::-1].astype(np.float64)
    np.testing.assert_allclose(engine.run(flipped), whole[::-1], rtol=1e-4)


def test_images_that_do_not_fit(exported: Path) -> None:
    engine = open_engine("paddle", read_bundle(exported), EngineOptions("cpu"))
    with pytest.raises(BundleError, match="fails on images of shape 1x5x32x32: .*channel"):
        engine.run(np.zeros((1, 5, 32, 32), np.float32))


def test_weights_of_another_network_are_a_clear_error(edited: Edited) -> None:
    folder = edited(lambda config: None)
    (folder / "inference.pdiparams").write_bytes(b"x" * 1000)
    record = file_record(folder / "inference.pdiparams").model_dump()
    edited(lambda config: config["Bundle"]["files"].update({"inference.pdiparams": record}))
    with pytest.raises(BundleError, match="pdiparams: the file is damaged: no tensor begins where"):
        open_engine("paddle", read_bundle(folder), EngineOptions("cpu"))


def test_whatever_paddle_raises_is_a_clear_error(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine("paddle", read_bundle(exported), EngineOptions("cpu"))
    images = np.zeros((1, 3, 32, 32), np.float32)
    for error, words in ((MemoryError(), "MemoryError"), (IndexError("map::at"), "map::at")):

        def fail(error: Exception = error, **options: object) -> None:
            raise error

        monkeypatch.setattr(engine, "_predictor", SimpleNamespace(run=fail))
        with pytest.raises(BundleError, match=f"on images of shape 1x3x32x32: {words}$"):
            engine.run(images)


@pytest.mark.skipif(not IS_NEW, reason="Paddle 2.6 writes no JSON")
def test_programs_without_an_output_and_of_no_version(exported: Path, tmp_path: Path) -> None:
    bundle = read_bundle(exported)
    program, weights = bundle.formats["paddle"]
    path = tmp_path / "inference.json"
    changed = json.loads(program.read_text())
    changed["program"]["regions"][0]["blocks"][0]["ops"].pop()
    path.write_text(json.dumps(changed))
    shutil.copy(weights, tmp_path)
    other = replace(bundle, formats={"paddle": [path, tmp_path / weights.name]})
    with pytest.raises(BundleError, match="the program has 1 inputs and 0 outputs, where"):
        open_engine("paddle", other, EngineOptions("cpu"))
    path.write_text(program.read_text().replace('"version":', '"version":0,"_":'))
    with pytest.raises(BundleError, match="Paddle Inference cannot load the program: "):
        open_engine("paddle", other, EngineOptions("cpu"))


def test_program_of_paddle_3_is_refused_by_paddle_2(exported: Path) -> None:
    program = exported / "inference.json"
    with pytest.raises(BundleError, match="written by Paddle 3.x, which Paddle 2.6.2 cannot read"):
        check_version(program, "2.6.2")
    check_version(program, "3.3.1")
    check_version(program, "10.0.0")
    check_version(exported / "inference.pdmodel", "2.6.2")


@pytest.mark.slow
@pytest.mark.skipif(not IS_NEW, reason="Paddle 2.6 writes no other format")
def test_program_in_the_format_of_paddle_2_runs_in_paddle_3(
    tmp_path: Path, exported: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    code = (
        "from pathlib import Path\n"
        "from ppcls.arch import create_model\n"
        "from ppcls.exporters.static import write_program\n"
        f"write_program(create_model('LeNet', in_channels=3), Path({str(tmp_path / 'p')!r}), (3, "
        "32, 32))"
    )
    done = run_python("-c", code, env={"FLAGS_enable_pir_api": "0"})
    assert (tmp_path / "p.pdmodel").is_file(), done.stderr
    files = [tmp_path / "p.pdmodel", tmp_path / "p.pdiparams"]
    bundle = replace(read_bundle(exported), formats={"paddle": files})
    engine = open_engine("paddle", bundle, EngineOptions("cpu"))
    for count in (1, 4):
        result = engine.run(np.ones((count, 3, 32, 32), np.float32))
        np.testing.assert_allclose(result.sum(axis=1), np.ones(count), rtol=1e-5)
