"""The weights of a program of Paddle (`.pdiparams`): tensors one behind another, without names.

Paddle takes as much memory as a tensor claims before it reads it.
"""

from __future__ import annotations

import math
import struct
from typing import IO, List

from ppcls.inference.protobuf import VALUE, Layout, MalformedError, fields_of

MOST_TENSORS = 100_000

_HEADER = struct.Struct("<IQIi")
"""Version; levels of a nested sequence, which weights are not; version; length of what follows."""

_LONGEST = 1024
_MOST_DIMENSIONS = 9

_TENSOR: Layout = {"tensor": {1: VALUE, 2: VALUE}}
"""Type and dimensions: https://github.com/PaddlePaddle/Paddle/blob/develop/paddle/phi/core/framework/framework.proto"""

_BYTES = {
    0: 1,
    1: 2,
    2: 4,
    3: 8,
    4: 2,
    5: 4,
    6: 8,
    20: 1,
    21: 1,
    22: 2,
    23: 8,
    24: 16,
    32: 1,
    33: 1,
}
"""Of an element of each type: bool, int16, int32, int64, float16, float32, float64, uint8, int8,
bfloat16, complex64, complex128, and both kinds of float8.
"""


def check_tensors(file: IO[bytes], size: int) -> None:
    """Refuse tensors that claim more than a file of `size` bytes holds.

    Raises:
        MalformedError: they do, or these are no tensors.
    """
    for number in range(MOST_TENSORS):
        left = size - file.tell()
        if not left:
            return
        claimed = _bytes_of_tensor(file, number)
        left = size - file.tell()
        if claimed > left:
            raise MalformedError(
                f"tensor {number} claims {claimed:,} bytes, where {left:,} are left"
            )
        file.seek(claimed, 1)
    raise MalformedError(f"it has more than {MOST_TENSORS:,} tensors")


def _bytes_of_tensor(file: IO[bytes], number: int) -> int:
    header = file.read(_HEADER.size)
    versions = levels = length = -1
    if len(header) == _HEADER.size:
        version, levels, other, length = _HEADER.unpack(header)
        versions = version | other
    if versions or levels or not 0 <= length <= _LONGEST:
        raise MalformedError(f"no tensor begins where number {number} should be")
    kind = -1
    dimensions: List[int] = []
    for found in fields_of(file.read(length), _TENSOR, "tensor"):
        if isinstance(found.value, bytes):
            raise MalformedError(f"the shape of tensor {number} is not as Paddle writes it")
        if found.number == 1:
            kind = found.value
        else:
            dimensions.append(found.value)
    if kind not in _BYTES or len(dimensions) > _MOST_DIMENSIONS or 0 in dimensions:
        raise MalformedError(f"tensor {number} is of a type or shape that weights do not have")
    return _BYTES[kind] * math.prod(dimensions)
