"""What TensorRT builds is kept for one network alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ppcls.errors import BundleError
from ppcls.inference.engines import EngineOptions, NetworkInput
from ppcls.inference.engines.base import EngineBase, built_folder

INPUT = NetworkInput("x", (3, 32, 32))


def test_other_weights_options_and_versions_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path / "home"))
    file = tmp_path / "inference.onnx"
    file.write_bytes(b"one")
    options = EngineOptions("gpu:0")
    folders = [
        built_folder([file], "1.0", options, INPUT),
        built_folder([file], "1.1", options, INPUT),
        built_folder([file], "1.0", EngineOptions("gpu:1"), INPUT),
        built_folder([file], "1.0", EngineOptions("gpu:0", precision="fp16"), INPUT),
        built_folder([file], "1.0", EngineOptions("gpu:0", batch_size=4), INPUT),
        built_folder([file], "1.0", options, NetworkInput("x", (3, 64, 64))),
    ]
    file.write_bytes(b"two")
    folders.append(built_folder([file], "1.0", options, INPUT))
    assert len(set(folders)) == len(folders) and all(folder.is_dir() for folder in folders)
    assert built_folder([file], "1.0", options, INPUT) == folders[-1]


def test_whatever_an_engine_raises_is_one_message(tmp_path: Path) -> None:
    engine = EngineBase(tmp_path / "a", EngineOptions("cpu", 3), INPUT)
    assert (engine.threads, engine.precision, engine.device) == (3, "fp32", "cpu")
    with pytest.raises(BundleError, match="the network fails on images of shape 1x3x32x32: NotImp"):
        engine.run(np.zeros((1, 3, 32, 32)))
