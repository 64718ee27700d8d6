from __future__ import annotations

from typing import Any, List

import pytest

from ppcls.inference import protobuf
from ppcls.inference.protobuf import PRESENT, VALUE, Field, Layout, MalformedError, fields_of
from tests.inference.encoded import field, varint

LAYOUT: Layout = {"outer": {1: VALUE, 2: "inner", 3: PRESENT}, "inner": {1: VALUE, 2: "inner"}}


def found(data: bytes) -> List[Any]:
    return list(fields_of(data, LAYOUT, "outer"))


def test_varints_of_the_encoding_guide() -> None:
    # https://protobuf.dev/programming-guides/encoding: 150 is written 96 01
    assert varint(150) == b"\x96\x01"
    assert found(b"\x08\x96\x01") == [Field("outer", 1, 150)]
    assert found(field(1, -1)) == [Field("outer", 1, 2**64 - 1)]


def test_fields_in_their_order_and_others_passed_over() -> None:
    data = field(9, "other") + field(1, "name") + field(2, field(1, 7) + field(2, field(1, 8)))
    data += b"\x4d1234" + b"\x51" + b"12345678" + field(3, b"\xff" * 9999)
    assert found(data) == [
        Field("outer", 1, b"name"),
        Field("inner", 1, 7),
        Field("inner", 1, 8),
        Field("outer", 3, b""),
    ]
    assert found(b"") == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x08", "it ends inside a number"),
        (b"\x08\x96", "it ends inside a number"),
        (b"\x08" + b"\xff" * 10, "more than 64 bits"),
        (b"\x00\x01", "a number that there cannot be"),
        (b"\x88\x80\x80\x80\x80\x01\x01", "a number that there cannot be"),
        (b"\x0a\x05name", "longer than what is around it"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer than what is around it"),
        (field(2, b"\x0a\x09") + b"x" * 20, "longer than what is around it"),
        (b"\x4d123", "longer than what is around it"),
        (b"\x4b", "of the unknown kind 3"),
        (field(2, 7), "field 2 of a outer is not of the kind"),
        (b"\x0d1234", "field 1 of a outer is not of the kind"),
        (field(1, b"x" * 2000), "a value in it has more than 1024 bytes"),
    ],
)
def test_what_is_malformed(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        found(data)


def test_depth_and_number_of_fields_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b""
    for _ in range(31):
        data = field(2, data)
    assert found(data) == []
    with pytest.raises(MalformedError, match="nested more than 32 deep"):
        found(field(2, data))
    monkeypatch.setattr(protobuf, "MOST_FIELDS", 9)
    assert found(field(9, 1) * 9) == []
    with pytest.raises(MalformedError, match="more than 9 fields"):
        found(field(9, 1) * 10)
