"""Official Paddle files load exactly; files that ask for more than arrays are refused unread."""

from __future__ import annotations

import builtins
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict

import numpy as np
import paddle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppcls.arch import create_model
from ppcls.errors import CheckpointError
from ppcls.weights.formats import pickles
from ppcls.weights.formats.pdparams import read_pdparams


def _write(folder: Path, content: bytes) -> Path:
    path = folder / "file.pdparams"
    path.write_bytes(content)
    return path


def _refusal(folder: Path, content: bytes) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_pdparams(_write(folder, content))
    message = str(caught.value)
    assert "file.pdparams" in message and "\n" not in message and len(message) < 1000
    return message


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves_comes_back_exactly(protocol: int, tmp_path: Path) -> None:
    state = create_model("LeNet").state_dict()
    path = tmp_path / "net.pdparams"
    paddle.save(state, str(path), protocol=protocol)
    arrays = read_pdparams(path)
    assert list(arrays) == list(state)
    for name, value in state.items():
        np.testing.assert_array_equal(arrays[name], value.numpy())
        assert arrays[name].dtype == np.float32


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_arrays_of_every_plain_type_order_and_shape(protocol: int, tmp_path: Path) -> None:
    source: Dict[str, Any] = {
        "half": np.arange(6, dtype=np.float16).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4)),
        "swapped": np.arange(3, dtype=">f8"),
        "counter": np.array(7, dtype=np.int64),
        "scalar": np.float32(2.5),
        "flags": np.array([True, False]),
        "pair": ("conv2d_0.w_0", np.ones((1, 2), np.float32)),
    }
    content = pickle.dumps(OrderedDict(source), protocol=protocol)
    arrays = read_pdparams(_write(tmp_path, content))
    source["pair"] = source["pair"][1]
    for name, value in source.items():
        np.testing.assert_array_equal(arrays[name], value)
        assert arrays[name].dtype == value.dtype


def test_pairs_that_paddle_writes_for_single_tensors(tmp_path: Path) -> None:
    """A state dict that holds something else besides tensors is written tensor by tensor."""
    bias = create_model("LeNet").state_dict()["head.fc.bias"]
    paddle.save({"head.fc.bias": bias}, str(tmp_path / "one.pdparams"))
    assert read_pdparams(tmp_path / "one.pdparams")["head.fc.bias"].shape == (10,)
    nested = tmp_path / "nested.pdparams"
    paddle.save({"model": {"head.fc.bias": bias}}, str(nested))
    with pytest.raises(CheckpointError, match="'model' is not an array"):
        read_pdparams(nested)


def test_sliced_arrays_of_protocol_2_and_3_are_joined(tmp_path: Path) -> None:
    whole = np.arange(12, dtype=np.float32).reshape(3, 4)
    content = {
        "fc.weight@@.0": whole.ravel()[:7],
        "fc.weight@@.1": whole.ravel()[7:],
        "StructuredToParameterName@@": {"fc.weight": "linear_0.w_0"},
        "UnpackBigParamInfor@@": {
            "fc.weight": {"OriginShape": (3, 4), "slices": ["fc.weight@@.0", "fc.weight@@.1"]}
        },
    }
    arrays = read_pdparams(_write(tmp_path, pickle.dumps(content, protocol=2)))
    assert list(arrays) == ["fc.weight"]
    np.testing.assert_array_equal(arrays["fc.weight"], whole)


