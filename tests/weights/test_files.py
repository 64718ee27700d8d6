"""Weight files are found, written whole or not at all, and damaged ones are explained."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ppcls.errors import CheckpointError
from ppcls.weights.files import find_weights, read_weights, write_weights

_ARRAYS: Dict[str, np.ndarray] = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "step": np.array(7, dtype=np.int64),
    "flag": np.array([True, False, True]),
    "half": np.ones((1, 5), np.float16),
    "swapped": np.arange(3, dtype=">f4"),
    "turned": np.arange(12, dtype=np.float64).reshape(3, 4).T,
    "none": np.zeros((0, 4), np.uint8),
}


def _assert_same(got: Dict[str, np.ndarray], expected: Dict[str, np.ndarray]) -> None:
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array)
        assert got[name].shape == array.shape
        assert got[name].dtype == array.dtype.newbyteorder("=")


def test_what_is_written_is_read_by_us_and_by_the_safetensors_library(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    write_weights(path, _ARRAYS, {"model": "LeNet", "note": 'quotes " and 汉字'})
    arrays, metadata = read_weights(path)
    _assert_same(arrays, _ARRAYS)
    _assert_same(safetensors.numpy.load_file(path), _ARRAYS)
    assert metadata == {"model": "LeNet", "note": 'quotes " and 汉字'}
    assert [item.name for item in tmp_path.iterdir()] == ["net.safetensors"]


def test_arrays_start_aligned(tmp_path: Path) -> None:
    write_weights(tmp_path / "a.safetensors", _ARRAYS)
    content = (tmp_path / "a.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0
    for name, array in _ARRAYS.items():
        assert header[name]["data_offsets"][0] % array.dtype.itemsize == 0


def test_same_content_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_weights(tmp_path / f"{name}.safetensors", _ARRAYS, {"x": "1"})
    first, second = (tmp_path / f"{name}.safetensors" for name in "ab")
    assert first.read_bytes() == second.read_bytes()


_PLAIN = st.sampled_from(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    arrays=st.dictionaries(
        st.text(min_size=1).filter(lambda name: name != "__metadata__" and name.isprintable()),
        hnp.arrays(_PLAIN, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)),
        max_size=4,
    )
)
def test_any_plain_arrays_survive(arrays: Dict[str, np.ndarray], tmp_path: Path) -> None:
    write_weights(tmp_path / "any.safetensors", arrays)
    _assert_same(read_weights(tmp_path / "any.safetensors")[0], arrays)


def test_the_extension_may_be_left_out(tmp_path: Path) -> None:
    write_weights(tmp_path / "ResNet50_pretrained.safetensors", _ARRAYS)
    arrays, _ = read_weights(f"{tmp_path}/ResNet50_pretrained")
    _assert_same(arrays, _ARRAYS)
    (tmp_path / "v1.0.pdparams").write_bytes(b"")
    assert find_weights(tmp_path / "v1.0").name == "v1.0.pdparams"


def test_a_missing_file_says_what_was_tried_and_what_is_near(tmp_path: Path) -> None:
    write_weights(tmp_path / "best_model.safetensors", {})
    with pytest.raises(CheckpointError) as caught:
        read_weights(tmp_path / "best_modle")
    message = str(caught.value)
    assert "best_modle.pdparams" in message
    assert "Did you mean 'best_model'?" in message


@pytest.mark.parametrize("suffix", [".onnx", ".pdopt"])
def test_other_kinds_of_files_are_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"PK")
    accepted = "accepted are .safetensors, .pdparams, .pth, .pt and .bin"
    with pytest.raises(CheckpointError, match=accepted):
        read_weights(path)


_FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "pth"


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize("layout", ["zip", "old"])
def test_pytorch_checkpoints_are_read(layout: str, suffix: str, tmp_path: Path) -> None:
    shutil.copy(_FIXTURES / f"tensors_{layout}.pth", tmp_path / f"net{suffix}")
    for path in (tmp_path / f"net{suffix}", tmp_path / "net"):
        arrays, metadata = read_weights(path)
        assert arrays["plain"].shape == (3, 4) and metadata == {}


@pytest.mark.parametrize("suffix", [".safetensors", ".pdparams", ".pth", ".bin", ".weights", ""])
def test_content_tells_more_than_the_suffix(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    write_weights(path, {"w": np.ones(2, np.float32)}, {"model": "LeNet"})
    assert read_weights(path)[1] == {"model": "LeNet"}
    path.write_bytes(pickle.dumps({"w": np.ones(3, np.float32)}, protocol=4))
    assert read_weights(path)[0]["w"].shape == (3,)
    for layout in ("zip", "old"):
        shutil.copy(_FIXTURES / f"wrapped_{layout}.pth", path)
        assert "0.running_mean" in read_weights(path)[0]


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
            read_weights(path)


def _damaged(content: bytes, folder: Path) -> str:
    path = folder / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_weights(path)
    message = str(caught.value)
    assert "bad.safetensors" in message and "\n" not in message
    return message


def test_damaged_safetensors_are_explained(tmp_path: Path) -> None:
    write_weights(tmp_path / "good.safetensors", _ARRAYS)
    content = (tmp_path / "good.safetensors").read_bytes()
    assert "too short" in _damaged(b"", tmp_path)
    assert "truncated" in _damaged(content[:-1], tmp_path)
    assert "truncated" in _damaged(content[: len(content) // 2], tmp_path)
    assert "does not start like one" in _damaged(b"<html>not found</html>", tmp_path)
    assert "header" in _damaged(content[:20] + b"\xff" + content[21:], tmp_path)
    for length in range(0, len(content), 41):
        _damaged(content[:length], tmp_path)


def test_bfloat16_is_explained_when_numpy_lacks_it(tmp_path: Path) -> None:
    header = b'{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    path = tmp_path / "b.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x80\x3f")
    try:
        arrays, _ = read_weights(path)
    except CheckpointError as error:
        assert "type" in str(error)
    else:
        assert float(arrays["w"][0]) == 1.0


def test_a_full_disk_is_one_message_and_keeps_the_old_file(
    tmp_path: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """A limit on the size of files stands in for the full disk: writing fails the same way."""
    path = tmp_path / "net.safetensors"
    write_weights(path, _ARRAYS)
    before = path.read_bytes()
    script = (
        "import resource, sys, numpy as np\n"
        "from ppcls.weights.files import write_weights\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: write_weights(sys.argv[1], {'w': np.zeros(1_000_000, np.float32)})\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    printed = run_python("-c", script, path).stdout
    assert printed.startswith("CheckpointError cannot write") and "intact" in printed
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.safetensors"]


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="cannot write .*(Not a directory|File exists)"):
        write_weights(tmp_path / "file" / "net.safetensors", {})


def test_files_are_readable_by_others_as_usual(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_weights(tmp_path / "net.safetensors", {})
    usual: Any = (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "net.safetensors").stat().st_mode == usual
