"""The note beside a part: read as it was written, and damaged in any way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppcls.weights.hub.part import Origin, Part

ADDRESS = "https://a.example/net.pdparams"
ORIGIN = Origin(ADDRESS, '"one"', "Sat, 01 Jan 2022 00:00:00 GMT", 8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@pytest.fixture
def part(tmp_path: Path) -> Part:
    """A part of three bytes, of a file of eight."""
    part = Part(tmp_path / "net.pdparams", private=False)
    part.restart(ORIGIN)
    part.path.write_bytes(b"abc")
    return part


def note_of(part: Part) -> Path:
    return part.path.with_name(f"{part.path.name}.json")


def test_rest_is_asked_for_on_condition(part: Part) -> None:
    assert (part.size, part.total) == (3, 8)
    assert part.headers(ADDRESS) == {"Range": "bytes=3-", "If-Range": '"one"'}
    assert part.headers("https://b.example/net.pdparams") == {}
    assert not part.is_complete(ADDRESS)
    part.path.write_bytes(b"abcdefgh")
    assert part.is_complete(ADDRESS)
    assert not part.is_complete("https://b.example/net.pdparams")


def test_part_goes_on_only_with_its_own_rest(part: Part) -> None:
    headers = {"ETag": '"one"', "Content-Range": "bytes 3-7/8"}
    assert part.continues(ADDRESS, headers) and part.size == 3
    assert not part.continues(ADDRESS, {**headers, "Content-Range": "bytes 2-7/8"})
    assert part.size == 0 and not note_of(part).exists()


def assert_known_or_unknown(part: Part) -> None:
    """Whatever the note says, it is either what it was or nothing that is asked for."""
    assert part.total is None or isinstance(part.total, int)
    assert part.headers(ADDRESS).keys() in ({"Range", "If-Range"}, set())
    part.is_complete(ADDRESS)
    part.check_space("a.example")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["address", "etag", "modified", "total"]), VALUES)
def test_any_value_in_the_note_is_known_or_unknown(part: Part, key: str, value: Any) -> None:
    note_of(part).write_text(json.dumps({**vars(ORIGIN), key: value}))
    known = isinstance(value, int) and not isinstance(value, bool) and value > 2**40
    if not known:  # a file that large fits on no disk of a test
        assert_known_or_unknown(part)
    if not isinstance(value, (str, type(None))) and key != "total":
        assert part.total is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_note_is_known_or_unknown(part: Part, data: st.DataObject) -> None:
    part.restart(ORIGIN)
    part.path.write_bytes(b"abc")
    content = note_of(part).read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    inserted = data.draw(st.binary(max_size=4))
    end = data.draw(st.sampled_from([place, place + 1, len(content)]))
    note_of(part).write_bytes(content[:place] + inserted + content[end:])
    assert_known_or_unknown(part)
