from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from ppcls.inference import combined
from ppcls.inference.combined import check_tensors
from ppcls.inference.protobuf import MalformedError
from tests.inference.encoded import field, tensor


def check(data: bytes) -> None:
    check_tensors(io.BytesIO(data), len(data))


def test_weights_of_paddle_are_accepted(exported: Path) -> None:
    check((exported / "inference.pdiparams").read_bytes())
    check(tensor(5, [2, 3], bytes(24)) + tensor(3, [], bytes(8)) + tensor(4, [1], bytes(2)))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"x" * 1000, "no tensor begins where number 0 should be"),
        (tensor(5, [1], bytes(4)) + b"abc", "no tensor begins where number 1 should be"),
        (struct.pack("<IQIi", 0, 0, 0, -1), "no tensor begins"),
        (struct.pack("<IQIi", 0, 0, 0, 2**31 - 1), "no tensor begins"),
        (struct.pack("<IQIi", 0, 2**60, 0, 0), "no tensor begins"),
        (tensor(5, [2, 3], bytes(20)), "tensor 0 claims 24 bytes, where 20 are left"),
        (tensor(5, [10**12], b""), "tensor 0 claims 4,000,000,000,000 bytes, where 0 are left"),
        (tensor(5, [-1], b"1234"), "tensor 0 claims"),
        (tensor(5, [2**62, 2**62], b""), "tensor 0 claims"),
        (tensor(5, [0], b""), "of a type or shape that weights do not have"),
        (tensor(5, [1] * 10, b"1234"), "of a type or shape that weights do not have"),
        (tensor(17, [1], b"1234"), "of a type or shape that weights do not have"),
        (struct.pack("<IQIi", 0, 0, 0, 5) + field(2, b"\1\1\1"), "is not as Paddle writes it"),
        (struct.pack("<IQIi", 0, 0, 0, 9) + b"\x08", "of a type or shape|ends inside a number"),
    ],
)
def test_tensors_that_are_none(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        check(data)


def test_their_number_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combined, "MOST_TENSORS", 3)
    check(tensor(5, [1], bytes(4)) * 2)
    with pytest.raises(MalformedError, match="it has more than 3 tensors"):
        check(tensor(5, [1], bytes(4)) * 4)