class _Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self._reduced


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("touch proof",)),
        (builtins.eval, ("open('proof', 'w')",)),
        (builtins.getattr, ("os", "system")),
        (np.load, ("proof",)),
        (pickle.loads, (b"cposix\nsystem\n(S'touch proof'\ntR.",)),
        (np.frombuffer, (b"1234",)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_calls_are_refused_by_name_and_not_made(
    protocol: int,
    function: Any,
    arguments: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    message = _refusal(tmp_path, pickle.dumps({"w": _Call(function, *arguments)}, protocol))
    assert "refused" in message and function.__name__ in message
    assert not (tmp_path / "proof").exists()


def test_the_globals_that_arrays_need_do_nothing_else(tmp_path: Path) -> None:
    array = np.ones(2, np.float32)
    for value, words in [
        (np.array([object()]), "'O8'"),
        (np.array([("a", 1)], dtype=[("x", "U1"), ("y", "i4")]), "'V8'"),
        (np.array(["text"]), "'U4'"),
        (_Call(np.ndarray, (10**12,)), "ndarray"),
        (_Call(np.dtype, "f4,f4"), "f4,f4"),
        (_Call(tuple, [1, 2]), "tuple"),
        ({"nested": array}, "not an array"),
        ([array], "not an array"),
        (7, "not an array"),
        (len, "len"),
    ]:
        assert words in _refusal(tmp_path, pickle.dumps({"w": value}, protocol=4))
    assert "dictionary" in _refusal(tmp_path, pickle.dumps([array], protocol=4))
    assert "not an array" in _refusal(tmp_path, pickle.dumps({3: array}, protocol=4))


def _program(*pieces: bytes) -> bytes:
    return b"\x80\x04" + b"".join(pieces) + b"."


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_program(b"N", b"r" + struct.pack("<I", 2**32 - 1)), id="memo index"),
        pytest.param(_program(b"\x8e" + struct.pack("<Q", 2**40)), id="bytes beyond the end"),
        pytest.param(_program(b"\x95" + struct.pack("<Q", 2**50)), id="frame beyond the end"),
        pytest.param(_program(b"\x96" + struct.pack("<Q", 2**40)), id="bytearray beyond the end"),
        pytest.param(_program(b"]" * 1_100_000), id="containers", marks=pytest.mark.exhaustive),
        pytest.param(_program(b"(" * 1_100_000), id="marks", marks=pytest.mark.exhaustive),
        pytest.param(_program(b"}\x94", b"h\x00h\x00s" * 10), id="dictionary in itself"),
        pytest.param(_program(b"c_codecs\nencode\n", b"}(X\x01\x00\x00\x00aNub"), id="build"),
        pytest.param(_program(b"c_codecs\nencode\nNR"), id="arguments that are no tuple"),
        pytest.param(_program(b"NNR"), id="call of nothing"),
        pytest.param(_program(b"R"), id="empty stack"),
        pytest.param(_program(b"h\x07"), id="unknown memo"),
        pytest.param(_program(b"Vtext\n0"), id="protocol 0 text"),
        pytest.param(_program(b"X\x01\x00\x00\x00aQ"), id="persistent id"),
        pytest.param(_program(b"\x82\x01"), id="extension"),
        pytest.param(_program(b"cos\nsystem\n(tR"), id="global by line"),
        pytest.param(b"\x80\xff.", id="future protocol"),
    ],
)
def test_programs_that_no_pickler_writes(content: bytes, tmp_path: Path) -> None:
    _refusal(tmp_path, content)


@pytest.mark.parametrize("code", [b"]", b"("], ids=["containers", "marks"])
def test_programs_of_more_instructions_than_the_limit(
    code: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickles, "MOST_INSTRUCTIONS", 10_000)
    assert "more instructions" in _refusal(tmp_path, _program(code * 11_000))


def test_text_repeated_to_fill_the_memory_is_refused(tmp_path: Path) -> None:
    text = b"X" + struct.pack("<I", 100_000) + b"a" * 100_000
    once = b"c_codecs\nencode\n" + b"h\x00" + b"X\x06\x00\x00\x00latin1" + b"\x86R"
    assert "repeats" in _refusal(tmp_path, _program(text, b"\x94", once * 50))


_DOUBLED = b")\x94" + b"".join(b"h%ch%c\x86\x94" % (n, n) for n in range(60))
"""A tuple of itself twice, sixty times over: quickly said, never done hashing or printing."""


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(b"}h<Ns", id="key"),
        pytest.param(b"}(h<Nu", id="keys"),
        pytest.param(b"cnumpy\ndtype\nh<\x85R", id="type"),
        pytest.param(
            b"}X\x15\x00\x00\x00UnpackBigParamInfor@@}X\x01\x00\x00\x00w"
            b"}X\x06\x00\x00\x00slices]h<asss",
            id="slice",
        ),
        pytest.param(b"h<", id="content"),
    ],
)
def test_tuples_that_take_for_ever_to_hash_are_refused(program: bytes, tmp_path: Path) -> None:
    assert "refused" in _refusal(tmp_path, _program(_DOUBLED, program))


def test_numbers_made_to_collide_as_keys_are_refused(tmp_path: Path) -> None:
    keys = {(2**61 - 1) << 20: None}
    assert "keys" in _refusal(tmp_path, pickle.dumps(keys, protocol=2))


def test_slices_named_twice_or_too_large_are_refused(tmp_path: Path) -> None:
    piece = np.zeros(1000, np.float32)
    for slices in (["w@@.0", "w@@.0"], [f"w@@.{n}" for n in range(40)], ["missing"]):
        content = {f"w@@.{n}": piece for n in range(40)}
        content["UnpackBigParamInfor@@"] = {"w": {"OriginShape": (-1,), "slices": slices}}  # type: ignore[assignment]
        _refusal(tmp_path, pickle.dumps(content, protocol=2))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<html>404</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"PK\x03\x04rest", "PyTorch"),
        (b"hello, world", "starts with"),
    ],
)
def test_files_of_another_kind(content: bytes, words: str, tmp_path: Path) -> None:
    assert words in _refusal(tmp_path, content)


def test_a_file_truncated_anywhere_is_an_error(tmp_path: Path) -> None:
    whole = pickle.dumps({"w": np.ones((20, 20), np.float32), "b": np.ones(3)}, protocol=4)
    for length in range(0, len(whole), 37):
        _refusal(tmp_path, whole[:length])
    assert "truncated" in _refusal(tmp_path, whole[:-1])
    assert "truncated" in _refusal(tmp_path, whole[: len(whole) // 2])


_VALID = pickle.dumps({"w": np.ones((2, 3), np.float32)}, protocol=4)


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_give_arrays_or_a_clear_error(data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(_VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        arrays = read_pdparams(_write(tmp_path, bytes(content)))
    except CheckpointError:
        return
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
