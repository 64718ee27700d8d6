"""Reading Paddle's own weight files (`.pdparams`) without running what they say.

`paddle.save` writes a pickle; `ppcls.weights.formats.pickles` reads it, and the arrays are rebuilt
here from their bytes. No more is allocated than the file's size allows.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np

from ppcls.errors import CheckpointError
from ppcls.weights.formats.pickles import (
    FIRST_BYTE,
    MOST_ARRAYS,
    Budget,
    Global,
    Reader,
    RefusedError,
    StandIn,
    brief,
    explained,
    looks_like,
    same_tuple,
)

_PARAMETER_NAMES = "StructuredToParameterName@@"
_SLICED = "UnpackBigParamInfor@@"


def read_pdparams(path: Path) -> Dict[str, np.ndarray]:
    """Return the arrays of an official `.pdparams` file by name.

    Raises:
        CheckpointError: the file is empty, truncated, damaged, of another kind, or asks for
            anything besides arrays and their containers.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start[:1] != FIRST_BYTE:
            raise CheckpointError(f"{path} is not a Paddle weight file: {looks_like(start)}")
        file.seek(0)
        with explained(path, size):
            return _named_arrays(Reader(file, size, _known(size)).load(), size)


class _DType(StandIn):
    """Stands for `numpy.dtype`, of plain numbers and truth values only."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not (isinstance(code, str) and re.fullmatch(r"b1|[iu][1248]|f[248]", code)):
            raise RefusedError(
                f"it holds an array of type {brief(code)}, where only numbers are allowed"
            )
        self.value = np.dtype(code)

    def set(self, state: Tuple[Any, ...]) -> None:
        if state[1] == ">":
            self.value = self.value.newbyteorder(">")


class _Array(StandIn):
    """Stands for `numpy.ndarray`: empty at first, then a view of the bytes that the file holds."""

    def __init__(self) -> None:
        self.value: Optional[np.ndarray] = None

    def set(self, state: Tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _DType) or not isinstance(data, bytes):
            raise RefusedError("it holds an array that is not made of plain bytes")
        flat = np.frombuffer(data, dtype.value)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _new_array(kind: Any, shape: Any, code: Any) -> _Array:
    return _Array()


def _scalar(dtype: _DType, data: bytes) -> _Array:
    made = _Array()
    made.set((1, (), dtype, False, data))
    return made


def _empty_dict() -> Dict[Any, Any]:
    return {}


def _not_callable(*arguments: Any) -> None:
    raise RefusedError("it calls 'numpy.ndarray' directly")


def _encode(budget: Budget, text: str, encoding: str) -> bytes:
    """Return bytes that protocol 2 wrote as text; all together no more than the file holds."""
    budget.spend(len(text), "it repeats text, which no array needs")
    if encoding != "latin1":
        raise RefusedError("it recodes text, which no array needs")
    return text.encode("latin1")


def _known(size: int) -> Dict[Tuple[str, str], Global]:
    """What stands for the names that arrays need, in a file of `size` bytes."""
    known = {
        ("numpy", "ndarray"): Global(_not_callable),
        ("numpy", "dtype"): Global(_DType),
        ("collections", "OrderedDict"): Global(_empty_dict),
        ("_codecs", "encode"): Global(partial(_encode, Budget(size))),
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        known[module, "_reconstruct"] = Global(_new_array)
        known[module, "scalar"] = Global(_scalar)
    for module in ("builtins", "__builtin__"):
        known[module, "tuple"] = Global(same_tuple)
    return known


def _named_arrays(content: Any, size: int) -> Dict[str, np.ndarray]:
    if not isinstance(content, dict):
        raise RefusedError("it holds no dictionary of arrays, so it is not a file of weights")
    if len(content) > MOST_ARRAYS:
        raise RefusedError(f"it holds {len(content)} entries, more than any network has arrays")
    special = (_PARAMETER_NAMES, _SLICED)
    arrays = {key: _array(key, value) for key, value in content.items() if key not in special}
    _join_slices(arrays, content.get(_SLICED, {}), size)
    return arrays


def _join_slices(arrays: Dict[str, np.ndarray], sliced: Mapping[str, Any], size: int) -> None:
    """Put together the arrays above 1 GiB, which protocols 2 and 3 store in flat pieces."""
    for key, info in sliced.items():
        pieces = [arrays.pop(_name(part)) for part in info["slices"]]
        size -= sum(piece.nbytes for piece in pieces)
        if size < 0:
            raise RefusedError("the pieces of its arrays are larger than the file")
        arrays[key] = np.concatenate(pieces).reshape(info["OriginShape"])


def _name(value: Any) -> str:
    """Return a name, and refuse what takes long to look up, such as tuples in tuples."""
    if not isinstance(value, str):
        raise RefusedError(f"it names an array {brief(value)}")
    return value


def _array(key: Any, value: Any) -> np.ndarray:
    """Unwrap one entry: an array, or a pair (Paddle's internal name, array)."""
    if isinstance(value, tuple) and len(value) == 2:
        value = value[1]
    if not isinstance(key, str) or not isinstance(value, _Array) or value.value is None:
        raise RefusedError(
            f"its entry {brief(key)} is not an array, so it is not a file of weights"
        )
    return value.value
