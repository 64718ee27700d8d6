"""The note beside a part: read as it was written, and damaged in any way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from ppcls.weights.hub.part import Origin, Part

ADDRESS = "https://a.example/net.pdparams"
ORIGIN = Origin(ADDRESS, '"one"', 8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def make_part(folder: Path, note: bytes, address: str = ADDRESS) -> Part:
    """A part of three bytes with the note beside it."""
    (folder / "net.pdparams.part").write_bytes(b"abc")
    (folder / "net.pdparams.part.json").write_bytes(note)
    return Part(address, folder / "net.pdparams", private=False)


def note(**changes: Any) -> bytes:
    return json.dumps({**vars(ORIGIN), **changes}).encode()


def answer(status: int, place: str) -> HTTPResponse:
    headers = {"ETag": '"one"', "Content-Range": place, "Content-Length": "5"}
    return HTTPResponse(b"", headers, status, preload_content=False)


def test_rest_is_asked_for_on_condition(tmp_path: Path) -> None:
    part = make_part(tmp_path, note())
    assert (part.size, part.total, part.is_complete) == (3, 8, False)
    assert part.headers == {"Range": "bytes=3-", "If-Range": '"one"'}
    part.path.write_bytes(b"abcdefgh")
    assert part.is_complete


def test_part_from_elsewhere_counts_as_none(tmp_path: Path) -> None:
    part = make_part(tmp_path, note(total=3), address="https://b.example/net.pdparams")
    assert (part.size, part.total, part.is_complete, part.headers) == (0, None, False, {})


@pytest.mark.parametrize("place", ["bytes 2-7/8", "bytes 3-7/9", "bytes 30-37/8", "x", ""])
def test_part_goes_on_only_with_its_own_rest(tmp_path: Path, place: str) -> None:
    part = make_part(tmp_path, note())
    assert part.begin(answer(206, "bytes 3-7/8"))
    assert part.size == 3
    assert not part.begin(answer(206, place))
    assert list(tmp_path.iterdir()) == []


def assert_known_or_unknown(part: Part) -> None:
    """Whatever the note says, it is either what it was or nothing that is asked for."""
    assert part.total is None or isinstance(part.total, int)
    assert part.headers.keys() in ({"Range", "If-Range"}, set())
    assert part.is_complete == (part.total == 3)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["address", "validator", "total"]), VALUES)
def test_any_value_in_the_note_is_known_or_unknown(tmp_path: Path, key: str, value: Any) -> None:
    assert_known_or_unknown(make_part(tmp_path, note(**{key: value})))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_note_is_known_or_unknown(tmp_path: Path, data: st.DataObject) -> None:
    content = note()
    place = data.draw(st.integers(0, len(content) - 1))
    inserted = data.draw(st.binary(max_size=4))
    end = data.draw(st.sampled_from([place, place + 1, len(content)]))
    assert_known_or_unknown(make_part(tmp_path, content[:place] + inserted + content[end:]))
