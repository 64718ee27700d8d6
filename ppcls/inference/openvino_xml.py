"""The program of an OpenVINO network (`.xml`), read without OpenVINO: its layers, and which bytes
of the weights beside it (`.bin`) they use.

https://docs.openvino.ai/2024/documentation/openvino-ir-format.html
"""

from __future__ import annotations

import math
import re
from typing import Dict, Iterator, List
from xml.parsers import expat

from ppcls.inference.operators import OPENVINO
from ppcls.inference.protobuf import MalformedError

MOST_ELEMENTS = 2_000_000
"""Ten times those of the largest network that we know."""

_MOST_DEPTH = 32
_OPERATION_SET = re.compile(r"opset\d{1,3}")
_SHAPE = re.compile(r"(\d{1,19}(, ?\d{1,19}){0,15})?")
_NUMBER = re.compile(r"\d{1,19}")

_BITS = {
    **{"boolean": 8, "bf16": 16, "f16": 16, "f32": 32, "f64": 64},
    **{"i4": 4, "i8": 8, "i16": 16, "i32": 32, "i64": 64},
    **{"u1": 1, "u2": 2, "u3": 3, "u4": 4, "u6": 6, "u8": 8, "u16": 16, "u32": 32, "u64": 64},
    **{"nf4": 4, "f4e2m1": 4, "f8e4m3": 8, "f8e5m2": 8, "f8e8m0": 8},
}
"""Of an element of each type; texts ("string") are none of them."""


class _Reader:
    """Collects what is refused while a parser walks through a file."""

    def __init__(self, weights: int) -> None:
        self.weights = weights
        self.refused: List[str] = []
        self.depth = self.elements = 0
        self._types = [""]

    def start(self, name: str, attributes: Dict[str, str]) -> None:
        self.depth += 1
        self.elements += 1
        if self.depth > _MOST_DEPTH or self.elements > MOST_ELEMENTS:
            raise MalformedError(
                f"it has more than {MOST_ELEMENTS:,} elements, or some {_MOST_DEPTH} deep"
            )
        if self.depth == 1 and name != "net":
            raise MalformedError(f"it is <{name}>, where a network is <net>")
        if name == "layer":
            self._check_layer(attributes)
        elif name == "data" and self._types[-1] == "Const":
            self._check_constant(attributes)
        self._types.append(attributes.get("type", "") if name == "layer" else "")

    def end(self, _: str) -> None:
        self.depth -= 1
        self._types.pop()

    def _check_layer(self, attributes: Dict[str, str]) -> None:
        kind, version = attributes.get("type"), attributes.get("version")
        if kind is None or version is None:
            raise MalformedError("a layer in it has no type or no version")
        if kind not in OPENVINO:
            self.refused.append(f"the operator {kind!r}")
        elif not _OPERATION_SET.fullmatch(version):
            self.refused.append(f"operators of {version!r}")

    def _check_constant(self, attributes: Dict[str, str]) -> None:
        kind, shape = attributes.get("element_type", ""), attributes.get("shape", "?")
        numbers = [attributes.get(key, "") for key in ("offset", "size")]
        if kind not in _BITS or not _SHAPE.fullmatch(shape):
            raise MalformedError("a constant in it is of a type or shape that weights do not have")
        if not all(map(_NUMBER.fullmatch, numbers)):
            raise MalformedError("a constant in it does not say where its numbers are")
        offset, size = map(int, numbers)
        count = math.prod(int(side) for side in shape.split(",") if side)
        if size < (count * _BITS[kind] + 7) // 8 or offset + size > self.weights:
            raise MalformedError(
                f"a constant in it claims {count:,} numbers in {size:,} bytes from {offset:,} on, "
                f"where the weights have {self.weights:,}"
            )


def _refuse_definitions(*_: object) -> None:
    """Definitions make entities, which grow without end or stand for other files."""
    raise MalformedError("it holds a document type or entities, which networks do not have")


def refused_layers(data: bytes, weights: int) -> Iterator[str]:
    """Yield, in words, the layers that do more than compute.

    Args:
        data: what the file holds.
        weights: how many bytes the file of the weights has.

    Raises:
        MalformedError: it is no XML of a network, is beyond the limits of this module, or claims
            weights that are not there.
    """
    reader = _Reader(weights)
    # OpenVINO writes UTF-8, whatever a file says of itself: two readings would be two files.
    if b"\0" in data or not _is_utf8(data):
        raise MalformedError("it is not XML in UTF-8")
    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = _refuse_definitions
    parser.EntityDeclHandler = _refuse_definitions
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise MalformedError(f"it is not XML: {error}") from None
    yield from reader.refused


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
