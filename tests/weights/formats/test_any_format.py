"""Weight files are found, and known by their content."""

from __future__ import annotations

import pickle
import shutil
import subprocess
from pathlib import Path
from typing import Callable

import numpy as np
import pytest

from ppcls.errors import CheckpointError
from ppcls.weights.formats.any_format import find_weight_file, read_any_format
from ppcls.weights.formats.safetensors import write_safetensors


def test_the_extension_may_be_left_out(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "ResNet50_pretrained.safetensors", {"w": np.arange(3)})
    arrays, _ = read_any_format(f"{tmp_path}/ResNet50_pretrained")
    assert arrays.keys() == {"w"} and arrays["w"].tolist() == [0, 1, 2]
    (tmp_path / "v1.0.pdparams").write_bytes(b"")
    assert find_weight_file(tmp_path / "v1.0").name == "v1.0.pdparams"


def test_a_missing_file_says_what_was_tried_and_what_is_near(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "best_model.safetensors", {})
    with pytest.raises(CheckpointError) as caught:
        read_any_format(tmp_path / "best_modle")
    message = str(caught.value)
    assert "best_modle.pdparams" in message
    assert "Did you mean 'best_model'?" in message


@pytest.mark.parametrize("suffix", [".onnx", ".pdopt"])
def test_other_kinds_of_files_are_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"PK")
    accepted = "accepted are .safetensors, .pdparams, .pth, .pt and .bin"
    with pytest.raises(CheckpointError, match=accepted):
        read_any_format(path)


_FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "pth"


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize("layout", ["zip", "old"])
def test_pytorch_checkpoints_are_read(layout: str, suffix: str, tmp_path: Path) -> None:
    shutil.copy(_FIXTURES / f"tensors_{layout}.pth", tmp_path / f"net{suffix}")
    for path in (tmp_path / f"net{suffix}", tmp_path / "net"):
        arrays, metadata = read_any_format(path)
        assert arrays["plain"].shape == (3, 4) and metadata == {}


@pytest.mark.parametrize("suffix", [".safetensors", ".pdparams", ".pth", ".bin", ".weights", ""])
def test_content_tells_more_than_the_suffix(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    write_safetensors(path, {"w": np.ones(2, np.float32)}, {"model": "LeNet"})
    assert read_any_format(path)[1] == {"model": "LeNet"}
    path.write_bytes(pickle.dumps({"w": np.ones(3, np.float32)}, protocol=4))
    assert read_any_format(path)[0]["w"].shape == (3,)
    for layout in ("zip", "old"):
        shutil.copy(_FIXTURES / f"wrapped_{layout}.pth", path)
        assert "0.running_mean" in read_any_format(path)[0]


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".safetensors", "safetensors file"),
        (".pdparams", "Paddle weight file"),
        (".pth", "PyTorch checkpoint"),
        (".bin", "PyTorch checkpoint"),
    ],
)
def test_content_that_tells_nothing_is_explained_by_the_suffix(
    suffix: str, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / f"net{suffix}"
    for content in (b"", b"<!DOCTYPE html><html><body>not found</body></html>", bytes(100)):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=f"not a (readable )?{kind}: it "):
            read_any_format(path)


@pytest.mark.slow
def test_a_file_that_does_not_fit_into_the_memory_is_not_called_damaged(
    tmp_path: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    large = {"w": np.zeros(100_000_000, np.uint8)}
    (tmp_path / "a.pdparams").write_bytes(pickle.dumps(large, 4))
    script = (
        "import resource, sys\n"
        "from ppcls.weights.formats.any_format import read_any_format\n"
        "used = int(open('/proc/self/statm').read().split()[5]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (used + 50_000_000,) * 2)\n"
        "try: read_any_format(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    printed = run_python("-c", script, tmp_path / "a.pdparams").stdout
    assert printed.startswith("CheckpointError cannot read ")
    assert printed.endswith("it needs more memory than there is\n")
