"""Writes protobuf messages and tensors of Paddle, right or wrong, for the tests that read them."""

from __future__ import annotations

import struct
from typing import Iterable, Union


def varint(value: int) -> bytes:
    """The number as protobuf writes it, seven bits a byte; a negative one in ten bytes."""
    value &= 2**64 - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number: int, value: Union[int, str, bytes]) -> bytes:
    """A field of a message: a number, or a text, or another message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def pdmodel(*operators: str, names: Iterable[str] = ("x",), used: str = "x") -> bytes:
    """A program of Paddle 2.6 in which each operator makes one value of another."""
    slot = field(1, "X") + field(2, used)
    ops = [field(4, field(1, slot) + field(2, slot) + field(3, name)) for name in operators]
    return field(1, b"".join(field(3, field(1, name)) for name in names) + b"".join(ops))


def onnx(*nodes: bytes, more: bytes = b"", inside: bytes = b"") -> bytes:
    """An ONNX file of these nodes, with `more` in the model and something `inside` the graph."""
    return field(1, 8) + field(7, b"".join(field(1, node) for node in nodes) + inside) + more


def tensor(kind: int, dimensions: Iterable[int], data: bytes) -> bytes:
    """A tensor of a file `.pdiparams`; `kind` is 5 for float32."""
    form = field(1, kind) + b"".join(field(2, size) for size in dimensions)
    return struct.pack("<IQIi", 0, 0, 0, len(form)) + form + data


def layer(kind: str, version: str = "opset1", inside: str = "") -> str:
    """A layer of an OpenVINO network, with whatever is inside."""
    return f'<layer id="0" name="a" type="{kind}" version="{version}">{inside}</layer>'


def constant(kind: str, shape: str, offset: object, size: object) -> str:
    """A constant of an OpenVINO network: `size` bytes from `offset` on in the weights."""
    data = f'<data element_type="{kind}" shape="{shape}" offset="{offset}" size="{size}" />'
    return layer("Const", inside=data)


def network_xml(*layers: str) -> bytes:
    """An OpenVINO network of these layers."""
    found = f'<?xml version="1.0"?><net name="a" version="11"><layers>{"".join(layers)}</layers>'
    return f"{found}<edges></edges></net>".encode()
