"""Mixed precision on a CPU: where it runs, where not, and what it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Literal

import paddle
import pytest
from safetensors.numpy import load_file

from ppcls.config import as_config
from ppcls.config.schema import AmpSection
from ppcls.engine import amp
from ppcls.engine.amp import Precision, check_cpu, possible
from ppcls.engine.builder import build_job
from ppcls.engine.world import World
from ppcls.errors import ConfigError
from ppcls.kernels.onednn import Library
from tests.kernels.processor import needs_bfloat16

Run = Callable[..., int]
Recipe = Dict[str, Any]

BFLOAT16 = AmpSection(dtype="bfloat16")


def test_other_kernels_are_refused(recipe: Recipe) -> None:
    recipe["Global"]["cpu_kernels"] = "paddle"
    recipe["AMP"] = {"dtype": "bfloat16"}
    with pytest.raises(ConfigError, match="cpu_kernels is paddle, which computes in float32"):
        build_job(as_config(recipe), "cpu", World())
    recipe["AMP"]["use_amp"] = True
    job = build_job(as_config(recipe), "cpu", World())
    assert job.kernels == "Paddle" and job.precision.section is None


def test_a_missing_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amp, "library", lambda: Library(tmp_path / "libdnnl.so.3"))
    with pytest.raises(ConfigError, match="the oneDNN of the installed Paddle is of no use"):
        check_cpu(BFLOAT16)


def test_files_for_gpus_train_in_float32_on_a_cpu(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match="which needs a GPU"):
        possible(AmpSection(), "cpu")
    with caplog.at_level("WARNING", "ppcls"):
        assert possible(AmpSection(use_amp=True), "cpu") is None
    (said,) = caplog.messages
    assert said.startswith("AMP has no effect: training is in float32, as AMP.dtype is float16")
    section = AmpSection(use_amp=True)
    assert possible(section, "gpu:0") is section and possible(None, "cpu") is None


@pytest.mark.parametrize("level", ["O1", "O2"])
def test_paddle_is_asked_for_the_level_on_a_gpu(
    level: Literal["O1", "O2"], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Dict[str, Any] = {}
    monkeypatch.setattr(paddle.amp, "auto_cast", lambda **given: asked.update(given))
    Precision(AmpSection(level=level), "gpu:0").forward()
    assert asked == {"level": level, "dtype": "float16"}


_OLDER = """
from ppcls.config.schema import AmpSection
from ppcls.engine.amp import Precision
Precision(AmpSection(dtype="bfloat16"), "cpu")
"""


@pytest.mark.slow
def test_a_processor_without_bfloat16_is_refused() -> None:
    """oneDNN treats the processor as an older one."""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}
    done = subprocess.run(
        [sys.executable, "-c", _OLDER], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 1
    assert "this processor has neither AVX512_BF16 nor AMX; use -o AMP=null" in done.stderr


@needs_bfloat16
def test_nothing_is_scaled_or_cast_by_paddle() -> None:
    precision = Precision(BFLOAT16, "cpu")
    with precision.forward():
        assert paddle.nn.Linear(2, 2)(paddle.ones([1, 2])).dtype == paddle.float32
    assert not precision.scaler.is_enable() and precision.state() == {}


@needs_bfloat16
@pytest.mark.slow
def test_a_run_learns_in_bfloat16_and_resumes_to_the_same_bits(
    ppcls: Run, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe["AMP"] = {"dtype": "bfloat16"}
    recipe["Global"].update(save_steps=3, keep_checkpoints=9)
    assert ppcls("train", recipe) == 0
    said = capsys.readouterr()
    assert "convolutions are trained in bfloat16" in said.out + said.err
    whole = Path(recipe["Global"]["output_dir"])
    lines = [json.loads(line) for line in (whole / "train_log.jsonl").read_text().splitlines()]
    losses = [one["metrics"]["loss"] for one in lines if one["event"] == "epoch"]
    assert losses[-1] < losses[0]
    recipe["Global"]["output_dir"] = str(tmp_path / "again")
    third = whole / "checkpoints" / "step_00000003.safetensors"
    assert ppcls("train", recipe, "--resume", str(third)) == 0
    last = sorted((whole / "checkpoints").glob("*.safetensors"))[-1]
    again = load_file(tmp_path / "again" / "checkpoints" / last.name)
    for name, array in load_file(last).items():
        assert array.tobytes() == again[name].tobytes(), name
