"""The pickle interpreter that runs nothing: what it reads is what was written, or it refuses."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.errors import CheckpointError
from ppcls.weights.formats.pickles import (
    LONGEST_NAME,
    Budget,
    Global,
    Reader,
    RefusedError,
    brief,
    explained,
    plain_key,
)

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
_PLAIN = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(-9, 9), inner) | st.tuples(inner)
    ),
    max_leaves=12,
)


def _read(content: bytes, known: Dict[Tuple[str, str], Any], **options: Any) -> Any:
    return Reader(io.BytesIO(content), len(content), known, **options).load()


@given(_PLAIN, st.sampled_from([3, 4, 5]))
def test_plain_values_come_back_as_pickle_wrote_them(value: Any, protocol: int) -> None:
    assert _read(pickle.dumps(value, protocol), {}) == value


class _Caller:
    """Pickles as a call of `os.mkdir`."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_call_is_refused_by_name_and_not_made(
    protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RefusedError, match=r"asks for '(posix|nt)\.mkdir'.*; ask me"):
        _read(pickle.dumps(_Caller(), protocol), {}, advice="; ask me")
    assert not list(tmp_path.iterdir())


def test_what_stands_for_a_name_gets_the_arguments() -> None:
    calls = []
    stand_in = Global(lambda *arguments: calls.append(arguments))
    known = {(os.mkdir.__module__, "mkdir"): stand_in}
    assert _read(pickle.dumps(_Caller(), 4), known) is None
    assert calls == [("made-by-a-pickle",)]


def test_only_functions_are_called_and_only_stand_ins_are_changed() -> None:
    with pytest.raises(RefusedError, match="calls something that is no function"):
        _read(b"\x80\x02K\x01)R.", {})
    with pytest.raises(RefusedError, match="changes the insides"):
        _read(b"\x80\x02]}b.", {})


def test_instructions_are_counted_over_all_pickles_that_share_the_budget() -> None:
    content, budget = pickle.dumps([1, 2, 3], 2), Budget(15)
    assert _read(content, {}, instructions=budget) == [1, 2, 3]
    with pytest.raises(RefusedError, match="more instructions"):
        _read(content, {}, instructions=budget)


def _called_with(arguments: bytes) -> bytes:
    return b"\x80\x04cos\nmkdir\n" + arguments + b"R."


@pytest.mark.parametrize("arguments", [b"(" + b"N" * 9 + b"t", b"](" + b"N" * 9 + b"e", b"}", b"N"])
def test_a_call_with_more_arguments_than_any_function_takes_is_not_made(arguments: bytes) -> None:
    known = {("os", "mkdir"): Global(lambda *arguments: pytest.fail("it was made"))}
    with pytest.raises(RefusedError, match="with other arguments than arrays need"):
        _read(_called_with(arguments), known)


def test_values_are_numbered_as_far_as_there_can_be_values() -> None:
    assert _read(b"\x80\x02K\x07r\xff\x00\x00\x00j\xff\x00\x00\x00.", {}) == 7
    with pytest.raises(RefusedError, match="numbers a value 4294967295"):
        _read(b"\x80\x02Nr\xff\xff\xff\xff.", {})
    with pytest.raises(pickle.UnpicklingError, match="not found at index 9"):
        _read(b"\x80\x02Nr\xff\x00\x00\x00h\x09.", {})


def test_numbers_as_keys_are_few() -> None:
    few = dict.fromkeys(range(2000))
    assert _read(pickle.dumps(few), {}) == few
    with pytest.raises(RefusedError, match="more instructions"):
        _read(pickle.dumps(dict.fromkeys(range(30000))), {})


def test_a_key_is_no_longer_than_names_are() -> None:
    name = "k" * LONGEST_NAME
    assert _read(pickle.dumps({name: 1}), {}) == {name: 1}
    with pytest.raises(RefusedError, match="a key of 4097 letters, where 4096 are enough"):
        _read(pickle.dumps({f"{name}k": 1}), {})


def test_messages_name_what_is_long_to_print_by_its_type() -> None:
    assert [brief(value) for value in ("a", 7, [7], b"a")] == ["'a'", "7", "a list", "a bytes"]


@pytest.mark.parametrize("key", [(1, 2), None, 2.0, b"name", 2**63])
def test_keys_that_could_be_slow_to_compare_are_refused(key: Any) -> None:
    with pytest.raises(RefusedError, match="neither text nor plain numbers"):
        plain_key(key)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps([1, 2, 3])[:-2], "is truncated: it breaks off after"),
        (b"\x80\x02.", "is damaged"),
        (pickle.dumps({1, 2}), "is refused: it uses the pickle opcode.*nothing of it was loaded"),
    ],
)
def test_every_failure_becomes_one_message_with_the_file(content: bytes, words: str) -> None:
    said = pytest.raises(CheckpointError, match=f"^x.pdparams {words}")
    with said, explained(Path("x.pdparams"), len(content)):
        _read(content, {})
