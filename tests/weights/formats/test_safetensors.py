"""safetensors files are written whole or not at all, and damaged ones are explained."""

from __future__ import annotations

import json
import os
import struct
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
from ppcls.weights.formats.safetensors import read_safetensors, write_safetensors

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
    write_safetensors(path, _ARRAYS, {"model": "LeNet", "note": 'quotes " and 汉字'})
    arrays, metadata = read_safetensors(path)
    _assert_same(arrays, _ARRAYS)
    _assert_same(safetensors.numpy.load_file(path), _ARRAYS)
    assert metadata == {"model": "LeNet", "note": 'quotes " and 汉字'}
    assert [item.name for item in tmp_path.iterdir()] == ["net.safetensors"]


def test_arrays_start_aligned(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a.safetensors", _ARRAYS)
    content = (tmp_path / "a.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0
    for name, array in _ARRAYS.items():
        assert header[name]["data_offsets"][0] % array.dtype.itemsize == 0


def test_same_content_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_safetensors(tmp_path / f"{name}.safetensors", _ARRAYS, {"x": "1"})
    first, second = (tmp_path / f"{name}.safetensors" for name in "ab")
    assert first.read_bytes() == second.read_bytes()


_PLAIN = st.sampled_from(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays=st.dictionaries(
        st.text(min_size=1).filter(lambda name: name != "__metadata__" and name.isprintable()),
        hnp.arrays(_PLAIN, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)),
        max_size=4,
    )
)
def test_any_plain_arrays_survive(arrays: Dict[str, np.ndarray], tmp_path: Path) -> None:
    write_safetensors(tmp_path / "any.safetensors", arrays)
    _assert_same(read_safetensors(tmp_path / "any.safetensors")[0], arrays)


def _damaged(content: bytes, folder: Path) -> str:
    path = folder / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_safetensors(path)
    message = str(caught.value)
    assert "bad.safetensors" in message and "\n" not in message
    return message


def test_damaged_safetensors_are_explained(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "good.safetensors", _ARRAYS)
    content = (tmp_path / "good.safetensors").read_bytes()
    assert "too short" in _damaged(b"", tmp_path)
    assert "truncated" in _damaged(content[:-1], tmp_path)
    assert "truncated" in _damaged(content[: len(content) // 2], tmp_path)
    assert "does not start like one" in _damaged(b"<html>not found</html>", tmp_path)
    assert "header" in _damaged(content[:20] + b"\xff" + content[21:], tmp_path)
    for length in range(0, len(content), 41):
        _damaged(content[:length], tmp_path)


def _listing(header: Any, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _array(shape: Any, start: int = 0, end: int = 0, dtype: str = "F32") -> Dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"w": _array([2**62, 0])}, "an array of an impossible shape"),
        ({"w": _array([2**63, 0])}, "an array of an impossible shape"),
        ({"w": _array([1] * 65, 0, 4)}, "an array of an impossible shape"),
        ({"w": _array([2**63, 2**63], 0, 4)}, "truncated or damaged"),
        ({"w": _array([1, -1], 0, 4)}, "truncated or damaged"),
        ({"w": _array([1], 0, 4), "v": _array([1], 2, 6)}, "truncated or damaged"),
        ({"w": _array([1], 4, 0)}, "truncated or damaged"),
        ({"w": _array([1], 0, 8)}, "truncated or damaged"),
        ({"w": _array([1], 0, 4, "Q7")}, "truncated or damaged"),
        ({f"w{n}": _array([0]) for n in range(50_001)}, "more arrays, or longer names"),
        ({"w" * 5000: _array([0])}, "more arrays, or longer names"),
        ({"__metadata__": {"x": "x" * (17 << 20)}}, "longer than any network needs"),
    ],
)
def test_arrays_that_no_network_has(tmp_path: Path, header: Any, words: str) -> None:
    last = max(item.get("data_offsets", [0, 0])[1] for item in header.values())
    assert words in _damaged(_listing(header, bytes(min(last, 6))), tmp_path)


def test_numbers_of_a_type_that_numpy_lacks(tmp_path: Path) -> None:
    """Old versions of safetensors do not know the type either, and call the file damaged."""
    said = _damaged(_listing({"w": _array([4], 0, 4, "F8_E4M3")}, bytes(4)), tmp_path)
    assert "of a type that NumPy lacks" in said or "truncated or damaged" in said


def test_bfloat16_is_explained_when_numpy_lacks_it(tmp_path: Path) -> None:
    header = b'{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    path = tmp_path / "b.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x80\x3f")
    try:
        arrays, _ = read_safetensors(path)
    except CheckpointError as error:
        assert "type" in str(error)
    else:
        assert arrays["w"].dtype == np.float32 and float(arrays["w"][0]) == 1.0


def test_a_full_disk_is_one_message_and_keeps_the_old_file(
    tmp_path: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """A limit on the size of files stands in for the full disk: writing fails the same way."""
    path = tmp_path / "net.safetensors"
    write_safetensors(path, _ARRAYS)
    before = path.read_bytes()
    script = (
        "import resource, sys, numpy as np\n"
        "from ppcls.weights.formats.safetensors import write_safetensors\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: write_safetensors(sys.argv[1], {'w': np.zeros(1_000_000, np.float32)})\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    printed = run_python("-c", script, path).stdout
    assert printed.startswith("CheckpointError cannot write") and "intact" in printed
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.safetensors"]


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="cannot write .*(Not a directory|File exists)"):
        write_safetensors(tmp_path / "file" / "net.safetensors", {})


def test_files_are_readable_by_others_as_usual(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_safetensors(tmp_path / "net.safetensors", {})
    usual: Any = (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "net.safetensors").stat().st_mode == usual
