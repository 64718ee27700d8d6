"""The mean of weight files: of the same network, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from ppcls.cli import main
from ppcls.errors import CheckpointError, UsageError
from ppcls.weights import read, save_weights
from ppcls.weights.averaging import averaged_weights
from tests.conftest import TrainedRun

NOTED = {"arch": "LeNet", "class_num": 2, "class_names": ["a", "b"]}


def written(path: Path, seed: int, **changes: Any) -> Path:
    draw = np.random.default_rng(seed)
    arrays: Dict[str, np.ndarray] = {
        "weight": draw.standard_normal((3, 4)).astype(np.float32),
        "half": draw.standard_normal(5).astype(np.float16),
        "count": np.array([seed], np.int64),
    }
    save_weights(arrays, path, {**NOTED, "epoch": seed, **changes})
    return path


def test_the_mean_is_that_of_numpy(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{i}.safetensors", i) for i in range(5)]
    files = [read(path).arrays for path in paths]
    found = averaged_weights(paths)
    for name in ("weight", "half"):
        wanted = np.mean([arrays[name].astype(np.float64) for arrays in files], axis=0)
        assert found.arrays[name].dtype == files[0][name].dtype
        np.testing.assert_array_equal(found.arrays[name], wanted.astype(files[0][name].dtype))
    assert found.arrays["count"].tolist() == [4]
    assert found.metadata == {**NOTED, "averaged": [path.name for path in paths]}


def test_what_is_of_another_network_is_refused(tmp_path: Path) -> None:
    one = written(tmp_path / "one.safetensors", 1)
    with pytest.raises(UsageError, match="needs two files or more, got 1"):
        averaged_weights([one])
    other = written(tmp_path / "other.safetensors", 2, class_names=["b", "a"])
    with pytest.raises(
        CheckpointError, match=r"other\.safetensors is of another network .*class_na"
    ):
        averaged_weights([one, other])
    save_weights({"weight": np.zeros((4, 3), np.float32)}, tmp_path / "few.safetensors", NOTED)
    with pytest.raises(CheckpointError, match="missing in one, or of another shape, are .*count"):
        averaged_weights([one, tmp_path / "few.safetensors"])


@pytest.mark.slow
def test_checkpoints_of_a_run_become_weights_that_evaluate(
    trained: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted((trained.folder / "checkpoints").iterdir())
    target = tmp_path / "mean.safetensors"
    command = ["weights", "average", *map(str, files), "--output", str(target)]
    assert len(files) == 2 and main(command) == 0
    assert f"{target}: the mean of 2 files" in capsys.readouterr().out
    name = (
        "head.fc.weight"
        if "head.fc.weight" in read(target).arrays
        else next(iter(read(target).arrays))
    )
    first, second = (read(file).network_arrays()[name] for file in files)
    np.testing.assert_allclose(read(target).arrays[name], (first + second) / 2, rtol=1e-6)
    changes = ["-o", f"Global.pretrained_model={target}"]
    assert main(["eval", "-c", str(trained.config), *changes]) == 0
    assert "top1" in capsys.readouterr().out
    assert main(command) == 2 and "exists; name another --output" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
